import { readAddress, readPort, SOCKADDR_BYTES_MAX } from '@pgdog-cluster/core';
import { EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM } from '../io/errno.js';
import { accept4, errno, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../io/libc.js';
import { acceptSession } from '../session/startup-reader.js';
import type { WorkerContext } from '../worker-context.js';
import { HandOver } from './hand-over.js';

/** Clients taken in a turn and socket: a storm of them must not hold up those that are being served. */
const ACCEPTS_PER_TURN = 16;
/** Without descriptors or memory: others must close first, and trying faster only burns CPU. */
const EXHAUSTED_PAUSE_MS = 100;
const EXHAUSTED_LOG_PERIOD_MS = 1000;

/**
 * Takes clients off the listening sockets, which the supervisor opened and all workers watch: the kernel wakes one
 * of them per client. Serves them here, unless another worker has clearly fewer.
 */
export class Acceptor {
  private readonly context: WorkerContext;
  private readonly handOver: HandOver;
  private readonly sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  private readonly length = new Int32Array(1);
  private fds: readonly number[] = [];
  private isPaused = false;
  private exhaustedLoggedMs = 0;

  constructor(context: WorkerContext) {
    this.context = context;
    this.handOver = new HandOver(context.memory, context.worker, (worker, message) =>
      context.post(worker, message),
    );
  }

  /** From now on these sockets and no others. They stay the supervisor's to close. */
  listen(fds: readonly number[]): void {
    const { driver } = this.context;
    for (const fd of this.fds) if (!fds.includes(fd)) driver.unwatchListener(fd);
    this.fds = [...fds];
    if (!this.isPaused) this.watch();
  }

  private watch(): void {
    for (const fd of this.fds) this.context.driver.watchListener(fd, () => this.accept(fd));
  }

  private accept(listener: number): void {
    for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
      this.length[0] = SOCKADDR_BYTES_MAX;
      const fd = accept4(listener, this.sockaddr, this.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) this.take(fd);
      else if (!this.isWorthRetry(errno(), listener)) return;
    }
  }

  private take(fd: number): void {
    const { context } = this;
    const addr = readAddress(this.sockaddr);
    const port = readPort(this.sockaddr);
    context.memory.fds.setOwner(fd, context.worker);
    if (this.handOver.give(fd, addr, port)) return;
    if (acceptSession(context, fd, addr, port) === null) context.closeFd(fd);
    // At once, not with the next tick: the next client of this burst is judged by it.
    context.memory.workers.setClients(context.worker, context.sessions.count);
  }

  /** After a failed accept: true = try the next one at once. */
  private isWorthRetry(reason: number, listener: number): boolean {
    if (reason === EAGAIN) return false;
    // The client went away while it waited, or a signal came.
    if (reason === ECONNABORTED || reason === EINTR) return true;
    const isExhausted = reason === EMFILE || reason === ENFILE || reason === ENOBUFS || reason === ENOMEM;
    if (!isExhausted) {
      // The supervisor has shut it down: it is readable for ever and has nobody to accept.
      this.listen(this.fds.filter((fd) => fd !== listener));
      return false;
    }
    this.pause();
    this.logExhausted(reason);
    return false;
  }

  private pause(): void {
    const { context } = this;
    this.isPaused = true;
    for (const fd of this.fds) context.driver.unwatchListener(fd);
    context.deadlines.add(context.nowMs + EXHAUSTED_PAUSE_MS, () => {
      this.isPaused = false;
      this.watch();
    });
  }

  private logExhausted(reason: number): void {
    const { context } = this;
    if (context.nowMs - this.exhaustedLoggedMs < EXHAUSTED_LOG_PERIOD_MS) return;
    this.exhaustedLoggedMs = context.nowMs;
    const text =
      'cannot accept clients: out of descriptors or memory; raise the limit of open files (LimitNOFILE)';
    context.log('error', 'accept_failed', text, { errno: reason });
  }
}
