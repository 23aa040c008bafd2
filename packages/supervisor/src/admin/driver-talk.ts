import {
  buildNoticeResponse,
  buildResult,
  type Column,
  FrameWriter,
  PgDogError,
  TYPE_OID,
  writeCommandComplete,
} from '@pgdog-cluster/core';
import type { AdminCaller, AdminContext } from './admin-context.js';
import type { AdminToken } from './admin-lexer.js';
import { humanDuration } from './show-config.js';

/**
 * What drivers and psql say unasked, on any connection: SET of client settings, SHOW of server settings, BEGIN,
 * SELECT 1. Answered so that they go on; none of it has an effect, because the admin database runs no SQL.
 */

/** Settings a driver may ask for before it believes in a connection. Others have an empty value, as in PgDog. */
const SHOWN_SETTINGS: ReadonlyMap<string, string> = new Map([
  ['client_encoding', 'UTF8'],
  ['server_encoding', 'UTF8'],
  ['standard_conforming_strings', 'on'],
  ['integer_datetimes', 'on'],
  ['datestyle', 'ISO, MDY'],
  ['timezone', 'UTC'],
  ['transaction_isolation', 'read committed'],
  ['transaction_read_only', 'off'],
  ['default_transaction_read_only', 'off'],
  ['in_hot_standby', 'off'],
]);

/** Names of several words. */
const LONG_NAMES: ReadonlyMap<string, string> = new Map([
  ['time zone', 'timezone'],
  ['transaction isolation level', 'transaction_isolation'],
  ['session authorization', 'session_authorization'],
]);

const TRANSACTION_TAGS: ReadonlyMap<string, string> = new Map([
  ['begin', 'BEGIN'],
  ['start', 'START TRANSACTION'],
  ['commit', 'COMMIT'],
  ['end', 'COMMIT'],
  ['rollback', 'ROLLBACK'],
  ['abort', 'ROLLBACK'],
]);

export function completion(tag: string): Uint8Array {
  const writer = new FrameWriter();
  writeCommandComplete(writer, tag);
  return writer.take();
}

/** A setting's name as a client may write it, dots and quotes included; null when it is none. */
function settingName(tokens: readonly AdminToken[]): string | null {
  let isNameDue = true;
  let name = '';
  for (const { kind, text } of tokens) {
    const isName = kind === 'word' || kind === 'quoted';
    if (isNameDue ? !isName : text !== '.') return null;
    isNameDue = !isNameDue;
    name += text;
  }
  return isNameDue ? null : name.toLowerCase();
}

/** SHOW of what is not one of our tables: one row. @throws PgDogError admin_syntax when it is no name. */
export function answerDriverShow(tokens: readonly AdminToken[]): Uint8Array {
  const words = tokens.map(({ text }) => text).join(' ');
  const name = LONG_NAMES.get(words) ?? settingName(tokens);
  if (name === null) throw new PgDogError('admin_syntax');
  return buildResult([{ name }], [[SHOWN_SETTINGS.get(name) ?? '']], 'SHOW');
}

/** Where the name of `SET [SESSION | LOCAL] name {= | TO} value` ends; -1 when it is something else. */
function nameEnd(tokens: readonly AdminToken[]): number {
  return tokens.findIndex(({ kind, text }) => text === '=' || (kind === 'word' && text === 'to'));
}

/** SET NAMES, SET TIME ZONE and such: a fixed name, then the value. */
const NAMED_SETS: readonly string[][] = [
  ['names'],
  ['time', 'zone'],
  ['transaction'],
  ['characteristics', 'as', 'transaction'],
];

/**
 * A setting of ours is changed, or refused by name: who changes a time-out must not believe that it was changed. What
 * sets something on the client's side is accepted and has no effect.
 */
export async function answerSet(
  context: AdminContext,
  { isViewer = false }: AdminCaller,
  given: readonly AdminToken[],
): Promise<Uint8Array> {
  const isScoped = given.length > 1 && (given[0].text === 'session' || given[0].text === 'local');
  const tokens = isScoped ? given.slice(1) : given;
  const isNamed = NAMED_SETS.some(
    (words) => tokens.length > words.length && words.every((word, index) => tokens[index].text === word),
  );
  if (isNamed) return completion('SET');
  const end = nameEnd(tokens);
  const name = end === -1 ? null : settingName(tokens.slice(0, end));
  if (name === null || end === tokens.length - 1) throw new PgDogError('admin_syntax');
  const find = () => context.settings().find((setting) => setting.name === name);
  if (find() === undefined) return completion('SET');
  if (isViewer) throw new PgDogError('admin_only', 'admin access needed');
  const words = tokens.slice(end + 1).map(({ text }) => text);
  await context.orders.set(name, words.join(''));
  const now = find();
  const value = now?.unit === 'ms' ? humanDuration(Number(now.value)) : (now?.value ?? 'default');
  const message = `${name} is ${value} now, until the next RELOAD`;
  const notice = buildNoticeResponse({ severity: 'NOTICE', sqlstate: '00000', message });
  return Buffer.concat([notice, completion('SET')]);
}

/** BEGIN, COMMIT and so on; there is never a transaction. */
export function answerTransaction(first: string): Uint8Array {
  return completion(TRANSACTION_TAGS.get(first) ?? 'COMMIT');
}

/** Functions without arguments, as drivers call them. */
function functionValue(
  name: string,
  { version }: AdminContext,
  { user, database }: AdminCaller,
): string | null {
  switch (name) {
    case 'version':
      return `pgdog-cluster ${version}`;
    case 'current_database':
    case 'current_catalog':
      return database;
    case 'current_user':
    case 'session_user':
    case 'user':
      return user;
    case 'pg_is_in_recovery':
      return 'f';
    default:
      return null;
  }
}

/** SELECT of one constant or of one of a few functions. @throws PgDogError admin_syntax for any other. */
export function answerSelect(
  context: AdminContext,
  caller: AdminCaller,
  given: readonly AdminToken[],
): Uint8Array {
  const isQualified = given.length > 2 && given[0].text === 'pg_catalog' && given[1].text === '.';
  const tokens = isQualified ? given.slice(2) : given;
  const [first, ...rest] = tokens;
  const one = (column: Column, value: string) => buildResult([column], [[value]], 'SELECT 1');
  if (first !== undefined && rest.length === 0) {
    if (first.kind === 'number') return one({ name: '?column?', typeOid: numberOid(first.text) }, first.text);
    if (first.kind === 'string') return one({ name: '?column?' }, first.text);
  }
  const isCall = rest.length === 2 && rest[0].text === '(' && rest[1].text === ')';
  const value =
    first?.kind === 'word' && (isCall || rest.length === 0)
      ? functionValue(first.text, context, caller)
      : null;
  if (value === null) throw new PgDogError('admin_syntax', 'the admin database runs no SQL');
  const typeOid = first.text === 'pg_is_in_recovery' ? TYPE_OID.bool : TYPE_OID.text;
  return one({ name: first.text, typeOid }, value);
}

/** As Postgres types a constant. */
function numberOid(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || text.includes('.') || text.toLowerCase().includes('e'))
    return TYPE_OID.numeric;
  if (value <= 0x7fff_ffff) return TYPE_OID.int4;
  return Number.isSafeInteger(value) ? TYPE_OID.int8 : TYPE_OID.numeric;
}
