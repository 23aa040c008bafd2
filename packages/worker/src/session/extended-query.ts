// ● per-frame path
import {
  buildErrorResponse,
  CLOSE_COMPLETE,
  decodeName,
  FRONTEND,
  FrameWriter,
  isPlainSql,
  PgDogError,
  PREPARE_LEVEL,
  readBind,
  readExecute,
  readParse,
  readTarget,
  TARGET,
} from '@pgdog-cluster/core';
import {
  FAKE,
  FORWARD,
  KIND_BIND,
  KIND_CLOSE,
  KIND_DESCRIBE,
  KIND_EXECUTE,
  KIND_PARSE,
  REPLACE_ERROR,
} from '../backend/pending-replies.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { ensureBound, ensureStatement } from '../backend/synchronise.js';
import { ShownParameters } from '../made/shown-parameters.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import type { QueryFigures } from '../plan/query-figures.js';
import { unlistensAll } from '../pubsub/ask-ahead.js';
import { BLOCKED, CONSUMED, NEED_WHOLE } from '../wire/frame-stream.js';
import { planFor } from './client-reading.js';
import { CountedPortals } from './counted-portals.js';
import { fieldsOf } from './fields-of.js';
import { needsAttention, noteAheadOfBatch, noteExecuted, noteForeseen } from './foreseen-effects.js';
import { parseMessage } from './parse-message.js';
import { Portals } from './portals.js';
import type { RequestSink } from './requests.js';
import { SessionModePlans } from './session-mode-plans.js';
import { endsRefusal } from './simple-query.js';
import { executeUse } from './sql-statements.js';
import { guardBound } from './tenant-guard.js';
import { UnnamedStatement } from './unnamed-statement.js';

const HEADER_BYTES = 5;
/** A Bind whose names do not lie in its first kilobyte is collected up to this size, that of the largest Parse. */
const BIND_COLLECTED_BYTES_MAX = 64 * 1024 * 1024;
const NO_BYTES = new Uint8Array(0);
const writer = new FrameWriter(4096);

/** Parse, Bind, Describe, Execute, Close of one client. */
export class ExtendedQuery {
  readonly requests: RequestSink;
  readonly unnamed: UnnamedStatement;
  readonly portals = new Portals();
  readonly counted: CountedPortals;
  readonly sessionModePlans: SessionModePlans;

  constructor(requests: RequestSink) {
    this.requests = requests;
    this.unnamed = new UnnamedStatement(requests.session);
    this.counted = new CountedPortals(requests.session);
    this.sessionModePlans = new SessionModePlans(requests.session);
  }

  message(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    const { requests } = this;
    if (type === FRONTEND.Close && requests.session.server === null) {
      const answered = this.closeWithoutServer(bytes, start, end);
      if (answered) return CONSUMED;
    }
    const server = requests.serverForRequest();
    if (server === null) return BLOCKED;
    const { refusal } = requests;
    requests.refusal = null;
    if (refusal !== null && !this.endsRefusal(type, bytes, start, end)) return this.refuse(server, refusal);
    switch (type) {
      case FRONTEND.Parse:
        return parseMessage(this, server, bytes, start, end, buffer, frameBytes);
      case FRONTEND.Bind:
        return this.bind(server, bytes, start, end, buffer, frameBytes);
      case FRONTEND.Describe:
        return this.describe(server, bytes, start, end, buffer);
      case FRONTEND.Execute:
        return this.execute(server, bytes, start, end, buffer);
      case FRONTEND.Close:
        return this.close(server, bytes, start, end, buffer);
      default:
        requests.session.fail(new PgDogError('protocol_violation', 'unexpected message'));
        return CONSUMED;
    }
  }

  /** They live no longer than a transaction. */
  forgetPortals(): void {
    this.portals.forget();
    this.counted.forget();
  }

