/** How PgBouncer writes values, and what they are here. Each returns a value of ours, or what it expected. */
import { resolve } from 'node:path';
import { parseFileMode } from '../fields.js';

/** `undefined`: nothing to write, the default of ours means the same. */
export type Reading = { value: unknown } | { expected: string };
export type ReadValue = (text: string) => Reading;

/** A pool without limit. Others still hold: those of databases and users, and open files. */
export const POOL_SIZE_UNLIMITED = 65_535;
const MS_PER_SECOND = 1000;
/** Durations of ours are whole numbers up to here. */
const SECONDS_MAX = Number.MAX_SAFE_INTEGER / MS_PER_SECOND;

/** Seconds with fractions, as the settings of [pgbouncer] take them. */
export const seconds: ReadValue = (text) => {
  const number = Number(text);
  if (!/^\d*\.?\d*$/.test(text) || !/\d/.test(text) || number > SECONDS_MAX) {
    return { expected: 'a number of seconds without a unit, 0 or more' };
  }
  return { value: Math.round(number * MS_PER_SECOND) };
};

/** [databases] and [users] take whole ones only. */
export const wholeSeconds: ReadValue = (text) => {
  if (!/^\d{1,12}$/.test(text)) return { expected: 'a whole number of seconds without a unit, 0 or more' };
  return { value: Number(text) * MS_PER_SECOND };
};

export function whole(min = 0, max = Number.MAX_SAFE_INTEGER): ReadValue {
  const expected =
    max === Number.MAX_SAFE_INTEGER
      ? `a whole number, ${min} or more`
      : `a whole number from ${min} to ${max}`;
  return (text) => {
    const number = Number(text);
    return /^-?\d{1,15}$/.test(text) && number >= min && number <= max ? { value: number } : { expected };
  };
}

export const flag: ReadValue = (text) =>
  text === '0' || text === '1' ? { value: text === '1' } : { expected: '0 or 1' };

/** 0 is without limit there; a pool of ours has one. */
export const poolSize: ReadValue = (text) => {
  const reading = whole()(text);
  return 'value' in reading && reading.value === 0 ? { value: POOL_SIZE_UNLIMITED } : reading;
};

export const text: ReadValue = (value) => ({ value: value === '' ? undefined : value });

/** Relative to the working directory, as in PgBouncer; in files of ours it would be to the file. */
export const path: ReadValue = (value) => ({ value: value === '' ? undefined : resolve(value) });

/** Also an empty one. */
export const anyText: ReadValue = (value) => ({ value });

export function oneOf(...words: string[]): ReadValue {
  const expected = `one of ${words.join(', ')}`;
  return (value) => (words.includes(value) ? { value } : { expected });
}

/** Word of PgBouncer to value of ours. */
export function translated(words: Readonly<Record<string, unknown>>): ReadValue {
  const expected = `one of ${Object.keys(words).join(', ')}`;
  return (value) => (Object.hasOwn(words, value) ? { value: words[value] } : { expected });
}

export const fileMode: ReadValue = (value) =>
  parseFileMode(value) === null
    ? { expected: 'permissions in octal digits, as 0777' }
    : { value: value.length === 3 ? `0${value}` : value };

/** What 0 means for keepalive: the system decides. */
export function unlessZero(read: ReadValue): ReadValue {
  return (value) => {
    const reading = read(value);
    return 'value' in reading && reading.value === 0 ? { value: undefined } : reading;
  };
}

/** Of server connections: 0 is "once" there and "for ever" here. */
export function lifetime(read: ReadValue): ReadValue {
  return (value) => {
    const reading = read(value);
    return 'value' in reading && reading.value === 0 ? { value: 1 } : reading;
  };
}

export const USE_ONCE = '0 closes server connections when they are a second old, not after one use';
