// ● per-frame path
import {
  BEGINS_TRANSACTION,
  bareSqlPlan,
  buildErrorResponse,
  FRONTEND,
  FrameWriter,
  isPlainSql,
  PgDogError,
  PREPARE_LEVEL,
  SETS_PARAMETER,
  type SqlPlan,
  UNKNOWN_EFFECT,
} from '@pgdog-cluster/core';
import { FORWARD, KIND_QUERY, REPLACE_ERROR } from '../backend/pending-replies.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { showUniqueId } from '../made/show-unique-id.js';
import type { QueryFigures } from '../plan/query-figures.js';
import { unlistensAll } from '../pubsub/ask-ahead.js';
import { isUtf8Session } from '../pubsub/listener.js';
import { settingProblem, shardCountOf } from '../route/role-setting.js';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { askSupervisor } from './admin-session.js';
import { planFor } from './client-reading.js';
import { fieldsOf } from './fields-of.js';
import { needsAttention, noteExecuted, noteForeseen } from './foreseen-effects.js';
import type { RequestSink } from './requests.js';
import { type RestoredText, restoreWithin } from './restored-settings.js';
import type { Session } from './session.js';
import { settingsPlan } from './session-mode-plans.js';
import { renameStatements } from './sql-statements.js';
import { guardText } from './tenant-guard.js';
import type { TextEdit } from './text-edits.js';

const HEADER_BYTES = 5;
const writer = new FrameWriter(1024);

/** Query: one text, any number of statements, one ReadyForQuery. */
export function simpleQuery(
  requests: RequestSink,
  bytes: Uint8Array,
  start: number,
  end: number,
  buffer: number,
  frameBytes: number,
): number {
  const { session } = requests;
  const isWhole = end - start === frameBytes;
  const textEnd = isWhole ? end - 1 : end;
  if (isWhole && (frameBytes === HEADER_BYTES || bytes[textEnd] !== 0)) {
    session.fail(new PgDogError('protocol_violation', 'invalid message format'));
    return CONSUMED;
  }
  let plan: SqlPlan | null = null;
  if (session.isSessionMode) {
    if (isWhole) plan = settingsPlan(session, bytes, start + HEADER_BYTES, textEnd);
  } else if (requests.knownPlan !== null) plan = requests.knownPlan;
  else if (!isWhole) plan = STREAMED_PLAN;
  else if (!isPlainSql(bytes, start + HEADER_BYTES, textEnd)) {
    plan = planFor(session, bytes, start + HEADER_BYTES, textEnd);
  } else if (session.pool?.snapshot.poolerMode === 'statement') {
    plan = planFor(session, bytes, start + HEADER_BYTES, textEnd);
  }
  if (plan?.made !== undefined && requests.makesValues()) return BLOCKED;
  const early = plan === null || session.isSessionMode ? null : answerEarly(requests, plan, frameBytes);
  if (early !== null) return early;
  const tooLarge = checkSize(session, frameBytes - HEADER_BYTES - 1);
  const server = requests.serverForRequest();
  if (server === null) return BLOCKED;
  const refusal =
    tooLarge ??
    guardText(session, server, bytes, start + HEADER_BYTES, textEnd, isWhole) ??
    (plan !== null && endsRefusal(plan) ? null : requests.refusal);
  requests.refusal = null;
  if (refusal !== null) return refuseQuery(requests, server, refusal);
  // Postgres is left in a state where the next statement fails (XX000), the next client's too.
  if (server.isBatchOpen) server.needsReset = true;
  server.unnamedId = 0;
  // Of a leg it may be one of ours, ahead of a batch that binds the client's.
  if (!session.isLeg) requests.extended.unnamed.id = 0;
  const { queries, nowUs } = session.context;
  const figures = session.isLeg
    ? null
    : isWhole
      ? queries.of(
          session.database,
          bytes,
          start + HEADER_BYTES,
          textEnd,
          session.router !== null,
          session.clientReading,
        )
      : queries.unread(session.database);
  if (plan === null || !needsAttention(plan, server)) {
    server.pending.push(KIND_QUERY | FORWARD, null, figures, nowUs);
    server.forward(bytes, start, end, buffer);
    return CONSUMED;
  }
  return effectfulQuery(requests, server, plan, bytes, start, end, buffer, figures);
}

/**
 * The way out of a role that has been dropped: such a statement does not depend on the settings that cannot be applied,
 * and it replaces them. It runs with the rights of the server connection's own login, like any SET of another role.
 */
