// ● per-frame path
import { decodeName } from '@pgdog-cluster/core';
import type { QueryFigures } from '../plan/query-figures.js';
import type { QueryStats } from '../plan/query-stats.js';

/** What of a session it counts with. */
export interface CountedSession {
  readonly context: { readonly queries: QueryStats };
  readonly database: string;
  /** Null: the database has one host. */
  readonly router: object | null;
  readonly isLeg: boolean;
  readonly clientReading: number;
}

/** Names of portals, and in session mode of statements, that are followed for one client; what it executes beyond them counts as not read. */
const NAMES_MAX = 1000;

/** What the portals of a client, and in session mode its named statements, count for in SHOW QUERIES. */
export class CountedPortals {
  readonly #session: CountedSession;
  #unnamed: QueryFigures | null = null;
  #byName: Map<string, QueryFigures> | null = null;
  #statements: Map<string, QueryFigures> | null = null;

  constructor(session: CountedSession) {
    this.#session = session;
  }

  /** A text that is being prepared. */
  parsed(bytes: Uint8Array, start: number, end: number): QueryFigures | null {
    const { context, database, router, isLeg, clientReading } = this.#session;
    if (isLeg) return null;
    return context.queries.of(database, bytes, start, end, router !== null, clientReading);
  }

  /** In session mode: bytes[start, end) is the statement's name, not empty. */
  named(bytes: Uint8Array, start: number, end: number, figures: QueryFigures | null): void {
    if (figures === null) return;
    // exempt: once per statement that is prepared
    this.#statements ??= new Map();
    const name = decodeName(bytes, start, end);
    if (this.#statements.size < NAMES_MAX || this.#statements.has(name)) this.#statements.set(name, figures);
  }

  /** Of the statement that named() was told of. */
  ofName(bytes: Uint8Array, start: number, end: number): QueryFigures | null {
    if (this.#statements === null) return null;
    const name = decodeName(bytes, start, end);
    const known = this.#statements.get(name);
    if (known === undefined) return null;
    const figures = this.#session.context.queries.current(known);
    if (figures !== known) this.#statements.set(name, figures);
    return figures;
  }

  /** bytes[start, end) is the portal's name. @returns what it counts for */
  bound(bytes: Uint8Array, start: number, end: number, figures: QueryFigures | null): QueryFigures | null {
    const { context, database, isLeg } = this.#session;
    if (isLeg) return null;
    const known = figures ?? context.queries.unread(database);
    if (start === end) this.#unnamed = known;
    else {
      // exempt: portals with a name are cursors, which are few
      this.#byName ??= new Map();
      const name = decodeName(bytes, start, end);
      if (this.#byName.size < NAMES_MAX || this.#byName.has(name)) this.#byName.set(name, known);
    }
    return known;
  }

  /** What an Execute counts for. */
  find(bytes: Uint8Array, start: number, end: number): QueryFigures | null {
    if (this.#session.isLeg) return null;
    const known = start === end ? this.#unnamed : this.#byName?.get(decodeName(bytes, start, end));
    return known ?? this.#session.context.queries.unread(this.#session.database);
  }

  /** Close of a portal: a transaction may open any number of them, one after another. */
  closed(bytes: Uint8Array, start: number, end: number): void {
    if (start !== end && this.#byName !== null) this.#byName.delete(decodeName(bytes, start, end));
  }

  /** Portals live no longer than a transaction. */
  forget(): void {
    this.#unnamed = null;
    this.#byName = null;
  }
}
