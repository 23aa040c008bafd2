import {
  ownerOfProcessId,
  PgDogError,
  parseStartupPacket,
  SSL_ACCEPTED,
  SSL_REFUSED,
  STARTUP_PACKET_BYTES_MAX,
  type StartupMessage,
  UNIX_ADDRESS,
} from '@pgdog-cluster/core';
import { deliverCancel } from '../backend/cancel.js';
import { LogAllowance } from '../log-allowance.js';
import type { WorkerContext } from '../worker-context.js';
import type { Arrival } from './arrivals.js';
import { startClientTls } from './client-tls.js';
import { sessionGone } from './close.js';
import { moveHome, noteHome } from './move-home.js';
import { mayHaveProxyHeader, noteProxyHeader, readProxyHeader } from './proxy-header.js';
import { Session } from './session.js';
import { startSession } from './startup.js';
import { StartupCache } from './startup-cache.js';

/** A client's descriptor has been handed over: reads its first packets. Null when no slot is free. */
export function acceptSession(context: WorkerContext, arrival: Arrival): Session | null {
  const { fd, addr, port, sinceMs, moved } = arrival;
  const session = context.sessions.add((slot, id) => new Session(context, fd, slot, id, addr, port));
  if (session === null) return null;
  session.connectedMs = sinceMs;
  if (moved !== null) {
    // Who it is has been found out, and what may come before the start-up packet is over.
    session.peerUser = moved.peerUser;
    readStartup(session, false);
    return session;
  }
  if (addr === UNIX_ADDRESS) context.peerNames.identify(session);
  if (mayHaveProxyHeader(session)) readProxyHeader(session, readStartup);
  else readStartup(session);
  return session;
}

function readStartup(session: Session, mayMove = true): void {
  const reader = new StartupReader(session, mayMove);
  session.rawReader = (bytes, start, end) => reader.read(bytes, start, end);
}

/** Of this worker. */
const cache = new StartupCache();

/** Of this worker: what comes before anybody has said who it is can be sent by anybody, as fast as it likes. */
const refusalLines = new LogAllowance(10);

/** What Postgres closes without a word is found in the log alone. */
function logPacketRefused({ context, addr, port }: Session, { message }: PgDogError): void {
  const unlogged = refusalLines.take(context.nowMs);
  if (unlogged < 0) return;
  const more = unlogged === 0 ? '' : ` (and ${unlogged} more)`;
  context.log('warn', 'startup_packet_refused', `${message}${more}`, { addr, port });
}

/** ContentType handshake: the first byte of a TLS connection. */
const TLS_HANDSHAKE_RECORD = 0x16;

/** Collects the untyped first packets: encryption requests, then one StartupMessage or CancelRequest. */
class StartupReader {
  private readonly session: Session;
  private packet = new Uint8Array(0);
  private requestCount = 0;
  private isEncrypted = false;
  /** Once: it does not wander on, whatever the next worker thinks. */
  private readonly mayMove: boolean;

  constructor(session: Session, mayMove: boolean) {
    this.session = session;
    this.mayMove = mayMove;
  }

  /** Returns where the bytes behind the packet begin. */
  read(bytes: Uint8Array, start: number, end: number): number {
    if (bytes[start] === TLS_HANDSHAKE_RECORD && this.isUntouched) {
      this.directTls(bytes, start, end);
      return end;
    }
    const { session } = this;
    const known = this.packet.length > 0 ? null : cache.find(bytes, start, end);
    if (known !== null) {
      const next = start + known.packetBytes;
      return this.begin(known, bytes.subarray(start, next), bytes, next, end);
    }
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
    if (packet.kind === 'refused') {
      noteProxyHeader(session, joined);
      logPacketRefused(session, packet.error);
      if (packet.hasReply) session.fail(packet.error);
      else sessionGone(session, packet.error.message);
      return end;
    }
    const next = start + packet.packetBytes - this.packet.length;
    this.packet = new Uint8Array(0);
    if (packet.kind !== 'startup' && packet.kind !== 'cancel') {
      return this.encryptionRequest(packet.kind, next, end);
    }
    if (packet.kind === 'cancel') {
      session.rawReader = null;
      this.cancel(packet.pid, packet.secret);
      return end;
    }
    const whole = joined.subarray(0, packet.packetBytes);
    cache.keep(whole, packet);
    return this.begin(packet, whole, bytes, next, end);
  }

