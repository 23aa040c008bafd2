// ● per-frame path
import {
  buildErrorResponse,
  type ErrorFields,
  FRONTEND,
  FrameWriter,
  PgDogError,
  parseErrorFields,
  quoteLiteral,
  READY,
  TARGET,
} from '@pgdog-cluster/core';
import { frameToKeep } from '../plan/definitions.js';
import { dependsOnReading } from '../plan/depends-on-reading.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import { synchroniseFailed } from '../pool/server-trouble.js';
import { encodingOf, isReadingUnknown, readingSettings } from '../session/client-statements.js';
import {
  differenceSql,
  encodingReplay,
  inAnyEncoding,
  mayFailOnReplay,
  type ParameterSet,
} from '../session/parameter-set.js';
import { PIN_TEMP } from '../session/pin-reasons.js';
import type { Session } from '../session/session.js';
import { compareResult, mayHaveChanged } from './describe-ahead.js';
import { forgetStatements } from './heal.js';
import { KIND_CLOSE, KIND_PARSE, KIND_QUERY, SWALLOW } from './pending-replies.js';
import { readQueryUnder, readUnder } from './read-under.js';
import { takeResetSql } from './reset.js';
import type { ServerConnection } from './server-connection.js';
import { sendParse } from './shard-numbers.js';

const writer = new FrameWriter(256);

/**
 * Makes a server connection match the session before a request. What is needed goes out in the same send as
 * the request. False: the request must wait (session resumed later), because a setting may fail (a role that
 * has been dropped) and the request would then run with another's rights.
 */
export function synchronise(session: Session, server: ServerConnection): boolean {
  if (server.readyStatus === READY.Failed) return true;
  if (server.isPreparedOutdated && server.readyStatus === READY.Idle) forgetStatements(server);
  let reset: string | null = null;
  if (server.isSuspect && server.lastSessionId !== session.id) {
    reset = takeResetSql(server);
    server.sequenceSessionId = session.id;
    server.pool.row.cleaned();
  }
  server.lastSessionId = session.id;
  // Whatever this session asks for, a trigger or a view may do more.
  if (server.pool.code.isHidden) server.isSuspect = true;
  if (readsSequences(server)) discardSequences(session, server);
  if (!synchroniseSettings(session, server, reset)) return false;
  // Read under the session's settings, search_path and role among them. Within a transaction the refusal of one that nobody
  // executes would be its end.
  const hasAhead = session.statements.sqlLevelCount > 0 || session.statements.hasForeign(session);
  if (hasAhead && server.readyStatus === READY.Idle) ensureAhead(session, server);
  return true;
}

/** `reset` goes ahead of the settings, in the same text: what a server reports is told once, at its end. */
function synchroniseSettings(session: Session, server: ServerConnection, reset: string | null): boolean {
  if (server.parameters === session.parameters || server.parameters.equals(session.parameters)) {
    if (reset !== null) server.ask(pipelined(session, server, reset));
    // Until the reset is answered, what the server reported last are another session's settings.
    else if (server.reported !== session.reported) session.tellReports(server.reported);
    return true;
  }
  const difference = differenceSql(server.parameters, session.parameters);
  const { first, sql } = inAnyEncoding(difference, session.parameters);
  if (session.requests !== null && mayFailOnReplay(server.parameters, session.parameters)) {
    // Not in one text: what fails would take the reset back.
    askAhead(session, server, reset, first);
    server.ask(awaited(session, server, sql, session.parameters));
    return false;
  }
  session.transaction.beforeSynchronise(server);
  server.parameters = session.parameters;
  if (session.parameters.entries.has('search_path')) server.hasHadPath = true;
  // One text, but where the encoding must be another before it is read.
  if (first !== '') askAhead(session, server, reset, first);
  server.ask(pipelined(session, server, reset === null || first !== '' ? sql : `${reset};${sql}`));
  return true;
}

function askAhead(session: Session, server: ServerConnection, reset: string | null, first: string): void {
  if (reset !== null) server.ask(pipelined(session, server, reset));
  if (first !== '') server.ask(encodingStep(session, server, first));
}

/** The request follows at once: should this fail against expectation, the connection and the client are cut. */
function pipelined(session: Session, server: ServerConnection, sql: string) {
  return {
    sql,
    onError(frame: Uint8Array) {
      const fields = parseErrorFields(frame, 5, frame.length);
      synchroniseFailed(server, session, fields);
    },
    onDone() {},
  };
}

