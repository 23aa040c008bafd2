import {
  type AdminReplyMessage,
  decodeText,
  FRONTEND,
  FRONTEND_ALLOWED,
  PgDogError,
} from '@pgdog-cluster/core';
import { BLOCKED, CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { AdminExtended, type AdminStep } from './admin-extended.js';
import { isShutOut, mayOnlyShow } from './admin-rights.js';
import { sessionGone } from './close.js';
import type { RequestSink } from './requests.js';
import type { Session } from './session.js';

const HEADER_BYTES = 5;

/** By session: who takes the supervisor's answers of the extended protocol. */
const sinks = new WeakMap<Session, AdminSink>();

/** A client of the admin database: commands go to the supervisor, its answers come back through the mailbox. */
export class AdminSink implements FrameSink {
  private readonly session: Session;
  private readonly extended: AdminExtended;
  private isSkippingToSync = false;
  /** The supervisor is asked for a step of the extended protocol. */
  private isStepping = false;

  constructor(session: Session) {
    this.session = session;
    this.extended = new AdminExtended(session);
    sinks.set(session, this);
  }

  headBytes(type: number, frameBytes: number): number {
    return FRONTEND_ALLOWED.admin.allows(type, frameBytes) ? frameBytes : -1;
  }

  onFrame(type: number, bytes: Uint8Array, start: number, end: number): number {
    const { session } = this;
    switch (type) {
      case FRONTEND.Query:
        sendToSupervisor(session, true, {
          text: decodeText(bytes, start + HEADER_BYTES, Math.max(start + HEADER_BYTES, end - 1)),
        });
        session.stream.block();
        return CONSUMED;
      case FRONTEND.Terminate:
        sessionGone(session, 'client said goodbye');
        return CONSUMED;
      case FRONTEND.Sync:
        this.isSkippingToSync = false;
        this.extended.sync();
        session.sendReady();
        return CONSUMED;
      case FRONTEND.PasswordMessage:
        session.fail(new PgDogError('protocol_violation', 'unexpected message'));
        return CONSUMED;
      case FRONTEND.Flush:
        return CONSUMED;
      default:
        if (!this.isSkippingToSync) this.step(type, bytes, start, end);
        return CONSUMED;
    }
  }

  private step(type: number, bytes: Uint8Array, start: number, end: number): void {
    const { session } = this;
    try {
      const step = this.extended.handle(type, bytes, start, end);
      if (step === null) return;
      this.isStepping = true;
      sendToSupervisor(session, true, step);
      session.stream.block();
    } catch (error) {
      if (!(error instanceof PgDogError)) throw error;
      if (error.severity === 'FATAL') {
        session.fail(error);
        return;
      }
      this.isSkippingToSync = true;
      session.answerError(error);
    }
  }

  /** True: the piece was part of the answer to a step. */
  answered(bytes: Uint8Array, isLast: boolean, hasFailed: boolean): boolean {
    if (!this.isStepping) return false;
    const { session } = this;
    for (const frames of this.extended.answered(bytes, isLast)) session.send(frames);
    if (!isLast) return true;
    this.isStepping = false;
    if (hasFailed) this.isSkippingToSync = true;
    else session.queries++;
    session.resumeRequests();
    return true;
  }

  onRest(): void {}

  onChunkEnd(): void {}

  onViolation(reason: string): void {
    this.session.fail(new PgDogError('protocol_violation', reason));
  }
}

/** SHOW pgdog.… of an ordinary client: answered by the supervisor once all before it is answered. */
export function askSupervisor(requests: RequestSink, text: string): number {
  const { session } = requests;
  const { server } = session;
  if (server !== null && (server.pending.length > 0 || server.isBatchOpen)) {
    requests.isAwaitingQuiet = true;
    return BLOCKED;
  }
  sendToSupervisor(session, false, { text });
  // Blocked behind this frame, which is consumed.
  session.stream.block();
  return CONSUMED;
}

function sendToSupervisor(session: Session, isAdmin: boolean, step: AdminStep): void {
  session.context.tell({
    type: 'adminQuery',
    worker: session.context.worker,
    slot: session.slot,
    generation: session.id,
    database: session.database,
    user: session.user,
    isAdmin,
    isViewer: isAdmin && mayOnlyShow(session.context.config, session.user),
    isShutOut: isAdmin && isShutOut(session.context, session.user),
    ...step,
    lastShards: [...(session.router?.shards?.lastShards ?? [])],
  });
}

/** A piece of the supervisor's answer; the last one is followed by ReadyForQuery. */
export function supervisorAnswered(
  session: Session,
  { bytes, isLast, hasFailed = false }: AdminReplyMessage,
): void {
  if (session.phase !== 'ready') return;
  if (sinks.get(session)?.answered(bytes, isLast, hasFailed) === true) return;
  session.send(bytes);
  if (!isLast) return;
  session.queries++;
  session.router?.settled();
  session.sendReady();
  session.resumeRequests();
}
