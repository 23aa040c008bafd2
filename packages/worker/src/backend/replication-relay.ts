import { BACKEND, BACKEND_ALLOWED, parseErrorFields, READY } from '@pgdog-cluster/core';
import { HIGH_MARK } from '../io/connection.js';
import type { Session } from '../session/session.js';
import { FrameRun } from '../wire/frame-run.js';
import { CONSUMED, type FrameSink } from '../wire/frame-stream.js';
import { PAUSE_CLIENT_FULL, type ServerConnection } from './server-connection.js';

const HEADER_BYTES = 5;

/** What a walsender says goes to its one client as it is, both ways at once while it streams (COPY BOTH). */
export class ReplicationRelay implements FrameSink {
  private readonly server: ServerConnection;
  private readonly session: Session;
  private readonly run: FrameRun;

  constructor(server: ServerConnection, session: Session) {
    this.server = server;
    this.session = session;
    this.run = new FrameRun((bytes, start, end, buffer) => {
      if (buffer >= 0) session.passSlice(buffer, start, end);
      else session.passBytes(bytes, start, end);
    });
  }

  headBytes(type: number, frameBytes: number): number {
    if (!BACKEND_ALLOWED.serving.allows(type, frameBytes)) return -1;
    return type === BACKEND.ErrorResponse || type === BACKEND.ReadyForQuery ? frameBytes : HEADER_BYTES;
  }

  onFrame(type: number, bytes: Uint8Array, start: number, end: number, buffer: number): number {
    switch (type) {
      case BACKEND.CopyBothResponse:
        this.session.isStreaming = true;
        break;
      case BACKEND.ErrorResponse:
        this.failed(bytes, start + HEADER_BYTES, end);
        break;
      case BACKEND.ReadyForQuery:
        if (end - start > HEADER_BYTES) this.ready(bytes[start + HEADER_BYTES]);
        break;
      default:
    }
    this.run.add(bytes, start, end, buffer);
    return CONSUMED;
  }

  onRest(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    this.run.add(bytes, start, end, buffer);
  }

  /** A client that does not read stops its server; its own words (status updates) are still taken. */
  onChunkEnd(): void {
    this.run.flush();
    const { server, session } = this;
    session.countTraffic(server.pool.row);
    if (session.connection.queuedBytes > HIGH_MARK) server.connection.pauseReceive(PAUSE_CLIENT_FULL);
  }

  onViolation(reason: string): void {
    this.run.flush();
    this.server.pool.serverOutOfSync(this.server, reason);
  }

  private failed(bytes: Uint8Array, start: number, end: number): void {
    const { server } = this;
    const { severity, sqlstate, message } = parseErrorFields(bytes, start, end);
    server.errors++;
    this.session.errors++;
    server.pool.row.error();
    if (severity !== 'FATAL' && severity !== 'PANIC') return;
    server.pool.serverFailed(server, sqlstate, message);
    server.hasFailed = true;
  }

  private ready(status: number): void {
    const { server, session } = this;
    server.readyStatus = status;
    server.queries++;
    if (server.pending.length > 0) server.pending.pop();
    // How long a stream lasted says nothing about how fast commands are.
    if (session.isStreaming) session.queries++;
    else session.queryDone(server);
    session.isStreaming = false;
    if (status !== READY.Idle) return;
    server.transactions++;
    session.transactions++;
  }
}
