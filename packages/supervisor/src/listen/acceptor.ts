import { buildErrorResponse, PgDogError, type TcpSnapshot } from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';
import type { HandOver } from './hand-over.js';
import {
  accept4,
  close,
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  errno,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  send,
} from './libc.js';
import type { Listener } from './listener.js';
import { readAddress, readPort, SOCKADDR_BYTES_MAX } from './socket-address.js';

/** Then libuv gets a turn; the rest stays readable and calls back at once. */
const ACCEPTS_PER_CALL = 256;
/** Without descriptors or memory: others must close first, and trying faster only burns CPU. */
const EXHAUSTED_PAUSE_MS = 100;
const EXHAUSTED_LOG_PERIOD_MS = 1000;

/** Takes clients off the listening sockets and gives each to a worker. Never keeps one. */
export class Acceptor {
  readonly #listeners: readonly Listener[];
  readonly #handOver: HandOver;
  readonly #logger: Logger;
  readonly #sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  readonly #length = new Int32Array(1);
  #pauseTimer: NodeJS.Timeout | null = null;
  #exhaustedLoggedMs = 0;
  #isClosed = false;
  acceptedCount = 0;
  refusedCount = 0;

  constructor(listeners: readonly Listener[], handOver: HandOver, logger: Logger) {
    this.#listeners = listeners;
    this.#handOver = handOver;
    this.#logger = logger;
  }

  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** Starts, or goes on after waiting for a worker. Idempotent. */
  resume(): void {
    if (this.#isClosed || this.#pauseTimer !== null) return;
    for (const listener of this.#listeners) listener.watch(() => this.#onReadable(listener));
  }

  setTcpOptions(tcp: TcpSnapshot): void {
    for (const listener of this.#listeners) listener.setTcpOptions(tcp);
  }

  /** Closes the listening sockets; accepted clients are their workers'. Idempotent. */
  close(): void {
    this.#isClosed = true;
    if (this.#pauseTimer !== null) clearTimeout(this.#pauseTimer);
    this.#pauseTimer = null;
    for (const listener of this.#listeners) listener.close();
  }

  #onReadable(listener: Listener): void {
    for (let count = 0; count < ACCEPTS_PER_CALL; count++) {
      // Before the accept: with no worker to serve it a client is better off in the backlog.
      if (!this.#handOver.hasReceiver()) {
        this.#unwatch();
        return;
      }
      this.#length[0] = SOCKADDR_BYTES_MAX;
      const fd = accept4(listener.fd, this.#sockaddr, this.#length, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) this.#give(fd);
      else if (!this.#isWorthRetry(errno(), listener)) return;
    }
  }

  #give(fd: number): void {
    this.acceptedCount += 1;
    if (this.#handOver.give(fd, readAddress(this.#sockaddr), readPort(this.#sockaddr))) return;
    this.refusedCount += 1;
    const refusal = new PgDogError('too_many_clients', undefined, {
      detail: 'Every worker has a full mailbox.',
    });
    const bytes = buildErrorResponse(refusal);
    // A fresh socket has room for it; if not, the client sees a close, which says nearly as much.
    send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
    this.#logger.log('warn', 'too_many_clients', 'client refused: every worker has a full mailbox');
  }

  /** After a failed accept: true = try the next one at once. */
  #isWorthRetry(number: number, listener: Listener): boolean {
    // The client went away while it waited, or a signal came.
    if (number === ECONNABORTED || number === EINTR) return true;
    if (number === EAGAIN) return false;
    const isExhausted = number === EMFILE || number === ENFILE || number === ENOBUFS || number === ENOMEM;
    this.#pause();
    const nowMs = Date.now();
    if (nowMs - this.#exhaustedLoggedMs < EXHAUSTED_LOG_PERIOD_MS) return false;
    this.#exhaustedLoggedMs = nowMs;
    const reason = isExhausted ? 'out of descriptors or memory' : 'accept failed';
    const hint = isExhausted ? '; raise the limit of open files (LimitNOFILE)' : '';
    const fields = { errno: number, address: listener.address };
    this.#logger.log('error', 'accept_failed', `cannot accept clients: ${reason}${hint}`, fields);
    return false;
  }

  #pause(): void {
    this.#unwatch();
    this.#pauseTimer ??= setTimeout(() => {
      this.#pauseTimer = null;
      this.resume();
    }, EXHAUSTED_PAUSE_MS);
  }

  #unwatch(): void {
    for (const listener of this.#listeners) listener.unwatch();
  }
}
