/**
 * What the PREPARE and DEALLOCATE statements of one Query, or of one batch so far, make of a client's names before
 * any of them has been answered. Later statements of it must be read as if they had succeeded: if one fails, they are not run.
 */
export class NamesUnderWay {
  /** Name on the server; null: gone. */
  private readonly byName = new Map<string, string | null>();
  private areOthersGone = false;

  /** undefined: as it was before. */
  get(name: string): string | null | undefined {
    const made = this.byName.get(name);
    return made === undefined && this.areOthersGone ? null : made;
  }

  made(name: string, serverName: string): void {
    this.byName.set(name, serverName);
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
    return this.nameOf(serverName) !== null;
  }

  nameOf(serverName: string): string | null {
    for (const [name, made] of this.byName) if (made === serverName) return name;
    return null;
  }
}
