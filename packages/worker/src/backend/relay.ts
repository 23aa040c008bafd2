// ● per-frame path
import {
  BACKEND,
  BACKEND_ALLOWED,
  backendName,
  CLOSE_COMPLETE,
  decodeText,
  PARSE_COMPLETE,
  READY,
} from '@pgdog-cluster/core';
import { describedParameters } from '../made/shown-parameters.js';
import { CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { mayAnswer } from './allowed-answers.js';
import { resumeCancel } from './cancel.js';
import { countDone, countSuspended, noteCompleted } from './count-answer.js';
import { isDescribing, isStatementUse, type OwnExchange } from './own-exchange.js';
import {
  DISPOSITION_MASK,
  FAKE,
  FORWARD,
  KIND_COPY_END,
  KIND_DESCRIBE,
  KIND_EXECUTE,
  KIND_MASK,
  KIND_PARSE,
  REPLACE_ERROR,
  SWALLOW,
} from './pending-replies.js';
import { relayError } from './relay-error.js';
import { relayNotification } from './relay-notification.js';
import { relayParameterStatus } from './relay-parameter-status.js';
import type { ServerConnection } from './server-connection.js';
import { isRenumbered, tellNumbers } from './shard-numbers.js';
import { wantedBytes } from './wanted-bytes.js';

const HEADER_BYTES = 5;
const FORWARD_DESCRIBE = KIND_DESCRIBE | FORWARD;
const ALLOWED = BACKEND_ALLOWED.serving;

/**
 * Reads what a server answers, matches it with what is owed, and passes it on. Neighbouring frames of one
 * received buffer go to the client as one slice of it.
 */
export class Relay implements FrameSink {
  readonly server: ServerConnection;
  /** Run of bytes to pass on: buffer -1 = none. */
  private runBuffer = -1;
  private runStart = 0;
  private runEnd = 0;
  /** What becomes of the rest of a frame that streams. */
  private isRestPassed = false;
  /** Something of the answer to the current exchange has gone to the client, beyond the preamble. */
  hasPassed = false;
  /** ParseComplete and ParameterDescription that have gone ahead: the same again when an exchange is repeated. */
  private preambleCount = 0;
  /** Of a repeated exchange: what the client has already. */
  private preambleSkipCount = 0;
  /** The current exchange has failed. */
  hasError = false;

  constructor(server: ServerConnection) {
    this.server = server;
  }

  headBytes(type: number, frameBytes: number): number {
    if (!ALLOWED.allows(type, frameBytes)) return -1;
    return wantedBytes(this.server, type, frameBytes);
  }

  onFrame(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    this.isRestPassed = false;
    const { server } = this;
    const { turn } = server.context;
    const code = server.askedTurn === turn ? 0 : server.pending.head();
    if (!mayAnswer(code, type)) {
      this.onViolation(`${backendName(type)} does not answer what was asked`);
      return CONSUMED;
    }
    switch (type) {
      case BACKEND.DataRow:
        this.dataRow(code, bytes, start, end, buffer);
        break;
      case BACKEND.RowDescription:
      case BACKEND.NoData:
        if (isRenumbered(server)) tellNumbers(server, code, bytes, start, end);
        this.answerPart(code, bytes, start, end, buffer, (code & KIND_MASK) === KIND_DESCRIBE);
        break;
      case BACKEND.ParameterDescription:
        if (isRenumbered(server)) tellNumbers(server, code, bytes, start, end);
        if (code !== FORWARD_DESCRIBE) this.answerPart(code, bytes, start, end, buffer, false);
        else this.isRestPassed = this.parameterDescription(bytes, start, end, buffer);
        break;
      case BACKEND.CopyData:
      case BACKEND.CopyDone:
      case BACKEND.CopyOutResponse:
      case BACKEND.CopyBothResponse:
      case BACKEND.FunctionCallResponse:
        this.answerPart(code, bytes, start, end, buffer, false);
        break;
      case BACKEND.ParseComplete:
      case BACKEND.BindComplete:
      case BACKEND.CloseComplete:
      case BACKEND.PortalSuspended:
        this.completion(code, bytes, start, end, buffer);
        break;
      case BACKEND.CommandComplete:
      case BACKEND.EmptyQueryResponse:
        this.commandComplete(type, code, bytes, start, end, buffer);
        break;
      case BACKEND.ReadyForQuery:
        this.readyForQuery(code, bytes, start, end, buffer);
        break;
      case BACKEND.CopyInResponse:
        this.copyIn(code, bytes, start, end, buffer);
        break;
      case BACKEND.ErrorResponse:
        relayError(this, code, bytes, start, end, buffer);
        break;
      case BACKEND.ParameterStatus:
        relayParameterStatus(this, bytes, start, end, buffer);
        break;
      case BACKEND.NoticeResponse:
        if ((code & DISPOSITION_MASK) === FORWARD && server.attachedTurn !== turn)
          this.pass(bytes, start, end, buffer);
        break;
      default:
        if (server.attachedTurn !== turn) relayNotification(this, bytes, start, end, buffer);
    }
    if (frameBytes > end - start && server.state === 'closed') this.isRestPassed = false;
    return CONSUMED;
  }

  onRest(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if (this.isRestPassed) this.pass(bytes, start, end, buffer);
  }

  onChunkEnd(): void {
    this.flushRun();
    this.server.session?.onServerChunkEnd();
  }

  onViolation(reason: string): void {
    this.server.pool.serverOutOfSync(this.server, reason);
  }

  onTooLong(reason: string): void {
    this.onViolation(reason);
  }

  /** Hands the collected run to the session; before the session changes, and at the end of a chunk. */
  flushRun(): void {
    if (this.runBuffer < 0) return;
    const session = this.server.session;
    const buffer = this.runBuffer;
    this.runBuffer = -1;
    if (session !== null) session.passSlice(buffer, this.runStart, this.runEnd);
  }

  /** Something of the answer has reached the client, the preamble included. */
  get hasAnswered(): boolean {
    return this.hasPassed || this.preambleCount > 0;
  }

  /** A new exchange of a client begins. */
  beginExchange(): void {
    this.hasPassed = false;
    this.hasError = false;
    this.preambleCount = 0;
    this.preambleSkipCount = 0;
  }

  /** The exchange runs again from its start (heal.ts). */
  beginRepeat(): void {
    this.preambleSkipCount = this.preambleCount;
    this.preambleCount = 0;
  }

  /** Whether a frame of the preamble is news to the client; counts it. */
  private isPreambleNews(): boolean {
    if (!this.hasPassed) this.preambleCount++;
    if (this.preambleSkipCount === 0) return true;
    this.preambleSkipCount--;
    return false;
  }

  private parameterDescription(bytes: Uint8Array, start: number, end: number, buffer: number): boolean {
    const shown = describedParameters(this.server, bytes, start, end);
    if (shown === null) return this.passPreamble(bytes, start, end, buffer);
    this.passPreamble(shown, 0, shown.length, -1);
    return false;
  }

  private passPreamble(bytes: Uint8Array, start: number, end: number, buffer: number): boolean {
    if (!this.isPreambleNews()) return false;
    const { hasPassed } = this;
    this.pass(bytes, start, end, buffer);
    this.hasPassed = hasPassed;
    return true;
  }

  /** Answers that need no server, once their turn has come. */
  emitFakes(): void {
    const pending = this.server.pending;
    while (pending.length > 0) {
      const code = pending.head();
      if ((code & KIND_MASK) === KIND_COPY_END) {
        pending.pop();
        continue;
      }
      if ((code & DISPOSITION_MASK) !== FAKE) return;
      const ref = pending.headRef();
      pending.pop();
      if (isStatementUse(ref)) ref.done?.();
      if ((code & KIND_MASK) === KIND_PARSE) this.passPreamble(PARSE_COMPLETE, 0, PARSE_COMPLETE.length, -1);
      else this.passMade(CLOSE_COMPLETE);
    }
  }

  /** Adds bytes of the current chunk to what goes to the client. */
  pass(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    const session = this.server.session;
    if (session === null) return;
    this.hasPassed = true;
    if (buffer >= 0 && buffer === this.runBuffer && start === this.runEnd) {
      this.runEnd = end;
      return;
    }
    this.flushRun();
    if (buffer >= 0) {
      this.runBuffer = buffer;
      this.runStart = start;
      this.runEnd = end;
    } else {
      session.passBytes(bytes, start, end);
    }
  }

  /** A frame of our own making. */
  passMade(frame: Uint8Array): void {
    const session = this.server.session;
    if (session === null) return;
    this.flushRun();
    this.hasPassed = true;
    session.passBytes(frame, 0, frame.length);
  }

  private answerPart(
    code: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    isLast: boolean,
  ): void {
    this.isRestPassed = (code & DISPOSITION_MASK) === FORWARD;
    const ref = this.isRestPassed ? null : this.server.pending.headRef();
    if (this.isRestPassed) this.pass(bytes, start, end, buffer);
    if (isLast) this.popped();
    if (isDescribing(ref)) ref.described(bytes, start, end, isLast);
  }

  private dataRow(code: number, bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if ((code & DISPOSITION_MASK) === FORWARD) {
      this.pass(bytes, start, end, buffer);
      this.isRestPassed = true;
      return;
    }
    const exchange = this.server.pending.headRef() as OwnExchange | null;
    exchange?.onRow?.(bytes, start + HEADER_BYTES, end);
  }

  private completion(code: number, bytes: Uint8Array, start: number, end: number, buffer: number): void {
    const kind = code & KIND_MASK;
    const disposition = code & DISPOSITION_MASK;
    if (disposition === REPLACE_ERROR) {
      this.onViolation('success in place of an error');
      return;
    }
    if (disposition === FORWARD) {
      if (kind === KIND_PARSE) this.passPreamble(bytes, start, end, buffer);
      else this.pass(bytes, start, end, buffer);
    }
    if (kind === KIND_EXECUTE) this.executeSuspended();
    this.popped();
  }

  /** PortalSuspended: the rows that came were computed, and what computing them did to the session is done. */
  private executeSuspended(): void {
    const { server } = this;
    server.isCopyIn = false;
    countSuspended(server);
    const use = server.pending.headRef();
    if (use !== null) server.session?.transaction.statementDone(server, use, '');
  }

  private commandComplete(
    type: number,
    code: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
  ): void {
    const kind = code & KIND_MASK;
    const server = this.server;
    if (server.isCopyIn) {
      this.onViolation('COPY from the client ended before the client had ended it');
      return;
    }
    if ((code & DISPOSITION_MASK) === FORWARD) {
      noteCompleted(server, bytes, start, end);
      let made: Uint8Array | null = null;
      const session = server.session;
      if (session !== null) {
        const use = server.pending.headRef();
        if (use !== null || session.transaction.isTracking) {
          const textStart = start + HEADER_BYTES;
          const tag = type === BACKEND.CommandComplete ? decodeText(bytes, textStart, end - 1) : '';
          made = session.transaction.statementDone(server, use, tag);
        }
      }
      if (made === null) this.pass(bytes, start, end, buffer);
      else this.passMade(made);
    }
    if (kind !== KIND_EXECUTE) return;
    countDone(server);
    this.popped();
  }

  private copyIn(code: number, bytes: Uint8Array, start: number, end: number, buffer: number): void {
    const { pending, requestLog, session } = this.server;
    this.server.isCopyIn = !pending.copyBegan();
    requestLog.spoil();
    this.answerPart(code, bytes, start, end, buffer, false);
    session?.tap?.copyBegan();
  }

  private readyForQuery(code: number, bytes: Uint8Array, start: number, end: number, buffer: number): void {
    const status = bytes[start + HEADER_BYTES];
    const isKnown = status === READY.Idle || status === READY.InTransaction || status === READY.Failed;
    // What we had the server refuse it must have refused: the client has been told so.
    const isUnrefused = (code & DISPOSITION_MASK) === REPLACE_ERROR && !this.hasError;
    if (!isKnown || isUnrefused || this.server.isCopyIn) {
      this.onViolation(
        isKnown ? 'ReadyForQuery in place of an error' : 'ReadyForQuery with an unknown status',
      );
      return;
    }
    const server = this.server;
    server.readyStatus = status;
    const disposition = code & DISPOSITION_MASK;
    if (disposition === SWALLOW) {
      const exchange = server.pending.headRef() as OwnExchange | null;
      this.popped();
      exchange?.onDone();
    } else {
      server.queries++;
      countDone(server);
      const { session } = server;
      if (session !== null) {
        session.queryDone(server);
        session.transaction.ready(server, status, this.hasError);
        const { tap } = session;
        if (tap !== null) tap.answered(status, this.hasError, server.pending.foreignReadyCount - 1);
      }
      this.hasError = false;
      const { pubSub } = server.context;
      if (session !== null && status === READY.Idle && pubSub.isUsed) pubSub.beforeReady(session);
      this.pass(bytes, start, end, buffer);
      this.popped();
    }
    if (server.isQuiet && server.state !== 'closed') server.pool.serverQuiet(server);
    if (server.cancelWaiting !== null) resumeCancel(server);
  }

  private popped(): void {
    this.server.pending.pop();
    this.emitFakes();
  }
}
