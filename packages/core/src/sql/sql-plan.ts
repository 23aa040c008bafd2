import type { SqlEffect } from './sql-effect.js';
import { HAS_BACKSLASH, UNKNOWN_EFFECT } from './sql-flags.js';

/** Where the name of an SQL-level prepared statement stands. */
export interface NameSpan {
  /** Byte offsets from the first byte of the text, quotes included; `end` is exclusive. */
  start: number;
  end: number;
  /** Folded, or unquoted. */
  name: string;
}

export interface StatementPlan {
  flags: number;
  effect: SqlEffect | null;
  nameSpans: NameSpan[];
  /** Of a statement whose effect is unknown because of the functions it calls, and for no other reason: their names. */
  calls?: readonly string[];
  /** Of one of unknown effect: what in it looks like the name of a custom setting. */
  mentions?: readonly string[];
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
}

/** Makes a plan that says nothing but its flags; frozen, since the cache hands one object to everybody. */
export function bareSqlPlan(flags: number, encoding: 'utf8' | 'latin1' = 'utf8'): SqlPlan {
  return Object.freeze({ statements: Object.freeze([]), flags, encoding });
}

/** Of every text that the lexer alone proves harmless. */
export const PLAIN_PLAN: SqlPlan = bareSqlPlan(0);
/** The same for a text with a backslash in a string; see HAS_BACKSLASH. */
export const PLAIN_BACKSLASH_PLAN: SqlPlan = bareSqlPlan(HAS_BACKSLASH);
/** Of a text that was not read: too long, too deep, or of an encoding without a certain reading. */
export const UNREAD_PLAN: SqlPlan = bareSqlPlan(UNKNOWN_EFFECT);
