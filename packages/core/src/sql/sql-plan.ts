import type { MadeReading } from '../rewrite/made-reading.js';
import type { ShardReading } from '../shard/shard-reading.js';
import type { TenantFacts } from '../tenant/tenant-facts.js';
import { type RouteFacts, UNASKED_ROUTE, UNREAD_ROUTE } from './route-facts.js';
import type { SqlEffect } from './sql-effect.js';
import { DEPENDS_ON_SETTINGS, UNKNOWN_EFFECT } from './sql-flags.js';

/** Where the name of an SQL-level prepared statement stands. */
export interface NameSpan {
  /** Byte offsets from the first byte of the text, quotes included; `end` is exclusive. */
  start: number;
  end: number;
  /** Folded, or unquoted. */
  name: string;
}

/** What a statement does to its session. */
export interface StatementReading {
  flags: number;
  effect: SqlEffect | null;
  nameSpans: NameSpan[];
  /** Changes definitions; absent: it does not, or could not be read. */
  defines?: true;
  /** Of a statement whose effect is unknown because of the functions it calls, and for no other reason: their names. */
  calls?: readonly string[];
  /** Of one of unknown effect: what in it looks like the name of a custom setting. */
  mentions?: readonly string[];
}

export interface StatementPlan extends StatementReading {
  /** Its own; directives are the whole text's. */
  readonly route: RouteFacts;
}

/**
 * The reading of one text. `statements` is empty when the text could not be read statement by statement:
 * a plain text, one Postgres's grammar refuses (SYNTAX_ERROR), or one too long or too deep to parse.
 */
export interface SqlPlan {
  readonly statements: readonly StatementPlan[];
  /** All statements' flags together. */
  readonly flags: number;
  /** How strings in this plan become the client's bytes again: latin1 when the text was not UTF-8. */
  readonly encoding: 'utf8' | 'latin1';
  /** Of all statements together. */
  readonly route: RouteFacts;
  /** Of all statements together, where a tenant's column is configured. Absent: the text was not read for it. */
  readonly tenant?: TenantFacts;
  /** Of all statements together, for the scope in which it was asked for. Absent: the text was not read for shards. */
  readonly shards?: ShardReading;
  /** What the proxy fills in before a server has the text. Absent: nothing. */
  readonly made?: MadeReading;
}

/** Makes a plan that says nothing but its flags; frozen, since the cache hands one object to everybody. */
export function bareSqlPlan(flags: number, route: RouteFacts = UNREAD_ROUTE): SqlPlan {
  return Object.freeze({ statements: Object.freeze([]), flags, encoding: 'utf8', route });
}

/** Of every text that the lexer alone proves harmless. */
export const PLAIN_PLAN: SqlPlan = bareSqlPlan(0, UNASKED_ROUTE);
/** The same where that is so under the usual settings only. */
export const PLAIN_DEPENDENT_PLAN: SqlPlan = bareSqlPlan(DEPENDS_ON_SETTINGS, UNASKED_ROUTE);
/** Of a text that was not read: too long, too deep, or of an encoding without a certain reading. */
export const UNREAD_PLAN: SqlPlan = bareSqlPlan(UNKNOWN_EFFECT);