/** The request waits for the outcome. */
function awaited(session: Session, server: ServerConnection, sql: string, wanted: ParameterSet) {
  let failure: ErrorFields | null = null;
  return {
    sql,
    onError(frame: Uint8Array) {
      failure = parseErrorFields(frame, 5, frame.length);
    },
    onDone() {
      const { requests } = session;
      const isHeld = session.server === server;
      if (isHeld) session.transaction.beforeSynchronise(server);
      // Also when the client has gone meanwhile: the next one must not get the role.
      if (failure === null) server.parameters = wanted;
      if (wanted.entries.has('search_path')) server.hasHadPath = true;
      if (requests === null || !isHeld) return;
      if (failure !== null) requests.refusal = refusalOf(failure);
      // The request goes on as soon as the connection is quiet, which it is after this answer.
      requests.isSettling = true;
    },
  };
}

function refusalOf(failure: ErrorFields): PgDogError {
  return new PgDogError(
    'settings_refused',
    `a setting of this session cannot be applied: ${failure.message}`,
  );
}

/** What cannot be prepared within a batch: what is so by a Query, or under another encoding than the session's. */
function ensureAhead(session: Session, server: ServerConnection): void {
  for (const name of session.statements.names()) {
    const statement = session.statements.current(name, session);
    if (statement === undefined || (!statement.isSqlLevel && !isForeign(statement, session))) continue;
    // What cannot be had is refused where it is used, and then asked of this server again.
    if (!server.refusedPrepares.has(statement.serverName)) ensureStatement(session, server, statement, false);
  }
}

/** Its bytes would be other characters if they were sent as the session's are. */
function isForeign({ encoding }: PreparedStatement, session: Session): boolean {
  return encoding !== '' && encoding !== encodingOf(session);
}

/**
 * Makes the server have the statement, ahead of the message that needs it, or (`isExecuted` false) may need it.
 * @param isFirst that message begins the client's batch
 * @returns why it cannot have it
 */
export function ensureStatement(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement,
  isExecuted = true,
  isFirst = false,
): PgDogError | null {
  if (isExecuted && session.statements.isOutdated(statement, session.database))
    return new PgDogError('plan_outdated');
  return isThere(server, statement) ? null : ensureMissing(session, server, statement, isExecuted, isFirst);
}

/** The same for a Bind. True: it waits until the server has said what the statement's result is. */
export function ensureBound(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement,
  isFirst: boolean,
): PgDogError | boolean {
  if (session.statements.isOutdated(statement, session.database)) return new PgDogError('plan_outdated');
  if (isThere(server, statement)) return false;
  if (server.comparing !== '') return true;
  const mustWait = mayHaveChanged(session, server, statement);
  const problem = ensureMissing(session, server, statement, true, isFirst);
  if (problem === null && mustWait) compareResult(session, server, statement);
  return problem ?? mustWait;
}

/** As one that was used last. */
function isThere({ prepared, context }: ServerConnection, { serverName }: PreparedStatement): boolean {
  if (!prepared.has(serverName)) return false;
  // Moving it to the young end costs more than the look-up: only where eviction is near.
  if (prepared.size * 2 > context.config.general.preparedStatementsLimit) {
    prepared.delete(serverName);
    prepared.add(serverName);
  }
  return true;
}

function ensureMissing(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement,
  isExecuted: boolean,
  isFirst: boolean,
): PgDogError | null {
  // Ahead of the batch, so that it begins with what the client has sent: some statements must be the first of theirs.
  if (!isFirst || !isReadOtherwise(session, server, statement))
    return prepare(session, server, statement, isExecuted);
  server.isBatchOpen = false;
  const problem = prepare(session, server, statement, isExecuted);
  server.isBatchOpen = true;
  return problem;
}

/** The server would make something else of the text now than it was when the client prepared it. */
function isReadOtherwise(session: Session, server: ServerConnection, statement: PreparedStatement): boolean {
  if (server.readyStatus === READY.Failed) return false;
  if (statement.origin !== null) return true;
  const isUnknown = server.isSettingPending || isReadingUnknown(session);
  const isOther = isUnknown || statement.readingKey !== readingSettings(session).readingKey;
  return isOther && statement.values !== null && dependsOnReading(statement.frame);
}

