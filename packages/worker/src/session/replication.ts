import { FRONTEND, FRONTEND_ALLOWED, PgDogError } from '@pgdog-cluster/core';
import { FORWARD, KIND_FUNCTION_CALL, KIND_QUERY, KIND_SYNC } from '../backend/pending-replies.js';
import { ReplicationRelay } from '../backend/replication-relay.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { HIGH_MARK } from '../io/connection.js';
import { FrameRun } from '../wire/frame-run.js';
import { CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { sessionGone } from './close.js';
import { PAUSE_SERVER_FULL, type Session } from './session.js';

const HEADER_BYTES = 5;

/** The dedicated server connection has logged in: from now on frames go to and fro as they are. */
export function startReplication(session: Session, server: ServerConnection): void {
  session.stream.setSink(new ReplicationSink(session, server));
  server.setSink(new ReplicationRelay(server, session));
}

/**
 * Frames of a replication client. Nothing of them is read: what a walsender does not take (the extended protocol) it
 * refuses itself. Only what will be answered with ReadyForQuery is counted, so that it is known whether a command runs.
 */
class ReplicationSink implements FrameSink {
  private readonly session: Session;
  private readonly server: ServerConnection;
  private readonly run: FrameRun;

  constructor(session: Session, server: ServerConnection) {
    this.session = session;
    this.server = server;
    this.run = new FrameRun((bytes, start, end, buffer) => server.forward(bytes, start, end, buffer));
  }

  headBytes(type: number, frameBytes: number): number {
    return FRONTEND_ALLOWED.ready.allows(type, frameBytes) ? HEADER_BYTES : -1;
  }

  onFrame(type: number, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    switch (type) {
      case FRONTEND.Query:
        this.asked(KIND_QUERY);
        break;
      case FRONTEND.FunctionCall:
        this.asked(KIND_FUNCTION_CALL);
        break;
      case FRONTEND.Sync:
        this.asked(KIND_SYNC);
        break;
      case FRONTEND.Terminate:
        this.run.flush();
        sessionGone(this.session, 'client said goodbye');
        return CONSUMED;
      default:
    }
    this.run.add(bytes, start, end, buffer);
    return CONSUMED;
  }

  onRest(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    this.run.add(bytes, start, end, buffer);
  }

  /** A server that does not read stops its client; what it sends meanwhile goes on (ReplicationRelay). */
  onChunkEnd(): void {
    this.run.flush();
    if (this.server.connection.queuedBytes > HIGH_MARK) {
      this.session.connection.pauseReceive(PAUSE_SERVER_FULL);
    }
  }

  onViolation(reason: string): void {
    this.run.flush();
    this.session.fail(new PgDogError('protocol_violation', reason));
  }

  private asked(kind: number): void {
    const { session, server } = this;
    const { nowMs, nowUs } = session.context;
    if (server.pending.length === 0) session.requestSinceUs = nowUs;
    server.requestSinceMs = nowMs;
    server.pending.push(kind | FORWARD, null);
  }
}
