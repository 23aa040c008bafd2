import { definitionSlot, FRONTEND, FrameWriter, readLength, readParse } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { Pool } from '../pool/pool.js';
import type { Session } from '../session/session.js';
import type { PreparedStatement } from './prepared-statements.js';

const HEADER_BYTES = 5;
const [UPPER_A, UPPER_C, UPPER_D, UPPER_O, UPPER_R] = Buffer.from('ACDOR');
/** Behind CREATE and a blank; what is new is meant by no text that could be read before, but for one that it hides from others. */
const ADDITIONS = [Buffer.from('TABLE'), Buffer.from('INDEX'), Buffer.from('SEQUENCE'), Buffer.from('STAT')];
const CREATED_AT = 'CREATE '.length;
const COUNT_BYTES = 2;
const OID_BYTES = 4;
/** Those below are Postgres's own, and stay. */
const FIRST_USER_OID = 16384;
const writer = new FrameWriter(1024);

/** In which slot a database counts: of several shards as the first one, so that a statement has one name on all. */
function slotOf({ context, database, user }: Pick<Session, 'context' | 'database' | 'user'>): number {
  return definitionSlot(context.directory.pool(database, user)?.serverDatabase ?? database);
}

/**
 * How often the definitions have changed by which a session's texts are read now. Postgres finds out the types of parameters when a text
 * is parsed, and keeps to them: with `ALTER TABLE … TYPE` an INSERT that was prepared before goes on taking its values for what the
 * column was, and a client that prepares it afterwards must not be given that one.
 */
export function definitionsOf(session: Pick<Session, 'context' | 'database' | 'user'>): number {
  return session.context.memory.definitions.count(slotOf(session));
}

/** Over this connection, or elsewhere in its database. */
export function definitionsChanged({
  context,
  pool,
}: Pick<ServerConnection, 'context'> & { pool: Pick<Pool, 'snapshot'> }): void {
  const { database, user, serverDatabase } = pool.snapshot;
  const { definitions } = context.memory;
  const shared = slotOf({ context, database, user });
  const own = definitionSlot(serverDatabase);
  definitions.changed(shared);
  if (own !== shared) definitions.changed(own);
}

/** At the end of a transaction over this connection: from now on others see what it has changed, or nobody does. */
export function settleDefinitions(server: ServerConnection): void {
  if (!server.hasDefined) return;
  server.hasDefined = false;
  definitionsChanged(server);
}

/** The tag of a statement that has just run is in bytes[start, end). What its transaction reads from now on is no matter of others. */
export function noteTag(server: ServerConnection, bytes: Uint8Array, start: number, end: number): void {
  if (!mayDefine(bytes, start + HEADER_BYTES, end)) return;
  server.hasDefined = true;
  definitionsChanged(server);
}

/** ALTER, DROP, CREATE of what other things are read by, and DO, which may hold any of them. */
function mayDefine(bytes: Uint8Array, at: number, end: number): boolean {
  const second = bytes[at + 1];
  switch (bytes[at]) {
    case UPPER_A:
      return true;
    case UPPER_D:
      return second === UPPER_R || (second === UPPER_O && bytes[at + 2] === 0);
    case UPPER_C:
      return second === UPPER_R && !isAddition(bytes.subarray(at + CREATED_AT, end));
    default:
      return false;
  }
}

function isAddition(created: Uint8Array): boolean {
  return ADDITIONS.some((word) => word.equals(created.subarray(0, word.length)));
}

/** A ParameterDescription without its header: its client binds by these types, whatever a server would find later. */
export function noteTold(statement: PreparedStatement, types: Uint8Array): void {
  if (statement.told !== null || statement.isSqlLevel) return;
  for (let at = COUNT_BYTES; at + OID_BYTES <= types.length; at += OID_BYTES)
    if (readLength(types, at) >= FIRST_USER_OID) return;
  statement.told = types.slice();
}

/**
 * What makes a server have the statement for a client who prepared it before definitions changed: with the types of then, as Postgres
 * itself analyses a text anew whose plan is not valid any more (plancache.c). A type of users may have gone.
 */
export function frameToKeep(session: Session, { frame, told, definitions }: PreparedStatement): Uint8Array {
  if (told === null || definitions === definitionsOf(session)) return frame;
  const fields = readParse(frame, HEADER_BYTES, frame.length);
  if (fields === null) return frame;
  // Behind the text is its terminator.
  writer
    .reset()
    .begin(FRONTEND.Parse)
    .bytes(frame, HEADER_BYTES, fields.textEnd + 1)
    .bytes(told)
    .end();
  return writer.take();
}
