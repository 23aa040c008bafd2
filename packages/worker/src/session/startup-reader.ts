import {
  PgDogError,
  parseStartupPacket,
  SSL_REFUSED,
  STARTUP_PACKET_BYTES_MAX,
  UNIX_ADDRESS,
} from '@pgdog-cluster/core';
import { deliverCancel } from '../backend/cancel.js';
import type { WorkerContext } from '../worker-context.js';
import { sessionGone } from './close.js';
import { mayHaveProxyHeader, noteProxyHeader, readProxyHeader } from './proxy-header.js';
import { Session } from './session.js';
import { ownerOfProcessId } from './session-table.js';
import { startSession } from './startup.js';

/** A client's descriptor has been handed over: reads its first packets. Null when no slot is free. */
export function acceptSession(
  context: WorkerContext,
  fd: number,
  addr: string,
  port: number,
): Session | null {
  const session = context.sessions.add((slot, id) => new Session(context, fd, slot, id, addr, port));
  if (session === null) return null;
  if (addr === UNIX_ADDRESS) context.peerNames.identify(session);
  if (mayHaveProxyHeader(session)) readProxyHeader(session, readStartup);
  else readStartup(session);
  return session;
}

function readStartup(session: Session): void {
  const reader = new StartupReader(session);
  session.rawReader = (bytes, start, end) => reader.read(bytes, start, end);
}

/** Collects the untyped first packets: encryption requests, then one StartupMessage or CancelRequest. */
class StartupReader {
  private readonly session: Session;
  private packet = new Uint8Array(0);
  private requestCount = 0;

  constructor(session: Session) {
    this.session = session;
  }

  /** Returns where the bytes behind the packet begin. */
  read(bytes: Uint8Array, start: number, end: number): number {
    // Bounded by parseStartupPacket, which judges the declared length before more is awaited.
    const size = Math.min(end - start, STARTUP_PACKET_BYTES_MAX - this.packet.length);
    const joined = new Uint8Array(this.packet.length + size);
    joined.set(this.packet);
    joined.set(bytes.subarray(start, start + size), this.packet.length);
    const packet = parseStartupPacket(joined, 0, joined.length);
    if (packet.kind === 'incomplete') {
      this.packet = joined;
      return end;
    }
    const { session } = this;
    if (packet.kind === 'refused') {
      noteProxyHeader(session, joined);
      if (packet.hasReply) session.fail(packet.error);
      else sessionGone(session, packet.error.message);
      return end;
    }
    const next = start + packet.packetBytes - this.packet.length;
    this.packet = new Uint8Array(0);
    if (packet.kind !== 'startup' && packet.kind !== 'cancel') return this.encryptionRequest(next, end);
    session.rawReader = null;
    if (packet.kind === 'cancel') {
      this.cancel(packet.pid, packet.secret);
      return end;
    }
    startSession(session, packet);
    return next;
  }

  /** Declined in the clear; bytes sent before the answer could be meant to cross the encryption switch. */
  private encryptionRequest(next: number, end: number): number {
    const { session } = this;
    this.requestCount++;
    if (next < end || this.requestCount > 2) {
      session.fail(
        new PgDogError('protocol_violation', 'received unencrypted data after an encryption request'),
      );
      return end;
    }
    session.send(SSL_REFUSED);
    return next;
  }

  /** The descriptor moves to the worker that has the session: it is closed once the cancel has been delivered. */
  private cancel(pid: number, secret: Uint8Array): void {
    const { session } = this;
    const { context } = session;
    const { worker, slot } = ownerOfProcessId(pid);
    if (worker === context.worker) {
      deliverCancel(context, slot, secret, () => sessionGone(session, 'cancel request'));
      return;
    }
    if (worker < 0 || worker >= context.memory.handles.dimensions.workers) {
      sessionGone(session, 'cancel request with an unknown key');
      return;
    }
    session.releaseForCancel(worker, slot, secret);
  }
}