  /** The start-up packet is whole; bytes[next, end) came behind it. Returns where reading goes on. */
  private begin(
    message: StartupMessage,
    packet: Uint8Array,
    bytes: Uint8Array,
    next: number,
    end: number,
  ): number {
    const { session } = this;
    session.rawReader = null;
    if (this.mayMove) {
      if (moveHome(session, message, packet, bytes.subarray(next, end))) return end;
    } else noteHome(session, message);
    startSession(session, message);
    return next;
  }

  /** Nothing has been said yet. */
  private get isUntouched(): boolean {
    return this.packet.length === 0 && this.requestCount === 0 && !this.isEncrypted;
  }

  /** A first packet would have to be larger than any is: the connection begins with TLS, as Postgres 17 allows. */
  private directTls(bytes: Uint8Array, start: number, end: number): void {
    const { session } = this;
    const { clients } = session.context.tls;
    if (clients === null) {
      sessionGone(session, 'direct TLS, but TLS towards clients is off');
      return;
    }
    this.isEncrypted = true;
    startClientTls(session, clients, true).receiveCopy(bytes, start, end);
  }

  /** Bytes sent before the answer could be meant to cross the encryption switch: none may be there. */
  private encryptionRequest(kind: 'ssl' | 'gss', next: number, end: number): number {
    const { session } = this;
    this.requestCount++;
    if (this.isEncrypted) {
      session.fail(new PgDogError('protocol_violation', 'encryption request inside TLS'));
      return end;
    }
    if (next < end || this.requestCount > 2) {
      session.fail(
        new PgDogError('protocol_violation', 'received unencrypted data after an encryption request'),
      );
      return end;
    }
    const { clients } = session.context.tls;
    // As Postgres: no TLS through a Unix socket.
    if (kind === 'gss' || clients === null || session.addr === UNIX_ADDRESS) {
      session.send(SSL_REFUSED);
      return next;
    }
    this.isEncrypted = true;
    session.send(SSL_ACCEPTED);
    startClientTls(session, clients, false);
    return next;
  }

  /** The descriptor moves to the worker that has the session: it is closed once the cancel has been delivered. */
  private cancel(pid: number, secret: Uint8Array): void {
    const { session } = this;
    const { context } = session;
    const { worker, slot } = ownerOfProcessId(pid);
    if (worker === context.worker) {
      deliverCancel(context, slot, secret, () => sessionGone(session, 'cancel request', this.isEncrypted));
      return;
    }
    if (worker < 0 || worker >= context.memory.handles.dimensions.workers) {
      sessionGone(session, 'cancel request with an unknown key');
      return;
    }
    if (this.isEncrypted) this.cancelElsewhere(worker, slot, secret);
    else session.leave((fd) => this.cancelThere(worker, slot, secret, fd));
  }

  private cancelThere(worker: number, slot: number, secret: Uint8Array, fd: number): void {
    const { context } = this.session;
    if (!context.post(worker, { type: 'cancel', fd, slot, secret })) context.closeFd(fd);
  }

  /** The other worker says when: this connection cannot go there. The login time-out bounds the wait. */
  private cancelElsewhere(worker: number, slot: number, secret: Uint8Array): void {
    const { session } = this;
    const { context } = session;
    const isPosted = context.post(worker, {
      type: 'cancelFor',
      slot,
      secret,
      replyWorker: context.worker,
      replySlot: session.slot,
      replySession: session.id,
    });
    if (!isPosted) sessionGone(session, 'cancel request for a worker that is gone', true);
  }
}