  private endsRefusal(type: number, bytes: Uint8Array, start: number, end: number): boolean {
    const fields = type === FRONTEND.Parse ? readParse(bytes, start + HEADER_BYTES, end) : null;
    if (fields === null || isPlainSql(bytes, fields.textStart, fields.textEnd)) return false;
    return endsRefusal(planFor(this.requests.session, bytes, fields.textStart, fields.textEnd));
  }

  /**
   * An error of ours inside a batch: a Parse that must fail goes to the server in place of the message, so that
   * the batch is skipped and an open transaction aborted exactly as by an error of Postgres.
   */
  refuse(server: ServerConnection, error: PgDogError): number {
    server.pending.push(KIND_PARSE | REPLACE_ERROR, buildErrorResponse(fieldsOf(error)));
    writer
      .reset()
      .begin(FRONTEND.Parse)
      .cstring('')
      .cstring('pgdog_cluster refused a message')
      .int16(0)
      .end();
    server.send(writer.view());
    server.isBatchOpen = true;
    server.unnamedId = 0;
    this.requests.session.errors++;
    // Postgres would skip the rest of the batch: the client's names must not be changed by it.
    this.requests.isSkippingToSync = true;
    return this.requests.drop();
  }

  invalid(): number {
    this.requests.session.fail(new PgDogError('protocol_violation', 'invalid message format'));
    return CONSUMED;
  }

  private bind(
    server: ServerConnection,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    const { session } = this.requests;
    const fields = readBind(bytes, start + HEADER_BYTES, end);
    if (fields === null) {
      const isCut = end - start < frameBytes;
      return isCut && frameBytes <= BIND_COLLECTED_BYTES_MAX ? NEED_WHOLE : this.invalid();
    }
    const { portalStart, portalEnd, statementStart, statementEnd } = fields;
    const wasBatchOpen = server.isBatchOpen;
    server.isBatchOpen = true;
    server.pool.row.bind();
    if (session.isSessionMode) {
      if (this.sessionModePlans.isUsed) {
        const plan = this.sessionModePlans.find(bytes, statementStart, statementEnd);
        if (plan !== null && end - start < frameBytes) return NEED_WHOLE;
        this.portals.note(plan, bytes, portalStart, portalEnd, statementEnd + 1, end);
      }
      const isNamed = statementStart !== statementEnd;
      const known = isNamed
        ? this.counted.ofName(bytes, statementStart, statementEnd)
        : this.unnamed.currentFigures(session.context.queries);
      const figures = this.counted.bound(bytes, portalStart, portalEnd, known);
      server.pending.push(KIND_BIND | FORWARD, null, figures);
      server.forward(bytes, start, end, buffer);
      return CONSUMED;
    }
    const isUnnamed = statementStart === statementEnd;
    const statement = isUnnamed ? null : this.statementNamed(decodeName(bytes, statementStart, statementEnd));
    if (statement === undefined) return this.unknownStatement(server, bytes, statementStart, statementEnd);
    const refusal = guardBound(session, server, statement, this.unnamed);
    if (refusal !== null) return this.refuse(server, refusal);
    const plan = statement === null ? this.unnamed.plan : statement.plan;
    if (plan !== null && !wasBatchOpen) noteAheadOfBatch(session, server, plan);
    if (plan !== null && end - start < frameBytes) return NEED_WHOLE;
    if (statement === null && !this.ensureUnnamed(server)) return CONSUMED;
    const problem = statement !== null && ensureBound(session, server, statement, !wasBatchOpen);
    if (problem !== false) return problem === true ? this.requests.waits() : this.refuse(server, problem);
    this.portals.note(plan, bytes, portalStart, portalEnd, statementEnd + 1, end);
    server.pending.push(KIND_BIND | FORWARD, statement, this.countBound(bytes, fields, statement));
    if (statement === null) server.forward(bytes, start, end, buffer);
    else this.forwardRenamed(server, statement, bytes, fields, end, buffer, frameBytes);
    return CONSUMED;
  }