export function endsRefusal({ statements }: SqlPlan): boolean {
  const effect = statements.length === 1 ? statements[0].effect : null;
  if (effect === null) return false;
  if (effect.type === 'resetAll') return true;
  if (effect.type === 'discard') return effect.what === 'all';
  const isOfRights =
    (effect.type === 'reset' || (effect.type === 'set' && !effect.isLocal)) &&
    (effect.name === 'role' || effect.name === 'session_authorization');
  return isOfRights;
}

/** Of a text too long to be read: anything may be in it. */
const STREAMED_PLAN: SqlPlan = bareSqlPlan(UNKNOWN_EFFECT);

/** What is decided without a server: BLOCKED, CONSUMED, or null to go on. */
function answerEarly(requests: RequestSink, plan: SqlPlan, frameBytes: number): number | null {
  const { session } = requests;
  const first = plan.statements[0];
  if (first?.effect?.type === 'showPgdog' && plan.statements.length === 1) {
    if (first.effect.name === 'unique_id') return showUniqueId(requests);
    return askSupervisor(requests, `SHOW pgdog.${first.effect.name}`);
  }
  if (
    (plan.flags & BEGINS_TRANSACTION) !== 0 &&
    session.pool?.snapshot.poolerMode === 'statement' &&
    frameBytes > 0
  ) {
    const { server } = session;
    if (server !== null) {
      requests.isAwaitingQuiet = true;
      return BLOCKED;
    }
    requests.refuse(new PgDogError('statement_mode_transaction'), false);
    return requests.drop();
  }
  return null;
}

/** query_size_limit: the refusal of a statement whose text is `bytes` long, or null; a warning goes to the log. */
export function checkSize(session: Session, bytes: number): PgDogError | null {
  const { querySizeLimitBytes, querySizeLimitAction } = session.context.config.general;
  if (querySizeLimitBytes === 0 || bytes <= querySizeLimitBytes) return null;
  const text = `query of ${bytes} bytes exceeds query_size_limit (${querySizeLimitBytes} bytes)`;
  if (querySizeLimitAction === 'block') return new PgDogError('query_too_large', text);
  const { user, database } = session;
  session.context.log('warn', 'query_too_large', text, { bytes, user, database });
  return null;
}

/** An error of ours to a Query, with the same effect on an open transaction as Postgres's own would have. */
export function refuseQuery(requests: RequestSink, server: ServerConnection, error: PgDogError): number {
  if (error.severity === 'FATAL') {
    requests.session.fail(error);
    return requests.drop();
  }
  server.pending.push(KIND_QUERY | REPLACE_ERROR, buildErrorResponse(fieldsOf(error)));
  writer.reset().begin(FRONTEND.Query).cstring('pgdog_cluster refused a statement').end();
  server.send(writer.view());
  requests.session.errors++;
  return requests.drop();
}

function effectfulQuery(
  requests: RequestSink,
  server: ServerConnection,
  plan: SqlPlan,
  bytes: Uint8Array,
  start: number,
  end: number,
  buffer: number,
  figures: QueryFigures | null,
): number {
  const { session } = requests;
  const problem = (plan.flags & SETS_PARAMETER) === 0 ? null : settingProblem(plan, shardCountOf(session));
  if (problem !== null) return refuseQuery(requests, server, problem);
  noteForeseen(session, server, plan);
  let text: Uint8Array | null = null;
  const edits: TextEdit[] = [];
  if ((plan.flags & PREPARE_LEVEL) !== 0 && !session.isSessionMode) {
    const given = bytes.subarray(start + HEADER_BYTES, end - 1);
    const renamed = renameStatements(session, server, plan, given, edits);
    if (renamed instanceof PgDogError) return refuseQuery(requests, server, renamed);
    noteExecuted(session, server, plan);
    text = renamed;
  }
  let restored: RestoredText | null = null;
  if ((plan.flags & SETS_PARAMETER) !== 0 && session.startupParameters.entries.size > 0) {
    const outcome = restoreWithin(session, plan, text ?? bytes.subarray(start + HEADER_BYTES, end - 1));
    if (outcome instanceof PgDogError) return refuseQuery(requests, server, outcome);
    restored = outcome;
  }
  const statements = restored === null ? null : restored.statements;
  // Of other encodings nobody here counts the characters; a text that was put together anew has other places.
  const hasPlaces = edits.length > 0 && restored === null && isUtf8Session(session);
  const use = { plan, next: 0, values: null, restored: statements, edits: hasPlaces ? edits : null };
  server.pending.push(KIND_QUERY | FORWARD, use, figures, session.context.nowUs);
  text = restored === null ? text : restored.text;
  if (text === null) server.forward(bytes, start, end, buffer);
  else {
    writer.reset().begin(FRONTEND.Query).bytes(text).byte(0).end();
    server.send(writer.view());
  }
  if (unlistensAll(plan)) session.context.pubSub.returns.listenAgain(session, server);
  return CONSUMED;
}
