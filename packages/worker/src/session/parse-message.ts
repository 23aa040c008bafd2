// ● per-frame path
import {
  BEGINS_TRANSACTION,
  decodeName,
  FRONTEND,
  FrameWriter,
  isPlainSql,
  type ParseFields,
  PgDogError,
  PREPARE_LEVEL,
  READY,
  readParse,
  SETS_PARAMETER,
  type SqlPlan,
  TRANSACTION_CONTROL,
} from '@pgdog-cluster/core';
import { learnDescription } from '../backend/describe-ahead.js';
import type { StatementUse } from '../backend/own-exchange.js';
import { FAKE, FORWARD, KIND_PARSE } from '../backend/pending-replies.js';
import { askReading } from '../backend/read-under.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { forwardParse, renumberedParse, sendParse } from '../backend/shard-numbers.js';
import { closeStatement, makeRoom } from '../backend/synchronise.js';
import { dependsOnReading } from '../plan/depends-on-reading.js';
import { READ_BYTES_MAX } from '../plan/plan-cache.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import type { QueryFigures } from '../plan/query-figures.js';
import { settingProblem, shardCountOf } from '../route/role-setting.js';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { planFor } from './client-reading.js';
import type { ExtendedQuery } from './extended-query.js';
import { needsKeeping, noteAheadOfBatch } from './foreseen-effects.js';
import { PIN_TEMP } from './pin-reasons.js';
import type { Session } from './session.js';
import { checkSize } from './simple-query.js';
import { readingFor, renameStatements } from './sql-statements.js';
import { guardText } from './tenant-guard.js';

const HEADER_BYTES = 5;
const writer = new FrameWriter(4096);

/** Parse: the text is read for what it does to the session, and kept under the client's name. */
export function parseMessage(
  extended: ExtendedQuery,
  server: ServerConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
  buffer: number,
  frameBytes: number,
): number {
  const { session } = extended.requests;
  if (end - start < frameBytes)
    return extended.refuse(server, new PgDogError('query_too_large', 'a Parse message may have 64 MB'));
  const fields = readParse(bytes, start + HEADER_BYTES, end);
  if (fields === null) return extended.invalid();
  const wasBatchOpen = server.isBatchOpen;
  server.isBatchOpen = true;
  const { textStart, textEnd } = fields;
  const refusal =
    checkSize(session, textEnd - textStart) ?? guardText(session, server, bytes, textStart, textEnd);
  if (refusal !== null) return extended.refuse(server, refusal);
  const figures = extended.counted.parsed(bytes, textStart, textEnd);
  if (session.isSessionMode) {
    const use = extended.sessionModePlans.parsed(bytes, fields);
    if (use instanceof PgDogError) return extended.refuse(server, use);
    if (fields.nameStart === fields.nameEnd) extended.unnamed.figures = figures;
    else extended.counted.named(bytes, fields.nameStart, fields.nameEnd, figures);
    server.pending.push(KIND_PARSE | FORWARD, use, figures);
    server.forward(bytes, start, end, buffer);
    return CONSUMED;
  }
  const plan = planOf(extended, server, bytes, fields.textStart, fields.textEnd);
  const isMade = plan?.made !== undefined || session.router?.shards?.makesKeys === true;
  if (isMade && extended.requests.makesValues()) {
    server.isBatchOpen = wasBatchOpen;
    return BLOCKED;
  }
  const problem =
    plan === null || (plan.flags & SETS_PARAMETER) === 0 ? null : settingProblem(plan, shardCountOf(session));
  if (problem !== null) return extended.refuse(server, problem);
  if (plan !== null && !wasBatchOpen) noteAheadOfBatch(session, server, plan);
  if (plan !== null && (plan.flags & PREPARE_LEVEL) !== 0) {
    return parseRenamed(extended, server, plan, bytes, fields, end, figures);
  }
  if (
    plan !== null &&
    (plan.flags & BEGINS_TRANSACTION) !== 0 &&
    session.pool?.snapshot.poolerMode === 'statement'
  ) {
    return extended.refuse(server, new PgDogError('statement_mode_transaction'));
  }
  const isUnnamed = fields.nameEnd === fields.nameStart;
  const renumbered = renumberedParse(session, server, bytes, start, end);
  if (renumbered !== null) return parseMade(extended, server, plan, renumbered, figures);
  if (isUnnamed) return parseUnnamed(extended, server, plan, bytes, start, end, buffer, figures);
  return parseNamed(extended, server, plan, bytes, fields, end, figures);
}

/** @param frame a Parse of ours in place of the client's */
function parseMade(
  extended: ExtendedQuery,
  server: ServerConnection,
  plan: SqlPlan | null,
  frame: Uint8Array,
  figures: QueryFigures | null,
): number {
  if (readNameIsEmpty(frame))
    return parseUnnamed(extended, server, plan, frame, 0, frame.length, -1, figures);
  const fields = readParse(frame, HEADER_BYTES, frame.length);
  if (fields === null) return extended.invalid();
  return parseNamed(extended, server, plan, frame, fields, frame.length, figures);
}

function planOf(
  extended: ExtendedQuery,
  server: ServerConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): SqlPlan | null {
  const { session } = extended.requests;
  const isStatementMode = session.pool?.snapshot.poolerMode === 'statement';
  // Of several shards: the keys in it have been read already.
  const isSharded = session.isLeg || (session.router !== null && session.router.shards !== null);
  const bytesMax = isSharded ? Number.POSITIVE_INFINITY : READ_BYTES_MAX;
  if (!isStatementMode && end - start <= bytesMax && isPlainSql(bytes, start, end)) return null;
  const plan = planFor(session, bytes, start, end, bytesMax);
  if (isStatementMode && (plan.flags & BEGINS_TRANSACTION) !== 0) return plan;
  return plan.made !== undefined || needsKeeping(plan, server) ? plan : null;
}

