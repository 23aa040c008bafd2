import { decodeText, FRONTEND, FRONTEND_ALLOWED, PgDogError } from '@pgdog-cluster/core';
import { BLOCKED, CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { sessionGone } from './close.js';
import type { RequestSink } from './requests.js';
import type { Session } from './session.js';

const HEADER_BYTES = 5;

/** A client of the admin database: commands go to the supervisor, its answers come back through the mailbox. */
export class AdminSink implements FrameSink {
  private readonly session: Session;
  private isSkippingToSync = false;

  constructor(session: Session) {
    this.session = session;
  }

  headBytes(type: number, frameBytes: number): number {
    return FRONTEND_ALLOWED.admin.allows(type, frameBytes) ? frameBytes : -1;
  }

  onFrame(type: number, bytes: Uint8Array, start: number, end: number): number {
    const { session } = this;
    switch (type) {
      case FRONTEND.Query:
        sendToSupervisor(
          session,
          true,
          decodeText(bytes, start + HEADER_BYTES, Math.max(start + HEADER_BYTES, end - 1)),
        );
        session.stream.block();
        return CONSUMED;
      case FRONTEND.Terminate:
        sessionGone(session, 'client said goodbye');
        return CONSUMED;
      case FRONTEND.Sync:
        this.isSkippingToSync = false;
        session.sendReady();
        return CONSUMED;
      case FRONTEND.PasswordMessage:
        session.fail(new PgDogError('protocol_violation', 'unexpected message'));
        return CONSUMED;
      default:
        if (!this.isSkippingToSync && type !== FRONTEND.Flush) {
          this.isSkippingToSync = true;
          session.answerError(
            new PgDogError('unsupported_feature', 'the admin database speaks the simple query protocol only'),
          );
        }
        return CONSUMED;
    }
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
  sendToSupervisor(session, false, text);
  // Blocked behind this frame, which is consumed.
  session.stream.block();
  return CONSUMED;
}

function sendToSupervisor(session: Session, isAdmin: boolean, text: string): void {
  session.context.tell({
    type: 'adminQuery',
    worker: session.context.worker,
    slot: session.slot,
    generation: session.id,
    database: session.database,
    user: session.user,
    isAdmin,
    text,
    lastShards: [...(session.router?.shards?.lastShards ?? [])],
  });
}

/** A piece of the supervisor's answer; the last one is followed by ReadyForQuery. */
export function supervisorAnswered(session: Session, bytes: Uint8Array, isLast: boolean): void {
  if (session.phase !== 'ready') return;
  session.send(bytes);
  if (!isLast) return;
  session.queries++;
  session.router?.settled();
  session.sendReady();
  session.resumeRequests();
}
