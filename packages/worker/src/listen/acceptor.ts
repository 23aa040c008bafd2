import {
  type ListenSocket,
  readAddress,
  readPort,
  SOCKADDR_BYTES_MAX,
  UNIX_ADDRESS,
} from '@pgdog-cluster/core';
import {
  EAGAIN,
  ECONNABORTED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EINTR,
  EINVAL,
  EMFILE,
  ENETDOWN,
  ENETUNREACH,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  ENONET,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPROTO,
} from '../io/errno.js';
import { accept4, errno, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../io/libc.js';
import type { WorkerContext } from '../worker-context.js';
import { HandOver, publishClients } from './hand-over.js';

/** Clients taken in a turn and socket: a storm of them must not hold up those that are being served. */
const ACCEPTS_PER_TURN = 16;
/** Without descriptors or memory: others must close first, and trying faster only burns CPU. */
const EXHAUSTED_PAUSE_MS = 100;
const EXHAUSTED_LOG_PERIOD_MS = 1000;

/** The client went away while it waited, its network failed (Linux tells that here), or a signal came: the next may do. */
const NEXT_AT_ONCE: ReadonlySet<number> = new Set([
  ECONNABORTED,
  EINTR,
  EPROTO,
  ENETDOWN,
  ENOPROTOOPT,
  EHOSTDOWN,
  ENONET,
  EHOSTUNREACH,
  EOPNOTSUPP,
  ENETUNREACH,
]);
const EXHAUSTED: ReadonlySet<number> = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM]);

/**
 * Takes clients off the listening sockets, which the supervisor opened and all workers watch: the kernel wakes one
 * of them per client. Serves them here, unless another worker has clearly fewer.
 */
export class Acceptor {
  private readonly context: WorkerContext;
  private readonly handOver: HandOver;
  private readonly sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  private readonly length = new Int32Array(1);
  private sockets: readonly ListenSocket[] = [];
  private isPaused = false;
  private exhaustedLoggedMs = 0;

  constructor(context: WorkerContext) {
    this.context = context;
    this.handOver = new HandOver(context.memory, context.worker, (worker, message) =>
      context.post(worker, message),
    );
  }

  /** From now on these sockets and no others. They stay the supervisor's to close. */
  listen(sockets: readonly ListenSocket[]): void {
    const { driver } = this.context;
    for (const { fd } of this.sockets) {
      if (!sockets.some((socket) => socket.fd === fd)) driver.unwatchListener(fd);
    }
    this.sockets = [...sockets];
    if (!this.isPaused) this.watch();
  }

  private watch(): void {
    for (const socket of this.sockets) {
      this.context.driver.watchListener(socket.fd, () => this.accept(socket));
    }
  }

  private accept(socket: ListenSocket): void {
    for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
      this.length[0] = SOCKADDR_BYTES_MAX;
      const fd = accept4(socket.fd, this.sockaddr, this.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) this.take(fd, socket.unixPort);
      else if (!this.isWorthRetry(errno(), socket)) return;
    }
  }

  private take(fd: number, unixPort: number): void {
    const { context } = this;
    const addr = unixPort > 0 ? UNIX_ADDRESS : readAddress(this.sockaddr);
    const port = unixPort > 0 ? unixPort : readPort(this.sockaddr);
    context.memory.fds.setOwner(fd, context.worker);
    if (this.handOver.give(fd, addr, port)) return;
    context.arrivals.add(fd, addr, port);
    // At once, not with the next tick: the next client of this burst is judged by it.
    publishClients(context);
  }

  /** After a failed accept: true = try the next one at once. */
  private isWorthRetry(reason: number, socket: ListenSocket): boolean {
    if (reason === EAGAIN) return false;
    if (NEXT_AT_ONCE.has(reason)) return true;
    if (reason === EINVAL) {
      // The supervisor has shut it down: it is readable for ever and has nobody to accept.
      this.listen(this.sockets.filter(({ fd }) => fd !== socket.fd));
      return false;
    }
    this.pause();
    this.logFailure(reason);
    return false;
  }

  private pause(): void {
    const { context } = this;
    this.isPaused = true;
    for (const { fd } of this.sockets) context.driver.unwatchListener(fd);
    context.deadlines.add(context.nowMs + EXHAUSTED_PAUSE_MS, () => {
      this.isPaused = false;
      this.watch();
    });
  }

  private logFailure(reason: number): void {
    const { context } = this;
    if (context.nowMs - this.exhaustedLoggedMs < EXHAUSTED_LOG_PERIOD_MS) return;
    this.exhaustedLoggedMs = context.nowMs;
    const why = EXHAUSTED.has(reason)
      ? 'out of descriptors or memory; raise the limit of open files (LimitNOFILE)'
      : 'accept failed';
    context.log('error', 'accept_failed', `cannot accept clients: ${why}`, { errno: reason });
  }
}