/** PREPARE, EXECUTE, DEALLOCATE as text of a Parse: the same message with our names in it. */
function parseRenamed(
  extended: ExtendedQuery,
  server: ServerConnection,
  plan: SqlPlan,
  bytes: Uint8Array,
  fields: ParseFields,
  end: number,
  figures: QueryFigures | null,
): number {
  const { session } = extended.requests;
  const { nameStart, textStart, textEnd } = fields;
  const renamed = renameStatements(session, server, plan, bytes.subarray(textStart, textEnd), null);
  if (renamed instanceof PgDogError) return extended.refuse(server, renamed);
  writer
    .reset()
    .begin(FRONTEND.Parse)
    .bytes(bytes, nameStart, textStart)
    .bytes(renamed)
    .bytes(bytes, textEnd, end)
    .end();
  return parseMade(extended, server, plan, writer.take(), figures);
}

function parseUnnamed(
  extended: ExtendedQuery,
  server: ServerConnection,
  plan: SqlPlan | null,
  bytes: Uint8Array,
  start: number,
  end: number,
  buffer: number,
  figures: QueryFigures | null,
): number {
  const use = extended.unnamed.keep(bytes, start, end, plan, server);
  extended.unnamed.figures = figures;
  server.pending.push(KIND_PARSE | FORWARD, use, figures);
  forwardParse(server, bytes, start, end, buffer);
  return CONSUMED;
}

function parseNamed(
  extended: ExtendedQuery,
  server: ServerConnection,
  plan: SqlPlan | null,
  bytes: Uint8Array,
  fields: ParseFields,
  end: number,
  figures: QueryFigures | null,
): number {
  const { session } = extended.requests;
  const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
  // In an exchange that runs again (heal.ts) the name is there from the first time.
  if (server.isHealing) session.statements.remove(name);
  const { statements } = session;
  const problem =
    takenError(session, server, name, bytes, fields.textStart, fields.textEnd) ?? statements.refusal();
  if (problem !== null) return extended.refuse(server, problem);
  const statement = session.context.statements.acquireParsed(
    bytes,
    fields.textStart,
    end,
    plan,
    readingFor(session, server, null, latin1Text(bytes, fields.textStart, fields.textEnd)),
  );
  // What a leg prepares is its client's statement, too.
  if (figures !== null) statement.figures = figures;
  statements.underWay?.isNew(name);
  statements.set(name, statement, session);
  const { serverName } = statement;
  const undo = () => {
    const now = statements.get(name);
    if (statements.underWay?.isOf(name, now, statement) ?? now === statement) statements.remove(name);
  };
  // Whether the name exists is known when the answer is there: what is pipelined behind must wait for it.
  server.hasEffectPending = true;
  let isOldKept = false;
  if (server.prepared.has(serverName)) {
    const isControl = ((plan?.flags ?? 0) & TRANSACTION_CONTROL) !== 0;
    if (isControl || !mustBeAsked(session, server)) {
      server.pending.push(KIND_PARSE | FAKE, { kind: 'statementUse', serverName, undo });
      server.relay.emitFakes();
      learnDescription(session, server, statement);
      return CONSUMED;
    }
    closeStatement(server, serverName, () => {
      isOldKept = true;
    });
  }
  makeRoom(server);
  server.prepared.add(serverName);
  const use: StatementUse = {
    kind: 'statementUse',
    serverName,
    undo() {
      if (!isOldKept) server.prepared.delete(serverName);
      undo();
    },
  };
  server.pending.push(KIND_PARSE | FORWARD, use, figures);
  sendParse(server, statement.frame);
  askBehind(session, server, statement);
  server.pool.row.serverParse();
  return CONSUMED;
}

/**
 * A Parse for a name that the client has already; null: it has not. Postgres looks at the name last: in a failed transaction it does not
 * come to it, but for what would end that.
 */
function takenError(
  session: Session,
  server: ServerConnection,
  name: string,
  bytes: Uint8Array,
  textStart: number,
  textEnd: number,
): PgDogError | null {
  const { statements } = session;
  if (statements.get(name) === undefined && statements.underWay?.hasExecuted(name) !== true) return null;
  if (server.readyStatus === READY.Failed) {
    const { flags } = planFor(session, bytes, textStart, textEnd);
    if ((flags & TRANSACTION_CONTROL) === 0 || (flags & BEGINS_TRANSACTION) !== 0)
      return new PgDogError('failed_transaction');
  }
  return new PgDogError('duplicate_prepared_statement', `prepared statement "${name}" already exists`);
}

/**
 * In a failed transaction Postgres refuses a Parse (25P02), so it must be asked; and whether the transaction has
 * failed is not known while answers are outstanding. Within a transaction one that is outdated could not be healed (heal.ts).
 */
function mustBeAsked(session: Session, server: ServerConnection): boolean {
  // Its tables may be others of the same names.
  if ((session.pins & PIN_TEMP) !== 0) return true;
  return server.readyStatus !== READY.Idle || server.pending.length > 0;
}

/** What is not known yet of a statement that has just been sent. */
function askBehind(session: Session, server: ServerConnection, statement: PreparedStatement): void {
  learnDescription(session, server, statement);
  if (statement.values === null && dependsOnReading(statement.frame)) askReading(server, statement);
}

function latin1Text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

/** The name is a lone terminator. */
function readNameIsEmpty(frame: Uint8Array): boolean {
  return frame[HEADER_BYTES] === 0;
}
