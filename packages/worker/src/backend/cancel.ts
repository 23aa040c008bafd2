import { timingSafeEqual } from 'node:crypto';
import { buildCancelRequest, type HostAddress, PgDogError, READY } from '@pgdog-cluster/core';
import { Connection, type ConnectionOwner } from '../io/connection.js';
import { AF_UNIX } from '../io/libc.js';
import { familyOf, parseSockaddr, peerSockaddr } from '../io/socket-address.js';
import type { Session } from '../session/session.js';
import type { TlsInfo } from '../tls/tls-info.js';
import type { WorkerContext } from '../worker-context.js';
import { openServerSocket } from './open-socket.js';
import { DISPOSITION_MASK, KIND_MASK, KIND_QUERY, KIND_SYNC, SWALLOW } from './pending-replies.js';
import { peerProblem } from './require-peer.js';
import type { ServerConnection } from './server-connection.js';
import { ServerTls, type ServerTlsOwner } from './server-tls.js';

/**
 * A client's CancelRequest for a session of this worker. `onDelivered` is called once it has taken effect or has
 * come to nothing; the cancelling connection is closed then, as by Postgres, which never tells which it was.
 */
export function deliverCancel(
  context: WorkerContext,
  slot: number,
  secret: Uint8Array,
  onDelivered: () => void,
): void {
  const session = context.sessions.at(slot);
  if (session === null || session.secret === null || !isSame(session.secret, secret)) {
    onDelivered();
    return;
  }
  if (session.waitingSinceMs !== 0 && session.pool !== null) {
    // Its statement has not reached a server: it is taken out of the queue.
    session.pool.refuseWaiter(session, new PgDogError('query_cancelled'));
    onDelivered();
    return;
  }
  if (session.isAdmin) {
    context.tell({ type: 'adminCancel', worker: context.worker, generation: session.id, isGone: false });
    onDelivered();
    return;
  }
  if (context.holds.has(session)) {
    context.holds.forget(session);
    session.requests?.refusedWhileWaiting(new PgDogError('query_cancelled'));
    onDelivered();
    return;
  }
  const shards = session.router?.shards ?? null;
  if (shards?.isWaiting === true) {
    shards.forget();
    session.requests?.refusedWhileWaiting(new PgDogError('query_cancelled'));
    onDelivered();
    return;
  }
  if (shards?.cross.isBusy === true) {
    shards.cross.cancel();
    onDelivered();
    return;
  }
  if (session.server === null) onDelivered();
  else cancelAtServer(session, session.server, onDelivered);
}

/**
 * Cancels what the session asks of its server connection, where it is: statements of ours that go ahead of it are not hit, and
 * what waits for an earlier cancel to end is cancelled too.
 */
export function cancelAtServer(
  session: Session,
  server: ServerConnection,
  onDelivered: () => void = () => {},
): void {
  const isAsked = server.pending.length > 0;
  const isBehindCancel = session.requests?.isAwaitingQuiet === true && server.cancelsInFlight > 0;
  if (isAsked && !isOwnAhead(server)) cancelOnServer(server, onDelivered);
  else if (!isAsked && !isBehindCancel) onDelivered();
  else if (!isAsked && server.readyStatus === READY.Idle) {
    // The server connection is about to be given back: nobody has it.
    session.requests?.refusedWhileWaiting(new PgDogError('query_cancelled'));
    onDelivered();
  } else if (server.cancelWaiting !== null) {
    // One that waits already will do for both.
    onDelivered();
  } else server.cancelWaiting = { session, onDelivered };
}

/** A cancel that waits until what goes ahead is through; `session` is whom it was meant for. */
export interface WaitingCancel {
  session: Session;
  onDelivered: () => void;
}

/**
 * Queries of ours (settings, a probe) run before anything of the client's: a cancel sent now would hit them, and
 * the client's statement would go on without its settings.
 */
function isOwnAhead(server: ServerConnection): boolean {
  const { pending } = server;
  for (let index = 0; index < pending.length; index++) {
    const code = pending.codeAt(index);
    if ((code & DISPOSITION_MASK) !== SWALLOW) return false;
    const kind = code & KIND_MASK;
    if (kind === KIND_QUERY || kind === KIND_SYNC) return true;
  }
  return false;
}

/**
 * A query of ours has been answered, an earlier cancel has ended, or the connection was closed: sends the cancel that waited for
 * that, or drops it.
 */
