import { FRONTEND, FrameWriter, quoteLiteral, TARGET } from '@pgdog-cluster/core';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import { READING_NAMES, type ReadingValues } from '../session/parameter-set.js';
import { rowTexts } from '../wire/row-texts.js';
import { KIND_BIND, KIND_CLOSE, KIND_EXECUTE, KIND_PARSE, SWALLOW } from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';

/** For as long as a step takes; no client's name, no prepared statement's. */
const STEP_NAME = '__pgdog_step';
/** Custom settings that keep what is to be put back. They end with the transaction. */
const KEPT = 'pgdog_cluster.kept_';
const OID_TEXT = 25;

const writer = new FrameWriter(1024);

interface Change {
  readonly name: string;
  readonly value: string | null;
  /** What keeps the value there was. */
  readonly kept: string;
}

/** @param now what the settings are; null: nobody knows */
function changesTo(values: ReadingValues, now: ReadingValues | null): Change[] {
  const changes: Change[] = [];
  for (const [index, name] of READING_NAMES.entries()) {
    const value = values[index] ?? null;
    if (now === null || now[index] !== value) changes.push({ name, value, kept: `'${KEPT}${index}'` });
  }
  return changes;
}

/**
 * Has a statement read under other settings than the session's: around the Parse that `send` sends they are what `values` say.
 * It all goes out in the same send, as messages that end no batch and no transaction, whatever came before in it. The settings
 * come back as they were, be they the session's, the transaction's or unknown, and no client is told of it.
 * @param now what the settings are; null: nobody knows
 * @param isOver the transaction ends with what is sent, and the settings with it
 */
export function readUnder(
  server: ServerConnection,
  values: ReadingValues,
  now: ReadingValues | null,
  send: () => void,
  isOver = false,
): void {
  const changes = changesTo(values, now);
  if (changes.length === 0) {
    send();
    return;
  }
  const set = changes.map(({ kept }, at) => setSql(kept, `$${2 * at + 1}`, `$${2 * at + 2}`));
  step(
    server,
    `SELECT ${set.join(',')}`,
    changes.flatMap(({ name, value }) => [name, value]),
  );
  send();
  if (isOver) return;
  const back = changes.map(({ kept }, at) => backSql(kept, `$${at + 1}`));
  step(
    server,
    `SELECT ${back.join(',')}`,
    changes.map(({ name }) => name),
  );
}

/**
 * The same around a Query, by Queries: servers do not bear one within a batch (Postgres 18: "StartTransactionCommand: unexpected
 * state").
 * @param isOver no transaction is open
 */
export function readQueryUnder(
  server: ServerConnection,
  values: ReadingValues,
  now: ReadingValues | null,
  send: () => void,
  isOver: boolean,
): void {
  const changes = changesTo(values, now);
  if (changes.length === 0) {
    send();
    return;
  }
  const set = changes.map(({ name, value, kept }) =>
    setSql(kept, `'${name}'`, value === null ? 'NULL' : quoteLiteral(value)),
  );
  // What fails in a transaction that has failed already fails again in what is asked for.
  const ask = (sql: string) => server.ask({ sql, isReadingStep: true, onError() {}, onDone() {} });
  ask(`${isOver ? 'BEGIN;' : ''}SELECT ${set.join(',')}`);
  send();
  ask(isOver ? 'COMMIT' : `SELECT ${changes.map(({ name, kept }) => backSql(kept, `'${name}'`)).join(',')}`);
}

function setSql(kept: string, name: string, value: string): string {
  return (
    `CASE WHEN pg_catalog.set_config(${kept}, pg_catalog.current_setting(${name}), true) IS NOT NULL ` +
    `THEN pg_catalog.set_config(${name}, ${value}, true) END`
  );
}

function backSql(kept: string, name: string): string {
  return `pg_catalog.set_config(${name}, pg_catalog.current_setting(${kept}), true)`;
}

const ASK_SQL = `SELECT ${READING_NAMES.map((name) => `pg_catalog.current_setting('${name}')`).join(',')}`;

function noteRow(statement: PreparedStatement) {
  return (bytes: Uint8Array, start: number, end: number) => {
    statement.values = rowTexts(bytes, start, end);
  };
}

/** Asks under which settings the Parse was read that has just been sent. An error ahead of it leaves them unknown. */
export function askReading(server: ServerConnection, statement: PreparedStatement): void {
  step(server, ASK_SQL, [], noteRow(statement));
}

/** The same for a PREPARE, as soon as its Query is answered: of the transaction it stood in, or of the session. */
export function askReadingBehind(server: ServerConnection, statement: PreparedStatement): void {
  if (server.isBatchOpen || server.isFrameOpen) return;
  server.ask({ sql: ASK_SQL, onRow: noteRow(statement), onError() {}, onDone() {} });
}

/** A statement of ours within a batch: one row of texts. */
function step(
  server: ServerConnection,
  sql: string,
  values: (string | null)[],
  onRow?: (bytes: Uint8Array, start: number, end: number) => void,
): void {
  const { pending } = server;
  // An error can only be the transaction's, or the end that a client puts to what it waits for: its own in either case.
  const ref = { kind: 'statementUse', serverName: '', isReadingStep: true, undo() {}, onRow };
  writer.reset();
  // One may be left where an error came in the middle.
  writer.begin(FRONTEND.Close).byte(TARGET.Statement).cstring(STEP_NAME).end();
  pending.push(KIND_CLOSE | SWALLOW, ref);
  writer.begin(FRONTEND.Parse).cstring(STEP_NAME).cstring(sql).int16(values.length);
  for (const _ of values) writer.int32(OID_TEXT);
  writer.end();
  pending.push(KIND_PARSE | SWALLOW, ref);
  writer.begin(FRONTEND.Bind).cstring(STEP_NAME).cstring(STEP_NAME).int16(0).int16(values.length);
  for (const value of values) {
    const bytes = value === null ? null : Buffer.from(value);
    writer.int32(bytes === null ? -1 : bytes.length);
    if (bytes !== null) writer.bytes(bytes);
  }
  writer.int16(0).end();
  pending.push(KIND_BIND | SWALLOW, ref);
  writer.begin(FRONTEND.Execute).cstring(STEP_NAME).int32(0).end();
  pending.push(KIND_EXECUTE | SWALLOW, ref);
  for (const target of [TARGET.Portal, TARGET.Statement]) {
    writer.begin(FRONTEND.Close).byte(target).cstring(STEP_NAME).end();
    pending.push(KIND_CLOSE | SWALLOW, ref);
  }
  server.send(writer.view());
}
