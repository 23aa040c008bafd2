/**
 * What a client must see if it had a server of its own: settings, transaction, statements, pins. Written from
 * Postgres's documentation of SET, savepoints and prepared statements.
 */

/** Settings the clients change. `app.…` are custom ones, unset on a fresh server. */
export const SETTINGS = [
  'application_name',
  'work_mem',
  'search_path',
  'TimeZone',
  'app.token',
  'app.extra',
  'role',
] as const;
export type SettingName = (typeof SETTINGS)[number];

export interface Statement {
  /** Text the answer must carry; null for statements on chaos_rows and the like. */
  token: string;
  column: string;
  kind: 'token' | 'whoami' | 'setting' | 'sql';
}

/** All that ROLLBACK takes back. */
interface Level {
  name: string;
  session: Map<SettingName, string>;
  local: Map<SettingName, string>;
  temp: string | null;
}

export class SessionModel {
  status: 'I' | 'T' | 'E' = 'I';
  /** Values of a fresh session of this client: the server's defaults and its own startup parameters. */
  readonly defaults: Map<SettingName, string>;
  readonly statements = new Map<string, Statement>();
  /** Session level advisory locks and how often each is held. */
  readonly locks = new Map<string, number>();
  /** Portal names open in this transaction, with the rows left. */
  readonly portals = new Map<string, { next: number; last: number; token: string }>();
  /** Token in the temp table chaos_tmp; null when it does not exist. */
  temp: string | null = null;
  cursor: string | null = null;
  channel: string | null = null;
  /** Backend seen first in this transaction or pin; '' when none. */
  serverPid = '';
  /** Tokens of rows inserted in the open transaction. */
  openRows: string[] = [];
  session = new Map<SettingName, string>();
  local = new Map<SettingName, string>();
  #levels: Level[] = [];

  constructor(defaults: Map<SettingName, string>) {
    this.defaults = defaults;
  }

  get savepoints(): string[] {
    return this.#levels.slice(1).map(({ name }) => name);
  }

  get isPinned(): boolean {
    return this.locks.size > 0 || this.temp !== null || this.cursor !== null || this.channel !== null;
  }

  current(name: SettingName): string {
    return this.local.get(name) ?? this.session.get(name) ?? this.defaults.get(name) ?? '';
  }

  set(name: SettingName, value: string, isLocal: boolean): void {
    if (isLocal && this.status === 'I') return;
    if (isLocal) this.local.set(name, value);
    else {
      this.session.set(name, value);
      this.local.delete(name);
    }
  }

  reset(name: SettingName): void {
    this.session.delete(name);
    this.local.delete(name);
  }

  /** RESET ALL leaves the role alone. */
  resetAll(isRoleToo = false): void {
    for (const name of SETTINGS) if (name !== 'role' || isRoleToo) this.reset(name);
  }

  /** The unnamed statement is not among those DEALLOCATE ALL drops. */
  deallocateAll(): void {
    for (const name of [...this.statements.keys()]) if (name !== '') this.statements.delete(name);
  }

  discardAll(): void {
    this.resetAll(true);
    this.deallocateAll();
    this.locks.clear();
    this.portals.clear();
    this.temp = null;
    this.cursor = null;
    this.channel = null;
    this.serverPid = '';
  }

  #level(name: string): Level {
    return { name, session: new Map(this.session), local: new Map(this.local), temp: this.temp };
  }

  #restore(level: Level): void {
    this.session = new Map(level.session);
    this.local = new Map(level.local);
    this.temp = level.temp;
  }

  begin(): void {
    this.status = 'T';
    this.#levels = [this.#level('')];
    this.serverPid = '';
    this.openRows = [];
  }

  savepoint(name: string): void {
    this.#levels.push(this.#level(name));
  }

  rollbackTo(name: string): void {
    const index = this.#levels.findLastIndex((level) => level.name === name);
    const level = this.#levels[index];
    if (level === undefined) return;
    this.#restore(level);
    this.#levels.length = index + 1;
    this.status = 'T';
    // A portal made since the savepoint is gone; the model forgets all of them and uses new names.
    this.portals.clear();
  }

  release(name: string): void {
    const index = this.#levels.findLastIndex((level) => level.name === name);
    if (index > 0) this.#levels.length = index;
  }

  /** COMMIT, or ROLLBACK; COMMIT of a failed transaction rolls back. Gives whether it committed. */
  end(isCommit: boolean): boolean {
    const hasCommitted = isCommit && this.status === 'T';
    const first = this.#levels[0];
    if (!hasCommitted && first !== undefined) this.#restore(first);
    this.local.clear();
    this.portals.clear();
    this.#levels = [];
    this.status = 'I';
    this.serverPid = '';
    return hasCommitted;
  }

  /** A statement failed: what the innermost savepoint does not hold is undone at once, and reported so. */
  fail(): void {
    if (this.status !== 'T') return;
    this.status = 'E';
    const innermost = this.#levels.at(-1);
    if (innermost !== undefined) this.#restore(innermost);
  }
}
