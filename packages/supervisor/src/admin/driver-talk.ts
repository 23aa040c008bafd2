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
  // JDBC's autosave has one before each command.
  ['savepoint', 'SAVEPOINT'],
  ['release', 'RELEASE'],
]);

export const TRANSACTION_WORDS: readonly string[] = [...TRANSACTION_TAGS.keys()];

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

/** Functions without arguments, as drivers call them; undefined: none of them. */
function functionValue(
  name: string,
  { version }: AdminContext,
  { user, database }: AdminCaller,
): string | null | undefined {
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
    case 'current_schema':
      // As in a database where nothing of the search path exists.
      return null;
    default:
      return undefined;
  }
}

const punctuated = (token: AdminToken | undefined, text: string): boolean =>
  token?.kind === 'punctuation' && token.text === text;

/** What a list has between its commas, also those within calls: no function with arguments is known here. */
function listItems(tokens: readonly AdminToken[]): AdminToken[][] {
  const items: AdminToken[][] = [[]];
  for (const token of tokens) {
    if (punctuated(token, ',')) items.push([]);
    else items.at(-1)?.push(token);
  }
  return items;
}

interface Selected {
  column: Column;
  value: string | null;
}

/** One constant, or a call of one of a few functions; null for any other expression. */
function selectedValue(
  context: AdminContext,
  caller: AdminCaller,
  given: readonly AdminToken[],
): Selected | null {
  const isQualified = given.length > 2 && given[0].text === 'pg_catalog' && punctuated(given[1], '.');
  const [first, ...rest] = isQualified ? given.slice(2) : given;
  if (first === undefined) return null;
  if (rest.length === 0) {
    const { text } = first;
    if (first.kind === 'number')
      return { column: { name: '?column?', typeOid: numberOid(text) }, value: text };
    if (first.kind === 'string') return { column: { name: '?column?' }, value: text };
  }
  const isCall = rest.length === 2 && punctuated(rest[0], '(') && punctuated(rest[1], ')');
  if (first.kind !== 'word' || !(isCall || rest.length === 0)) return null;
  const value = functionValue(first.text, context, caller);
  if (value === undefined) return null;
  const typeOid = first.text === 'pg_is_in_recovery' ? TYPE_OID.bool : TYPE_OID.text;
  return { column: { name: first.text, typeOid }, value };
}

function selectedItem(
  context: AdminContext,
  caller: AdminCaller,
  item: readonly AdminToken[],
): Selected | null {
  const [as, alias] = item.slice(-2);
  const isNamed =
    item.length > 2 && as.kind === 'word' && as.text === 'as' && ['word', 'quoted'].includes(alias.kind);
  const selected = selectedValue(context, caller, isNamed ? item.slice(0, -2) : item);
  if (selected === null || !isNamed) return selected;
  return { ...selected, column: { ...selected.column, name: alias.text } };
}

const CATALOGS: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema']);

/** psql's \d and \l, drivers' lists of tables: no tables would be believed, so it is said what there is instead. */
export function noSql(tokens: readonly AdminToken[]): PgDogError {
  const isOfCatalog = tokens.some(
    ({ kind, text }) => kind === 'word' && (CATALOGS.has(text) || text.startsWith('pg_')),
  );
  if (!isOfCatalog) return new PgDogError('admin_no_sql');
  return new PgDogError('admin_no_sql', 'the admin database has no tables or catalogs, and runs no SQL', {
    hint: 'SHOW DATABASES and SHOW USERS list what is configured, SHOW HELP all commands. Tables are in the databases behind.',
  });
}

/** SELECT of constants and of a few functions. @throws PgDogError for any other. */
export function answerSelect(
  context: AdminContext,
  caller: AdminCaller,
  tokens: readonly AdminToken[],
): Uint8Array {
  if (tokens.length === 0) throw new PgDogError('admin_syntax');
  const selected = listItems(tokens).map((item) => selectedItem(context, caller, item));
  const columns: Column[] = [];
  const values: (string | null)[] = [];
  for (const each of selected) {
    if (each === null) throw noSql(tokens);
    columns.push(each.column);
    values.push(each.value);
  }
  return buildResult(columns, [values], 'SELECT 1');
}

/** As Postgres types a constant. */
function numberOid(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || text.includes('.') || text.toLowerCase().includes('e'))
    return TYPE_OID.numeric;
  if (value <= 0x7fff_ffff) return TYPE_OID.int4;
  return Number.isSafeInteger(value) ? TYPE_OID.int8 : TYPE_OID.numeric;
}