  private countBound(
    bytes: Uint8Array,
    { portalStart, portalEnd }: { portalStart: number; portalEnd: number },
    statement: PreparedStatement | null,
  ): QueryFigures | null {
    const { context, database, router, isLeg } = this.requests.session;
    if (isLeg) return null;
    const known =
      statement === null
        ? this.unnamed.currentFigures(context.queries)
        : context.queries.ofPrepared(database, statement, router !== null);
    return this.counted.bound(bytes, portalStart, portalEnd, known);
  }

  /** The same Bind for the statement's name on the server; the rest may still be on its way. */
  private forwardRenamed(
    server: ServerConnection,
    statement: PreparedStatement,
    bytes: Uint8Array,
    fields: { portalStart: number; portalEnd: number; statementStart: number; statementEnd: number },
    end: number,
    buffer: number,
    frameBytes: number,
  ): void {
    const name = statement.serverNameBytes;
    const { portalStart, portalEnd, statementStart, statementEnd } = fields;
    const length = frameBytes - 1 - (statementEnd - statementStart) + name.length;
    writer
      .reset()
      .byte(FRONTEND.Bind)
      .int32(length)
      .bytes(bytes, portalStart, portalEnd + 1)
      .bytes(name)
      .byte(0);
    const rest = statementEnd + 1;
    if (end - rest <= 512) {
      writer.bytes(bytes, rest, end);
      server.send(writer.view());
    } else {
      server.send(writer.view());
      server.forward(bytes, rest, end, buffer);
    }
  }

  private statementNamed(name: string): PreparedStatement | undefined {
    const { session } = this.requests;
    // While settings change what is there is used as it is, like Postgres uses what it has read.
    if (session.server?.isSettingPending === true) return session.statements.get(name);
    return session.statements.current(name, session);
  }

  private unknownStatement(server: ServerConnection, bytes: Uint8Array, start: number, end: number): number {
    const text =
      start === end
        ? 'unnamed prepared statement does not exist'
        : `prepared statement "${decodeName(bytes, start, end)}" does not exist`;
    return this.refuse(server, new PgDogError('unknown_prepared_statement', text));
  }

  /** False: there is none, and the error has been arranged. */
  private ensureUnnamed(server: ServerConnection): boolean {
    if (this.unnamed.ensure(server)) return true;
    if (this.unnamed.id !== 0) this.refuse(server, new PgDogError('statement_encoding'));
    else this.unknownStatement(server, NO_BYTES, 0, 0);
    return false;
  }

  private describe(
    server: ServerConnection,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
  ): number {
    const { session } = this.requests;
    const fields = readTarget(bytes, start + HEADER_BYTES, end);
    if (fields === null) return this.invalid();
    const { isBatchOpen: wasOpen } = server;
    server.isBatchOpen = true;
    const { nameStart, nameEnd } = fields;
    const shown = fields.target === TARGET.Statement ? this.shownParameters(bytes, nameStart, nameEnd) : null;
    if (fields.target !== TARGET.Statement || session.isSessionMode) {
      server.pending.push(KIND_DESCRIBE | FORWARD, shown);
      server.forward(bytes, start, end, buffer);
      return CONSUMED;
    }
    if (nameStart === nameEnd) {
      if (!this.ensureUnnamed(server)) return CONSUMED;
      server.pending.push(KIND_DESCRIBE | FORWARD, shown);
      server.forward(bytes, start, end, buffer);
      return CONSUMED;
    }
    const statement = this.statementNamed(decodeName(bytes, nameStart, nameEnd));
    if (statement === undefined) return this.unknownStatement(server, bytes, nameStart, nameEnd);
    const problem = ensureStatement(session, server, statement, true, !wasOpen);
    if (problem !== null) return this.refuse(server, problem);
    // A statement that has gone stale is healed by it.
    server.pending.push(KIND_DESCRIBE | FORWARD, shown ?? statement);
    writer
      .reset()
      .begin(FRONTEND.Describe)
      .byte(TARGET.Statement)
      .bytes(statement.serverNameBytes)
      .byte(0)
      .end();
    server.send(writer.view());
    return CONSUMED;
  }

