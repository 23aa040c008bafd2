import {
  FRONTEND,
  FrameWriter,
  PgDogError,
  PREPARE_LEVEL,
  type PrepareEffect,
  READY,
  SETS_PARAMETER,
  type SqlPlan,
} from '@pgdog-cluster/core';
import { KIND_PARSE, SWALLOW } from '../backend/pending-replies.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { closeStatement, ensureStatement } from '../backend/synchronise.js';
import { SERVER_NAME_PREFIX, standInName, type TextReading } from '../plan/prepared-statements.js';
import { readsClock } from '../plan/reads-clock.js';
import { type ClientStatements, currentReading, isReadingUnknown } from './client-statements.js';
import { NamesUnderWay } from './names-under-way.js';
import type { PortalPlan } from './portals.js';
import type { Session } from './session.js';
import { charactersIn, type TextEdit } from './text-edits.js';
import type { PlanUse } from './transaction.js';

/**
 * The text of PREPARE, EXECUTE and DEALLOCATE statements with the client's names replaced by those on the
 * server, after making sure that the server has what is executed. A PgDogError when the client's names do not
 * allow it, as Postgres would say.
 *
 * What DEALLOCATE takes away is a stand-in, an empty statement made for it: under the name on the server others of the
 * client's names may stand, also in this text, and so may other clients'.
 * @param edits is given where names were replaced; null: the text of a Parse, of which stand-ins are made when it is executed
 */
export function renameStatements(
  session: Session,
  server: ServerConnection,
  plan: SqlPlan,
  bytes: Uint8Array,
  edits: TextEdit[] | null,
): Uint8Array | PgDogError {
  const pieces: Uint8Array[] = [];
  let sent = 0;
  const { statements } = session;
  const own = server.isBatchOpen ? (statements.underWay ?? new NamesUnderWay()) : new NamesUnderWay();
  if (server.isBatchOpen) statements.underWay = own;
  let copied = 0;
  for (const statement of plan.statements) {
    const { effect } = statement;
    if (effect?.type === 'prepare' && isTaken(session, effect.name, own)) {
      // Made by this same Query: then it is there when the server gets here, and says 42P05. Any other might be missing, and its name be made with another text.
      if (server.isBatchOpen || typeof own.get(effect.name) !== 'string') {
        const isFailed = server.readyStatus === READY.Failed && statement === plan.statements[0];
        return isFailed ? new PgDogError('failed_transaction') : taken(effect.name);
      }
    } else if (effect?.type === 'prepare') {
      const tooMany = statements.refusal();
      if (tooMany !== null) return tooMany;
      const reading = readingOfPrepare(session, server, plan, effect, own);
      const serverName = session.context.statements.sqlServerName(effect, reading);
      statements.expectSql(effect.name, reading);
      // Another client has prepared the same text on this server: take it away, so that PREPARE itself runs and
      // can fail as it must.
      if (server.prepared.has(serverName)) closeStatement(server, serverName);
      own.made(effect.name, serverName);
    }
    for (const span of statement.nameSpans) {
      const serverName =
        effect?.type === 'deallocate'
          ? standInFor(session, server, span.name, own, edits !== null)
          : serverNameFor(session, server, span.name, own);
      if (serverName instanceof PgDogError) return serverName;
      // The server's to answer: a function may have prepared it, or a text that nobody has read; the transaction may have failed.
      if (serverName === null && !span.name.startsWith(SERVER_NAME_PREFIX)) continue;
      if (serverName === null) {
        return new PgDogError(
          'unknown_prepared_statement',
          `prepared statement "${span.name}" does not exist`,
        );
      }
      pieces.push(bytes.subarray(copied, span.start), Buffer.from(serverName, 'latin1'));
      const at = sent + charactersIn(bytes, copied, span.start);
      edits?.push({ at, sent: serverName.length, given: charactersIn(bytes, span.start, span.end) });
      sent = at + serverName.length;
      copied = span.end;
    }
    if (effect?.type === 'deallocate') own.gone(effect.name);
  }
  pieces.push(bytes.subarray(copied));
  return Buffer.concat(pieces);
}

/** Two names for one text in one batch are two statements on the server: the first is not there yet to be taken away. */
function readingOfPrepare(
  session: Session,
  server: ServerConnection,
  plan: SqlPlan,
  effect: PrepareEffect,
  own: NamesUnderWay,
): TextReading {
  const reading = readingFor(session, server, plan, effect.body);
  const serverName = session.context.statements.sqlServerName(effect, reading);
  return own.hasServerName(serverName) ? { ...reading, readingKey: uniqueKey() } : reading;
}

