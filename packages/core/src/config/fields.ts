/**
 * The kinds of values a configuration key takes. Each says in one phrase what it expects, because the phrase
 * is what an operator reads when the value is wrong ("expected …").
 */
import * as z from 'zod';
import { parseIpNetwork } from '../base/ip-network.js';

/** Longest name of a database or user that Postgres keeps (NAMEDATALEN - 1). */
export const NAME_BYTES_MAX = 63;

function expects<T extends z.ZodType>(phrase: string, make: (params: { error: string }) => T): T {
  return make({ error: `expected ${phrase}` });
}

function wholeNumber(phrase: string, min: number, max: number = Number.MAX_SAFE_INTEGER) {
  return expects(phrase, (params) => z.number(params).int(params).min(min, params).max(max, params));
}

export const duration = () => wholeNumber('a whole number of milliseconds, 0 or more', 0);
export const count = (min = 0) => wholeNumber(`a whole number, ${min} or more`, min);
export const bytes = () => wholeNumber('a whole number of bytes, 0 or more', 0);
export const portNumber = () => wholeNumber('a port number from 1 to 65535', 1, 65_535);
export const smallCount = (max: number) => wholeNumber(`a whole number from 0 to ${max}`, 0, max);
export const flag = () => expects('true or false', (params) => z.boolean(params));
export const fraction = () =>
  expects('a number from 0 to 1', (params) => z.number(params).min(0, params).max(1, params));

export const text = () => expects('a text in quotes, not empty', (params) => z.string(params).min(1, params));

export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, { error: `expected one of ${values.map((value) => `"${value}"`).join(', ')}` });

export function byteLength(value: string): number {
  return new TextEncoder().encode(value).length;
}

function isPrintable(value: string): boolean {
  for (const char of value) if (char < ' ' || char === '\x7f') return false;
  return true;
}

/** A database or user name as Postgres could have it. */
export const identifier = () => {
  const error = `expected a name of 1 to ${NAME_BYTES_MAX} bytes without control characters`;
  return z
    .string({ error })
    .refine((value) => value !== '' && byteLength(value) <= NAME_BYTES_MAX && isPrintable(value), { error });
};

/** Addresses and names separated by commas; an empty text is none. */
export const listenHosts = () => {
  const error = 'expected addresses or names separated by commas, "*" for all, or "" for none';
  const isList = (value: string) =>
    value === '' ||
    splitList(value).every((item) => item !== '' && !item.includes(' ') && !item.includes('/'));
  return z.string({ error }).refine(isList, { error });
};

/** A directory, `@name` for an abstract socket, or an empty text for none. */
export const socketDirectory = () => {
  const error = 'expected a directory as an absolute path, "@name" for an abstract socket, or "" for none';
  const isPlace = (value: string) =>
    value === '' || (isPrintable(value) && (value[0] === '/' || (value[0] === '@' && value.length > 1)));
  return z.string({ error }).refine(isPlace, { error });
};

/** Octal digits as text: TOML would read 0770 as a mistake and 770 as a decimal number. */
export const fileMode = () => {
  const error = 'expected a mode in octal digits in quotes, as "0770"';
  const isMode = (value: string) => parseFileMode(value) !== null;
  return z.string({ error }).refine(isMode, { error });
};

/** Null when it is none. Only permission bits: a sticky or set-id bit means nothing on a socket. */
export function parseFileMode(text: string): number | null {
  const digits = text.length === 4 && text[0] === '0' ? text.slice(1) : text;
  if (digits.length !== 3) return null;
  let mode = 0;
  for (const digit of digits) {
    if (digit < '0' || digit > '7') return null;
    mode = mode * 8 + Number(digit);
  }
  return mode;
}

const NETWORKS_ERROR =
  'expected networks as "10.0.0.0/8" (no bits behind the prefix), addresses, or "unix" for Unix sockets: a list, or one text separated by commas';

function isNetworkList(value: string | string[]): boolean {
  return splitList(value).every((item) => item === UNIX_NETWORK || parseIpNetwork(item) !== null);
}

/** The word that stands for clients of Unix sockets where networks are listed. */
export const UNIX_NETWORK = 'unix';

export const networks = () =>
  z
    .union([z.string(), z.array(z.string())], { error: NETWORKS_ERROR })
    .refine(isNetworkList, { error: NETWORKS_ERROR });

/** Items without the blanks around them; none for an empty text. */
export function splitList(value: string | readonly string[]): string[] {
  if (typeof value !== 'string') return value.map((item) => item.trim());
  return value.trim() === '' ? [] : value.split(',').map((item) => item.trim());
}

const SECRET_ERROR = 'expected a text in quotes, { env = "NAME" } or { file = "path" }';

const URLS_ERROR = 'expected a URL as "http://10.0.0.1:8008", or a list of them';

/** Where a REST API is; one or several. */
export const webUrls = () =>
  z
    .union([z.string(), z.array(z.string())], { error: URLS_ERROR })
    .refine((value) => splitList(value).length > 0 && splitList(value).every(isWebUrl), {
      error: URLS_ERROR,
    });

function isWebUrl(text: string): boolean {
  const isWeb = text.startsWith('http://') || text.startsWith('https://');
  return isWeb && URL.canParse(text);
}

/** A password, or where to find it. Parsed to the place, resolved by the loader. */
export const secret = () =>
  z.union(
    [z.string(), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
    { error: SECRET_ERROR },
  );

/** PgDog's names of methods, and Postgres's for the same ones. */
export const AUTH_TYPES = ['scram', 'scram-sha-256', 'md5', 'plain', 'password', 'trust', 'cert'] as const;

export type SecretInput = z.infer<ReturnType<typeof secret>>;

/** Keys of a section that this version knows but does not use: any value, but no misspelled key. */
export function unusedSection(keys: string) {
  const shape: Record<string, z.ZodOptional<z.ZodUnknown>> = {};
  for (const key of keys.split(' ')) shape[key] = z.unknown().optional();
  return z.strictObject(shape, { error: 'expected a table' });
}
