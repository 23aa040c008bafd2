import {
  buildErrorResponse,
  type ErrorFields,
  FRONTEND,
  frameBytesOf,
  PgDogError,
} from '@pgdog-cluster/core';
import { type PreparedStatement, SERVER_NAME_PREFIX, STAND_IN_PREFIX } from '../plan/prepared-statements.js';
import { fieldsOf } from '../session/fields-of.js';
import type { Session } from '../session/session.js';
import { isStatementUse, type OwnExchange } from './own-exchange.js';
import { DISPOSITION_MASK, FORWARD, KIND_MASK, KIND_QUERY, KIND_SYNC, SWALLOW } from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';
import { skipToSync } from './skipped-replies.js';

const HEADER_BYTES = 5;

/**
 * Two errors that a client of one Postgres would not have met, because they come from sharing: a statement kept
 * on the server whose result type a DDL has changed (0A000; the client prepared it after the change, the server
 * connection before), and one that somebody removed from the server behind our back (26000).
 *
 * They are healed once per exchange, when nothing of the answer has reached the client and no transaction was
 * open: the server forgets its statements and the exchange runs again. A result that a DDL has changed only where the client
 * is told of it in this exchange, by Parse or Describe: another one would read rows by what it was told before. It gets the
 * error, as from Postgres, until it prepares the statement again. Returns true when the exchange will be repeated.
 */
export function tryHeal(server: ServerConnection, ref: object | null, fields: ErrorFields): boolean {
  const session = server.session;
  const isOutdated = isOfOtherType(fields);
  if (session === null || session.isSessionMode || !(isOutdated || isMissing(fields))) return false;
  if (!(ref !== null && (isStatementUse(ref) || 'serverName' in ref || 'plan' in ref))) return false;
  const isSimple = (server.pending.head() & KIND_MASK) === KIND_QUERY;
  const frames = server.isHealing || session.transaction.isOpen ? null : server.requestLog.take();
  const isChanged = isOutdated && isOfDdl(server, session);
  const isTold = frames !== null && (isSimple || !isChanged || describes(frames));
  const isFlushed = frames !== null && !isSimple && hasNoSync(server) && onlyPrepares(frames);
  if (frames === null || !isTold || !(isSimple || isFlushed || endsInOneSync(server))) {
    server.isPreparedOutdated ||= isOutdated;
    if (isChanged) noteChanged(session, ref);
    return false;
  }
  if (isChanged) {
    noteChanged(session, ref);
    if ('frame' in ref) session.statements.noteShape(ref as PreparedStatement, session.database);
  }
  server.isHealing = true;
  // What the client sends meanwhile comes behind what is repeated.
  server.hasEffectPending = true;
  if (!isSimple) skipToSync(server);
  // Its client has asked for what there is by Flush: the batch begins anew.
  if (isFlushed) server.sendOwnSync();
  const kind = server.pending.head() & KIND_MASK;
  const again: OwnExchange = {
    sql: '',
    onError() {},
    onDone() {
      forgetStatements(server);
      server.hasEffectPending = false;
      server.relay.beginRepeat();
      session.repeat(frames);
    },
  };
  server.pending.setCodeAt(0, kind | SWALLOW, again);
  return true;
}

/** Of a name that is not one of ours the client has to hear; the unnamed statement has none. */
function isMissing({ sqlstate, message }: ErrorFields): boolean {
  if (sqlstate !== '26000' || message.includes(STAND_IN_PREFIX)) return false;
  return message.includes(SERVER_NAME_PREFIX) || !message.includes('"');
}

/**
 * These SQLSTATEs mean many things; the texts are fixed in plancache.c and lsyscache.c, but may be translated. The second is of a
 * parameter or column whose type was dropped, and made again perhaps.
 */
function isOfOtherType({ sqlstate, message }: ErrorFields): boolean {
  if (sqlstate === '0A000') return message.startsWith('cached plan must not change result type');
  return sqlstate === 'XX000' && message.startsWith('cache lookup failed for type');
}

/** Whether the client learns in this exchange what the rows are like. */
function describes(frames: Uint8Array): boolean {
  for (let at = 0; at + HEADER_BYTES <= frames.length; at += frameBytesOf(frames, at)) {
    if (frames[at] === FRONTEND.Parse || frames[at] === FRONTEND.Describe) return true;
  }
  return false;
}

/** Nothing has been executed in the batch, and nothing bound that could be. */
function onlyPrepares(frames: Uint8Array): boolean {
  for (let at = 0; at + HEADER_BYTES <= frames.length; at += frameBytesOf(frames, at)) {
    if (!PREPARING.has(frames[at])) return false;
  }
  return true;
}

const PREPARING: ReadonlySet<number> = new Set([FRONTEND.Parse, FRONTEND.Describe, FRONTEND.Flush]);

/**
 * Nothing but a DDL has made the result another one. Where clients have search paths of their own, or one has temporary tables, the
 * statement is of other tables for each, and each has been told of its own.
 */
function isOfDdl(server: ServerConnection, session: Session): boolean {
  return !server.hasHadPath && session.pins === 0;
}

/** Whoever has prepared the statement in this database goes by its old result, until it is prepared again. */
export function noteChanged({ database }: Session, ref: object): void {
  if (!('frame' in ref)) return;
  const statement = ref as PreparedStatement;
  statement.shapes ??= new Map();
  statement.shapes.set(database, (statement.shapes.get(database) ?? 0) + 1);
}

/**
 * What a client is told that binds a statement by the number of columns it had when it was described, where the server
 * connection has read it since: as Postgres has it, and by this text drivers know that they must prepare it again.
 */
export function outdatedBind(
  server: ServerConnection,
  ref: object | null,
  { sqlstate, message }: ErrorFields,
): Uint8Array | null {
  const { session } = server;
  const isOfFormats = sqlstate === '08P01' && message.includes(' result formats but query has ');
  if (!isOfFormats || session === null || session.isSessionMode || ref === null || !('frame' in ref))
    return null;
  // Of this client alone: it may have counted wrongly.
  session.statements.noteOutdated(ref as PreparedStatement);
  return buildErrorResponse(fieldsOf(new PgDogError('plan_outdated')));
}

/** The rest of what is owed is this batch alone, up to its Sync, and all of it the client's. */
function endsInOneSync(server: ServerConnection): boolean {
  const { pending } = server;
  for (let index = 0; index < pending.length; index++) {
    const isSync = (pending.codeAt(index) & KIND_MASK) === KIND_SYNC;
    if (isSync) return index === pending.length - 1 && (pending.codeAt(index) & DISPOSITION_MASK) === FORWARD;
  }
  return false;
}

function hasNoSync(server: ServerConnection): boolean {
  const { pending } = server;
  for (let index = 0; index < pending.length; index++)
    if ((pending.codeAt(index) & KIND_MASK) === KIND_SYNC) return false;
  return true;
}

/** Which statements are outdated is not known, and parsing anew is cheap. */
export function forgetStatements(server: ServerConnection): void {
  server.prepared.clear();
  server.isPreparedOutdated = false;
  server.unnamedId = 0;
  server.ask({ sql: 'DEALLOCATE ALL', onError() {}, onDone() {} });
}
