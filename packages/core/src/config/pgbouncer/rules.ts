/** What becomes of one setting of PgBouncer. Every setting has one; the tables are in settings.ts and settings-tls.ts. */
import type { ReadValue } from './values.js';

/** It has a key of ours. */
export interface MappedSetting {
  kind: 'map';
  /** `table.key` in pgdog.toml. */
  to: string;
  read: ReadValue;
  /** What it is where the file does not say it: PgBouncer's default, in its own syntax. Null: ours means the same. */
  fallback: string | null;
  /** Values that work otherwise here, and how. */
  remark?: (text: string) => string | null;
}

/** Nothing here does that, and nobody gets another answer for it: told by a warning. */
export interface IgnoredSetting {
  kind: 'ignore';
  read: ReadValue;
  /** Values that ask for nothing. */
  harmless: readonly string[];
  why: string;
}

/** Going on without it would change what clients see, or whom they reach. */
export interface RefusedSetting {
  kind: 'refuse';
  read: ReadValue;
  harmless: readonly string[];
  why: string;
}

/** Several together mean something: read by code of its own, in translate-general.ts. */
export interface JoinedSetting {
  kind: 'join';
  read: ReadValue;
  fallback: string;
}

export type SettingRule = MappedSetting | IgnoredSetting | RefusedSetting | JoinedSetting;

export function map(
  to: string,
  read: ReadValue,
  fallback: string | null = null,
  remark?: MappedSetting['remark'],
): MappedSetting {
  return remark === undefined
    ? { kind: 'map', to, read, fallback }
    : { kind: 'map', to, read, fallback, remark };
}

export function ignore(read: ReadValue, harmless: readonly string[], why: string): IgnoredSetting {
  return { kind: 'ignore', read, harmless, why };
}

export function refuse(read: ReadValue, harmless: readonly string[], why: string): RefusedSetting {
  return { kind: 'refuse', read, harmless, why };
}

export function join(read: ReadValue, fallback: string): JoinedSetting {
  return { kind: 'join', read, fallback };
}

/** A remark for some values. */
export function when(is: (text: string) => boolean, remark: string): (text: string) => string | null {
  return (text) => (is(text) ? remark : null);
}