export function resumeCancel(server: ServerConnection): void {
  const waiting = server.cancelWaiting;
  if (waiting === null || isOwnAhead(server)) return;
  server.cancelWaiting = null;
  // The connection may serve another by now, whom it must not hit.
  const isMeant = server.state === 'active' && server.session === waiting.session;
  if (isMeant && server.pending.length > 0) cancelOnServer(server, waiting.onDelivered);
  else waiting.onDelivered();
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * Cancels what runs on the server connection now. Until Postgres has closed the cancelling connection (the signal
 * is sent by then) the server connection is neither given to another client nor fed a new request.
 */
export function cancelOnServer(server: ServerConnection, onDelivered: () => void = () => {}): void {
  const { context, pool } = server;
  const address = addressOf(server);
  const fd = address === undefined ? -1 : openServerSocket(address, context.config.tcp);
  if (address === undefined || fd < 0) {
    onDelivered();
    return;
  }
  context.memory.fds.setOwner(fd, context.worker);
  pool.row.cancel();
  server.cancelsInFlight++;
  const connection = new ServerCancel(server, fd, onDelivered);
  connection.start(address.sockaddr);
}

/**
 * Where the server connection leads: the name of its host may have several addresses, or others by now. Asked of the kernel, because
 * connections change workers. Of a Unix socket the server's own path says nothing, which may lie elsewhere for us.
 */
function addressOf({ connection, pool }: ServerConnection): HostAddress | undefined {
  const [first] = pool.snapshot.addresses;
  if (first?.family === AF_UNIX) return first;
  const sockaddr = peerSockaddr(connection.fd);
  if (sockaddr === null) return first;
  return { family: familyOf(sockaddr), text: parseSockaddr(sockaddr).address, sockaddr };
}

/** One CancelRequest on its way to a server. */
export class ServerCancel implements ConnectionOwner, ServerTlsOwner {
  private readonly server: ServerConnection;
  private readonly connection: Connection;
  private readonly onDelivered: () => void;
  /** While it is settled how the request travels. */
  private tlsUpgrade: ServerTls | null = null;
  private isOver = false;

  constructor(server: ServerConnection, fd: number, onDelivered: () => void) {
    this.server = server;
    this.onDelivered = onDelivered;
    const { context } = server;
    this.connection = new Connection(context.driver, fd, this, {
      outputs: context.outputs,
      beforeClose: context.forgetFd,
    });
  }

  start(sockaddr: Uint8Array): void {
    const { context } = this.server;
    context.deadlines.add(context.nowMs + context.config.general.cancelWaitTimeoutMs, () => this.end());
    this.connection.connect(sockaddr);
  }

  handleConnected(errno: number): void {
    // Whoever took the server's place would learn the key.
    if (errno !== 0 || peerProblem(this.connection.fd, this.server.pool.snapshot) !== null) {
      this.end();
      return;
    }
    if (this.server.tls === null) {
      this.request();
      return;
    }
    // As its connection, so its cancel: the key is as secret as what it protects.
    const { context, pool } = this.server;
    const settings = context.tls.contextOf(pool.snapshot.tls);
    if (settings === null) {
      this.end();
      return;
    }
    this.tlsUpgrade = new ServerTls(context.tls, this.connection, settings, pool.snapshot, this);
    this.tlsUpgrade.ask();
  }

  tlsSettled(info: TlsInfo | null): void {
    this.tlsUpgrade = null;
    if (info === null) this.end();
    else this.request();
  }

  tlsFailed(reason: string): void {
    this.server.context.log('warn', 'cancel_failed', `cancel request not sent, TLS towards ${reason}`, {});
    this.end();
  }

  private request(): void {
    const request = buildCancelRequest(this.server.remotePid, this.server.secret);
    this.connection.sendBytes(request, 0, request.length);
  }

  handleReceived(buffer: number, start: number, end: number): void {
    const { memory } = this.server.context.driver;
    // To the request itself Postgres says nothing.
    this.tlsUpgrade?.receive(memory.bytes, start, end);
    memory.release(buffer);
  }

  handleReceiveEnd(): void {
    this.end();
  }

  handleWriteFailed(): void {
    this.end();
  }

  handleDrained(): void {}

  handleDetached(): void {}

  private end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.connection.close();
    const { server } = this;
    server.cancelsInFlight--;
    this.onDelivered();
    const isWaitedFor = server.isQuiet && server.state !== 'closed' && server.dedicatedTo === null;
    if (isWaitedFor) server.pool.serverQuiet(server);
    if (server.cancelsInFlight === 0) resumeCancel(server);
  }
}