  /** null: all that the statement has. */
  private shownParameters(bytes: Uint8Array, nameStart: number, nameEnd: number): ShownParameters | null {
    const { made } = this.requests;
    if (made === null) return null;
    const count = made.shownCountOf(decodeName(bytes, nameStart, nameEnd));
    // exempt: of statements with parameters of ours
    return count < 0 ? null : new ShownParameters(count);
  }

  private execute(
    server: ServerConnection,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
  ): number {
    const fields = readExecute(bytes, start + HEADER_BYTES, end);
    if (fields === null) return this.invalid();
    server.isBatchOpen = true;
    const portal = this.portals.find(bytes, fields.portalStart, fields.portalEnd);
    const figures = this.counted.find(bytes, fields.portalStart, fields.portalEnd);
    const { session } = this.requests;
    if (portal === null || !needsAttention(portal.plan, server)) {
      server.pending.push(KIND_EXECUTE | FORWARD, null, figures, session.context.nowUs);
    } else {
      noteForeseen(session, server, portal.plan);
      if ((portal.plan.flags & PREPARE_LEVEL) !== 0) noteExecuted(session, server, portal.plan);
      const use = executeUse(session, server, portal);
      server.pending.push(KIND_EXECUTE | FORWARD, use, figures, session.context.nowUs);
    }
    if (fields.rowsMax > 0) server.pending.noteRowsMax(fields.rowsMax);
    server.forward(bytes, start, end, buffer);
    if (portal !== null && unlistensAll(portal.plan)) {
      session.context.pubSub.returns.listenAgain(session, server);
    }
    return CONSUMED;
  }

  /** Closing one of our own names needs no server: nothing is said to it. */
  private closeWithoutServer(bytes: Uint8Array, start: number, end: number): boolean {
    const { session } = this.requests;
    const fields = readTarget(bytes, start + HEADER_BYTES, end);
    if (fields === null || session.isSessionMode || fields.target !== TARGET.Statement) return false;
    session.statements.remove(decodeName(bytes, fields.nameStart, fields.nameEnd));
    if (fields.nameStart === fields.nameEnd) this.unnamed.id = 0;
    session.send(CLOSE_COMPLETE);
    return true;
  }

  private close(
    server: ServerConnection,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
  ): number {
    const { session } = this.requests;
    const fields = readTarget(bytes, start + HEADER_BYTES, end);
    if (fields === null) return this.invalid();
    server.isBatchOpen = true;
    const isNamedStatement = fields.target === TARGET.Statement && fields.nameStart !== fields.nameEnd;
    if (session.isSessionMode || !isNamedStatement) {
      if (fields.target === TARGET.Statement && fields.nameStart === fields.nameEnd) {
        this.unnamed.id = 0;
        server.unnamedId = 0;
      }
      if (fields.target === TARGET.Portal) this.counted.closed(bytes, fields.nameStart, fields.nameEnd);
      server.pending.push(KIND_CLOSE | FORWARD, null);
      server.forward(bytes, start, end, buffer);
      return CONSUMED;
    }
    // The statement stays on the server, for whoever prepares the same; only the client's name goes.
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    const statement = session.statements.get(name);
    if (statement !== undefined) session.context.statements.retain(statement);
    if (statement !== undefined && server.pending.length > 0)
      session.statements.beginUnderWay().closes(name, statement.serverName);
    session.statements.remove(name);
    server.pool.row.close();
    server.pending.push(KIND_CLOSE | FAKE, {
      kind: 'statementUse',
      serverName: '',
      undo() {
        // Skipped after an error: on Postgres the statement would still be there.
        if (statement === undefined) return;
        if (session.phase === 'closed') session.context.statements.release(statement);
        else session.statements.set(name, statement, session);
      },
      done() {
        if (statement !== undefined) session.context.statements.release(statement);
      },
    });
    // Skipped after an error it leaves the name: what is pipelined behind must know.
    if (server.pending.length > 1) server.hasEffectPending = true;
    server.relay.emitFakes();
    return CONSUMED;
  }
}