function isTaken(session: Session, name: string, own: NamesUnderWay): boolean {
  const made = own.get(name);
  return made === undefined ? session.statements.get(name) !== undefined : made !== null;
}

function taken(name: string): PgDogError {
  return new PgDogError('duplicate_prepared_statement', `prepared statement "${name}" already exists`);
}

function serverNameFor(
  session: Session,
  server: ServerConnection,
  name: string,
  own: NamesUnderWay,
): string | PgDogError | null {
  const made = own.get(name);
  if (made !== undefined) return made;
  const statement = session.statements.current(name, session);
  if (statement === undefined) return null;
  own.uses(statement.serverName);
  return ensureStatement(session, server, statement) ?? statement.serverName;
}

/** Null: the client has no such statement that we know. */
function standInFor(
  session: Session,
  server: ServerConnection,
  name: string,
  own: NamesUnderWay,
  isQuery: boolean,
): string | null {
  const made = own.get(name);
  if (made === null || (made === undefined && session.statements.get(name) === undefined)) return null;
  const standIn = standInName(isQuery ? own.nextStandIn() : 0);
  if (isQuery) makeStandIn(server, standIn);
  return standIn;
}

const writer = new FrameWriter(256);

/** Anew, for one may be left of a DEALLOCATE that an error kept from running. No transaction is too failed for an empty text. */
function makeStandIn(server: ServerConnection, standIn: string): void {
  closeStatement(server, standIn, () => server.prepared.delete(standIn));
  server.pending.push(KIND_PARSE | SWALLOW, null);
  writer.reset().begin(FRONTEND.Parse).cstring(standIn).cstring('').int16(0).end();
  server.send(writer.view());
}

/** An Execute of something that is noted. What is prepared behind a DEALLOCATE, in the same batch, is not deallocated by it. */
export function executeUse(
  session: Session,
  server: ServerConnection,
  { plan, values }: PortalPlan,
): PlanUse {
  const use = { plan, next: 0, values, restored: null, edits: null };
  if ((plan.flags & PREPARE_LEVEL) === 0) return use;
  const { statements } = session;
  const underWay = statements.beginUnderWay();
  const effect = plan.statements[0]?.effect ?? null;
  if (effect?.type === 'deallocate' && effect.name !== null) {
    const late = standInForExecute(statements, underWay, server, effect.name);
    const taken = statements.takeAway([effect.name], session);
    return { ...use, batch: { late, mark: '', done: taken.done }, undo: taken.undo };
  }
  if (effect?.type === 'prepare') underWay.executes(effect.name);
  if (effect?.type !== 'deallocate' && (effect?.type !== 'discard' || effect.what !== 'all')) return use;
  const mark = `behind ${++marks}`;
  server.prepared.add(mark);
  const taken = statements.takeAway(statements.names(), session);
  const undo = () => {
    server.prepared.delete(mark);
    taken.undo();
  };
  return { ...use, batch: { late: underWay.takeExecuted(), mark, done: taken.done }, undo };
}

let marks = 0;

/** @returns the name where its PREPARE is on its way */
function standInForExecute(
  statements: ClientStatements,
  underWay: NamesUnderWay,
  server: ServerConnection,
  name: string,
): string[] {
  const isOnItsWay = underWay.takeExecuted(name).length > 0;
  const standIn = standInName(0);
  if (isOnItsWay || statements.get(name) !== undefined) makeStandIn(server, standIn);
  else closeStatement(server, standIn, () => server.prepared.delete(standIn));
  return isOnItsWay ? [name] : [];
}

let uniqueKeys = 0;

/** Of a statement that is shared with nobody. */
function uniqueKey(): string {
  return `once ${++uniqueKeys}`;
}

/**
 * Under which settings a text sent now will be read. While some are being changed ahead of it nobody knows: such
 * a statement is shared with nobody, and read anew when it is next used. But a Query is converted before any of it runs.
 */
export function readingFor(
  session: Session,
  server: ServerConnection,
  plan: SqlPlan | null,
  text: string,
): TextReading {
  // What another client has had read has the time of then.
  const ownKey = readsClock(text) ? uniqueKey() : '';
  const reading = { ...currentReading(session), ownKey };
  if ((server.isSettingPending || session.isStateUnread) && server.isBatchOpen)
    return { ...reading, readingKey: uniqueKey(), encoding: null, values: null };
  const isChanging =
    server.isSettingPending || isReadingUnknown(session) || ((plan?.flags ?? 0) & SETS_PARAMETER) !== 0;
  return isChanging ? { ...reading, readingKey: uniqueKey(), values: null } : reading;
}
