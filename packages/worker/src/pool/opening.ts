import { CLAIMED, PgDogError } from '@pgdog-cluster/core';
import { openServer } from '../backend/connect.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { dedicatedFailed, dedicatedReady, retryDedicated, serveDedicated } from './dedicated.js';
import type { Pool } from './pool.js';

/** Connects under way at once for one pool and worker: enough for a burst, no storm for the server. */
const CONNECTING_MAX = 16;
const BACK_OFF_START_MS = 50;
const BACK_OFF_MAX_MS = 1000;
/** The same failure is logged again after this long. */
const LOG_AGAIN_MS = 60_000;
/** How long clients are told at once why the server refuses logins, before it is asked again. */
const REFUSAL_MS = 1000;
export const NO_DESCRIPTOR = 'no descriptor for a server connection';

/** Opens server connections: as many as there are waiters, within capacity, slower after failures. */
export class Opening {
  private readonly pool: Pool;
  private connecting = 0;
  private failures = 0;
  private retryAtMs = 0;
  private lastError: PgDogError | null = null;
  /** The server refused the login itself (password, database): waiting is of no use. */
  private isRefused = false;
  private loggedMessage = '';
  private loggedAtMs = 0;

  constructor(pool: Pool) {
    this.pool = pool;
  }

  get isOpening(): boolean {
    return this.connecting > 0;
  }

  /** Why connecting failed last, for time-outs. */
  get cause(): PgDogError | null {
    return this.lastError;
  }

  /** What a client should be told instead of waiting; null to let it wait. */
  refusal(): PgDogError | null {
    const isFresh = this.pool.context.nowMs < this.retryAtMs;
    return this.isRefused && isFresh && this.pool.all.size === 0 ? this.lastError : null;
  }

  /** Opens what the waiters need. Called when one arrives, when a place is given back, and by the janitor. */
  want(): void {
    const { pool } = this;
    serveDedicated(pool);
    while (pool.waiters.length > this.connecting && this.connecting < CONNECTING_MAX) {
      if (!this.tryOpen()) return;
    }
  }

  /** Opens one if capacity and back-off allow. */
  tryOpen(): boolean {
    const { context, index } = this.pool;
    if (!this.mayConnect()) return false;
    if (context.memory.capacity.tryClaim(context.worker, index) !== CLAIMED) return false;
    return this.tryClaimed();
  }

  /** Another worker has given us a place in the pool; nobody may need it any more. */
  takePlace(): void {
    const { context, index, waiters } = this.pool;
    const isPlain = waiters.peek()?.dedicatedParameters === null;
    if (isPlain && waiters.length > this.connecting && this.mayConnect()) {
      this.tryClaimed();
      return;
    }
    context.memory.capacity.giveBack(context.worker, index);
    this.want();
  }

  private mayConnect(): boolean {
    const { pool } = this;
    if (this.isHeldBack) {
      if (pool.snapshot.addresses.length === 0) {
        this.lastError = new PgDogError(
          'server_unreachable',
          `host name ${pool.snapshot.host} does not resolve`,
        );
      }
      return false;
    }
    return true;
  }

  private tryClaimed(): boolean {
    const server = this.openClaimed();
    if (server === null) {
      this.noteFailure(new PgDogError('server_unreachable', NO_DESCRIPTOR));
      return false;
    }
    this.connecting++;
    return true;
  }

  /** Starts a connect for which the place has been claimed; null, and the place given back, without a descriptor. */
  openClaimed(): ServerConnection | null {
    const { pool } = this;
    const { addresses } = pool.snapshot;
    const server = openServer(pool, addresses[this.failures % addresses.length]);
    if (server === null) pool.context.memory.capacity.giveBack(pool.context.worker, pool.index);
    else pool.all.add(server);
    pool.publishLoad();
    return server;
  }

  /** Whether connects are held back: after failures, or because the host's name does not resolve. */
  get isHeldBack(): boolean {
    const { pool } = this;
    return pool.context.nowMs < this.retryAtMs || pool.snapshot.addresses.length === 0;
  }

  succeeded(server: ServerConnection): void {
    if (server.dedicatedTo !== null) {
      dedicatedReady(server, server.dedicatedTo);
      return;
    }
    this.connecting--;
    this.failures = 0;
    this.retryAtMs = 0;
    this.lastError = null;
    this.isRefused = false;
    this.loggedMessage = '';
    const { pool } = this;
    const { context } = pool;
    pool.row.connected(Math.round((context.nowMs - server.createdMs) * 1000));
    const { serverLifetimeMs, serverLifetimeJitterMs } = pool.snapshot;
    if (serverLifetimeMs > 0) {
      // So that connections opened together do not end together.
      const jitter = (Math.random() * 2 - 1) * serverLifetimeJitterMs;
      server.expiresMs = context.nowMs + Math.max(1000, serverLifetimeMs + jitter);
    }
    pool.serverReady(server);
  }

  /** `isRefused`: the server answered, and does not want this login. */
  failed(server: ServerConnection, error: PgDogError, isRefused = false): void {
    const { pool } = this;
    if (server.dedicatedTo !== null) {
      dedicatedFailed(server, error);
      return;
    }
    this.connecting--;
    this.isRefused = isRefused;
    // Before the place is given back: whoever wants it next must find the back-off set.
    this.noteFailure(error);
    pool.close(server);
    this.logFailure(error);
    if (!isRefused || pool.all.size > 0) return;
    for (let waiter = pool.waiters.peek(); waiter !== undefined; waiter = pool.waiters.peek()) {
      pool.refuseWaiter(waiter, error);
    }
  }

  /** The server refused one of several passwords: a new connection tries the next, at once. */
  passwordRefused(server: ServerConnection): void {
    const { pool } = this;
    const { context, snapshot } = pool;
    context.log('warn', 'server_password_refused', 'server refused a password; the next one is tried', {
      database: snapshot.database,
      user: snapshot.serverUser,
      host: snapshot.host,
      port: snapshot.port,
    });
    if (server.dedicatedTo !== null) {
      retryDedicated(server);
      return;
    }
    this.connecting--;
    pool.close(server);
  }

  /** Once a second is when it is tried, not when it is news. */
  private logFailure(error: PgDogError): void {
    const { context, snapshot } = this.pool;
    const isNews = error.message !== this.loggedMessage || context.nowMs - this.loggedAtMs > LOG_AGAIN_MS;
    if (!isNews) return;
    this.loggedMessage = error.message;
    this.loggedAtMs = context.nowMs;
    context.log('warn', error.code, error.message, {
      database: snapshot.database,
      user: snapshot.serverUser,
      host: snapshot.host,
      port: snapshot.port,
    });
  }

  private noteFailure(error: PgDogError): void {
    const { context } = this.pool;
    this.failures++;
    this.lastError = error;
    const backOff = Math.min(BACK_OFF_MAX_MS, BACK_OFF_START_MS * 2 ** Math.min(this.failures, 10));
    this.retryAtMs =
      context.nowMs + Math.max(this.isRefused ? REFUSAL_MS : 0, backOff * (0.5 + Math.random() / 2));
  }
}