function prepare(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement,
  isExecuted: boolean,
): PgDogError | null {
  const { prepared } = server;
  const { serverName } = statement;
  const { encoding } = statement;
  const isOther = isForeign(statement, session);
  const canSwitch = encoding !== null && !server.isBatchOpen && server.readyStatus === READY.Idle;
  if (isOther && !canSwitch) return new PgDogError('statement_encoding');
  makeRoom(server);
  if (isOther) server.ask(encodingStep(session, server, switchTo(encoding ?? '')));
  prepared.add(serverName);
  const send = () => sendPrepare(session, server, statement, isExecuted);
  if (isReadOtherwise(session, server, statement)) {
    const isUnknown = server.isSettingPending || isReadingUnknown(session);
    const now = isUnknown ? null : readingSettings(session).readingValues(session.reported);
    const values = statement.origin?.values ?? statement.values ?? [];
    // The transaction of what we send ourselves ends with it.
    const isOver = server.readyStatus === READY.Idle && !server.isBatchOpen;
    const readAs = statement.isSqlLevel ? readQueryUnder : readUnder;
    readAs(server, values, now, send, isOver);
  } else send();
  server.pool.row.serverParse();
  // Outside of a client's batch a refused Parse must not make the server ignore the Query behind it, whose error says why.
  if (!statement.isSqlLevel && !server.isBatchOpen) server.sendOwnSync();
  if (isOther) server.ask(encodingStep(session, server, encodingReplay(session.parameters)));
  return null;
}

/** What makes the server have it, and what is to be done where it is refused. */
function sendPrepare(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement,
  isExecuted: boolean,
): void {
  const { prepared } = server;
  const { serverName } = statement;
  const undo = () => {
    prepared.delete(serverName);
  };
  if (statement.isSqlLevel) {
    server.unnamedId = 0;
    server.refusedPrepares.delete(serverName);
    server.pending.push(KIND_QUERY | SWALLOW, {
      sql: '',
      // EXECUTE will then say that the statement does not exist: the client gets the reason in its place.
      onError(frame: Uint8Array) {
        undo();
        const fields = parseErrorFields(frame, 5, frame.length);
        // Without its position, which is in a text of ours.
        const reason = buildErrorResponse(fields);
        server.notePrepareRefused(serverName, reason);
        if (isExecuted) server.refusedParse ??= reason;
        // What servers say may hold values of the client's.
        const { sqlstate } = fields;
        const { user, database } = session;
        const text = 'PREPARE was refused where it had to be repeated';
        server.context.log('warn', 'prepare_failed', text, { user, database, sqlstate });
      },
      onDone() {},
    });
  } else {
    const refused = (frame: Uint8Array) => {
      undo();
      server.refusedParse ??= frame;
    };
    const use = { kind: 'statementUse', serverName, undo };
    server.pending.push(KIND_PARSE | SWALLOW, server.isBatchOpen ? use : { ...use, refused });
  }
  sendParse(server, frameToKeep(session, statement));
}

const switchTo = (encoding: string): string => `SET client_encoding TO ${quoteLiteral(encoding)}`;

/** The session's encoding comes back behind it: nobody is told of this one. */
function encodingStep(session: Session, server: ServerConnection, sql: string) {
  return { ...pipelined(session, server, sql), isEncodingStep: true };
}

/** Removes least recently used statements, so that one more fits. */
export function makeRoom(server: ServerConnection): void {
  // What is parsed for a client with temporary tables may be of those: dropped when the server connection is cleaned.
  if (((server.session?.pins ?? 0) & PIN_TEMP) !== 0) server.isPreparedUnsure = true;
  while (server.prepared.size >= server.context.config.general.preparedStatementsLimit) {
    const [oldest] = server.prepared;
    if (oldest === undefined) return;
    server.pool.row.preparedEviction();
    closeStatement(server, oldest);
  }
}

/** Closes a statement on the server, swallowing the answer. `onSkipped`: an error made the server pass over it. */
export function closeStatement(server: ServerConnection, serverName: string, onSkipped?: () => void): void {
  server.prepared.delete(serverName);
  server.pending.push(KIND_CLOSE | SWALLOW, {
    kind: 'statementUse',
    serverName,
    // Skipped after an error: it is still there.
    undo() {
      server.prepared.add(serverName);
      onSkipped?.();
    },
  });
  writer.reset().begin(FRONTEND.Close).byte(TARGET.Statement).cstring(serverName).end();
  server.send(writer.view());
}

/** By clients of the pool in any worker, or unseen by code of the database. */
function readsSequences({ context, pool }: ServerConnection): boolean {
  return pool.code.readsSequences || context.memory.load.readsSequences(pool.index);
}

/**
 * currval() and lastval() must not tell what another session did on this connection. Within a batch or a
 * transaction it is too late, for what is to be read may be the session's own: hence the note in shared memory, after
 * which every exchange begins without others' values.
 */
export function discardSequences(session: Session, server: ServerConnection): void {
  const { context, pool } = server;
  context.memory.load.noteSequencesRead(pool.index);
  if (server.sequenceSessionId === session.id || server.readyStatus === READY.Failed) return;
  if (server.isBatchOpen || server.pending.hasForeign || session.transaction.exchangeCount > 1) return;
  server.sequenceSessionId = session.id;
  server.ask(pipelined(session, server, 'DISCARD SEQUENCES'));
}
