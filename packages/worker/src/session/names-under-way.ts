import type { PreparedStatement } from '../plan/prepared-statements.js';

/**
 * What the PREPARE and DEALLOCATE statements of one Query, or of one batch so far, make of a client's names before
 * any of them has been answered. Later statements of it must be read as if they had succeeded: if one fails, they are not run.
 */
export class NamesUnderWay {
  /** Name on the server; null: gone. */
  private readonly byName = new Map<string, string | null>();
  private areOthersGone = false;
  /** Names on the server that stand in what has been sent so far. */
  private readonly used = new Set<string>();
  /** By name on the server: the client's names that it closed behind what may still be answered with an error. */
  private readonly closed = new Map<string, string>();
  /** By the client's name: what it meant before settings that changed had it read anew. */
  private readonly reread = new Map<string, PreparedStatement>();
  /** Names whose PREPARE has been sent to be executed, and no DEALLOCATE behind it. */
  private readonly executed = new Set<string>();
  private standIns = 0;

  /** undefined: as it was before. */
  get(name: string): string | null | undefined {
    const made = this.byName.get(name);
    return made === undefined && this.areOthersGone ? null : made;
  }

  made(name: string, serverName: string): void {
    this.byName.set(name, serverName);
    this.used.add(serverName);
  }

  /** A statement that was there before is meant by this name. */
  uses(serverName: string): void {
    this.used.add(serverName);
  }

  /** null: all of them. */
  gone(name: string | null): void {
    if (name !== null) {
      this.byName.set(name, null);
      return;
    }
    this.byName.clear();
    this.areOthersGone = true;
  }

  hasServerName(serverName: string): boolean {
    return this.used.has(serverName);
  }

  /** A DEALLOCATE of that name, or of all, is being executed. @returns which of them were on their way */
  takeExecuted(name: string | null = null): string[] {
    const taken = [...this.executed].filter((one) => name === null || one === name);
    for (const one of taken) this.executed.delete(one);
    return taken;
  }

  nextStandIn(): number {
    return this.standIns++;
  }

  /** A PREPARE is being executed. */
  executes(name: string): void {
    this.executed.add(name);
  }

  /** Its PREPARE has been executed when the server gets here, and no DEALLOCATE behind it. */
  hasExecuted(name: string): boolean {
    return this.executed.has(name);
  }

  rereads(name: string, before: PreparedStatement): void {
    if (!this.reread.has(name)) this.reread.set(name, before);
  }

  /** The name is given to another statement. */
  isNew(name: string): void {
    this.reread.delete(name);
  }

  /** Whether what the name means, `now`, is that statement, read anew perhaps. */
  isOf(name: string, now: PreparedStatement | undefined, statement: PreparedStatement): boolean {
    return now !== undefined && (this.reread.get(name) ?? now) === statement;
  }

  closes(name: string, serverName: string): void {
    this.closed.set(serverName, name);
  }

  nameOf(serverName: string): string | null {
    for (const [name, made] of this.byName) if (made === serverName) return name;
    return this.closed.get(serverName) ?? null;
  }
}
