import { CLAIMED, PgDogError } from '@pgdog-cluster/core';
import { openServer } from '../backend/connect.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { isAskingCode } from './ask-code.js';
import { startCheck } from './check-server.js';
import { dedicatedFailed, dedicatedReady, retryDedicated, serveDedicated } from './dedicated.js';
import { isCrowdedOut, makeRoom, mustYield } from './make-room.js';
import type { Pool } from './pool.js';
import { goneError } from './retire.js';

/** Connects under way at once for one pool and worker: enough for a burst, no storm for the server. */
const CONNECTING_MAX = 16;
const BACK_OFF_START_MS = 50;
/** The same failure is logged again after this long. */
const LOG_AGAIN_MS = 60_000;
export const NO_DESCRIPTOR = 'no descriptor for a server connection';
/** A failing server is tried for this long after the last client that asked for it. */
const PROBE_UNASKED_MS = 15_000;

/**
 * Opens server connections: as many as there are waiters, within capacity. After failures one at a time over all
 * workers (the prober), ever slower; meanwhile clients are told the error at once where waiting is of no use.
 */
export class Opening {
  private readonly pool: Pool;
  private connecting = 0;
  /** In a row; connects that were under way together count once. */
  private failures = 0;
  private failingSinceMs = 0;
  private failedAtMs = 0;
  private retryAtMs = 0;
  private wantedAtMs = 0;
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

  /** Connecting failed last time: who can goes elsewhere. */
  get isFailing(): boolean {
    return this.failures > 0;
  }

  get connectingCount(): number {
    return this.connecting;
  }

  /** Why connecting failed last, for time-outs. */
  get cause(): PgDogError | null {
    return this.lastError;
  }

  /** What a client should be told instead of waiting; null to let it wait. */
  refusal(): PgDogError | null {
    const { pool } = this;
    const { context } = pool;
    if (pool.retiredEpoch !== 0) return goneError(pool);
    this.wantedAtMs = context.nowMs;
    if (!this.hasFailed) return null;
    const { load } = context.memory;
    // Nobody tries any more, or another worker got through: this one's own attempt will tell.
    if (!load.hasProber(pool.index)) {
      this.forget();
      return null;
    }
    // Whom other pools leave no place to try in is not told of the server, but waits for a place.
    if (load.established(pool.index) > 0 || isCrowdedOut(pool)) return null;
    if (this.isRefused) return this.lastError;
    const { checkoutTimeoutMs } = pool.snapshot;
    const isHopeless = checkoutTimeoutMs > 0 && context.nowMs - this.failingSinceMs > checkoutTimeoutMs;
    return isHopeless ? this.lastError : null;
  }

  /**
   * Has checked what is idle, and opens what the waiters need beyond that. Called when one arrives, when a place is given back,
   * and by the janitor.
   */
  want(): void {
    const { pool } = this;
    serveDedicated(pool);
    const asking = isAskingCode(pool) ? 1 : 0;
    while (
      pool.waiters.length > this.connecting + pool.testing + asking &&
      this.connecting < CONNECTING_MAX
    ) {
      // Left alone where another had to be checked first, for whose answer clients began to queue.
      const idle = pool.idle.pop();
      if (idle !== undefined) startCheck(idle);
      else if (!this.tryOpen()) return;
    }
  }

  /** Somebody will want a server connection who waits for one of another shard: it is opened, if none is free or on its way. */
  foresee(): void {
    const { context, idle, isPaused, testing, waiters } = this.pool;
    if (isPaused || context.isDraining || idle.length + this.connecting + testing > waiters.length) return;
    if (this.failures === 0 && this.connecting < CONNECTING_MAX) this.tryOpen();
  }

  /** From the janitor: a server that fails is tried again although nobody waits; clients are being told so. */
  probe(): void {
    if (this.failures === 0) return;
    const { context, index, waiters } = this.pool;
    const { load } = context.memory;
    if (!load.hasProber(index)) {
      this.forget();
      return;
    }
    const isAskedFor = waiters.length > 0 || context.nowMs - this.wantedAtMs < PROBE_UNASKED_MS;
    if (isAskedFor) this.tryOpen();
    else if (this.connecting === 0) this.forget();
  }

  /** Opens one if capacity and back-off allow. `isReserve`: also beyond the pool's size. */
  tryOpen(isReserve = false): boolean {
    const { pool } = this;
    const { context } = pool;
    if (!this.mayTry() || mustYield(pool)) return false;
    const claim = context.memory.capacity.tryClaim(context.worker, pool.index, isReserve);
    if (claim !== CLAIMED) {
      makeRoom(pool, claim);
      return false;
    }
    return this.openOne();
  }

  /** Another worker has given us a place in the pool; nobody may need it any more. */
  takePlace(): void {
    const { context, index, waiters } = this.pool;
    const isPlain = waiters.peek()?.dedicatedParameters === null;
    if (isPlain && waiters.length > this.connecting && this.mayTry()) {
      this.openOne();
      return;
    }
    context.memory.capacity.giveBack(context.worker, index);
    this.want();
  }

  private openOne(): boolean {
    // Before it is published: others subtract those that connect.
    this.connecting++;
    if (this.openClaimed() !== null) return true;
    this.connecting--;
    this.noteFailure(new PgDogError('server_unreachable', NO_DESCRIPTOR));
    return false;
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

  private mayTry(): boolean {
    const { context, snapshot, index, retiredEpoch } = this.pool;
    if (retiredEpoch !== 0) return false;
    if (snapshot.addresses.length === 0) {
      const text = `host name ${snapshot.host} does not resolve`;
      this.lastError = new PgDogError('server_unreachable', text);
    }
    if (this.isHeldBack) return false;
    if (this.failures === 0) return true;
    return this.connecting === 0 && context.memory.load.tryBecomeProber(context.worker, index);
  }

  succeeded(server: ServerConnection): void {
    if (server.dedicatedTo !== null) {
      dedicatedReady(server, server.dedicatedTo);
      return;
    }
    this.connecting--;
    this.forget();
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

  /** Failures are history: the server answered, or the configuration has changed. */
  forget(): void {
    const { context, index } = this.pool;
    if (this.failures > 0) context.memory.load.resignAsProber(context.worker, index);
    this.failures = 0;
    this.retryAtMs = 0;
    this.lastError = null;
    this.isRefused = false;
  }

  /** `isRefused`: the server answered, and does not want this login. */
  failed(server: ServerConnection, error: PgDogError, isRefused = false): void {
    const { pool } = this;
    if (server.dedicatedTo !== null) {
      dedicatedFailed(server, error);
      return;
    }
    this.connecting--;
    if (server.version !== pool.version) {
      // Of a configuration that is no more: what it was told says nothing of the one in force.
      pool.close(server);
      this.want();
      return;
    }
    // Those that started before the last failure were part of the same attempt. Before the place is given back:
    // whoever wants it next must find the back-off set.
    if (this.failures === 0 || server.createdMs > this.failedAtMs) this.noteFailure(error, isRefused);
    pool.close(server);
    // A login that is refused says something about the user: others may be served as well as ever.
    if (!isRefused)
      pool.context.memory.hosts.noteConnectFailure(pool.context.worker, pool.snapshot.hostIndex);
    pool.cluster?.moveWaiters(pool);
    if (!this.hasFailed) return;
    this.logFailure(error);
    if (!this.isRefused || pool.context.memory.load.established(pool.index) > 0) return;
    for (let waiter = pool.waiters.peek(); waiter !== undefined; waiter = pool.waiters.peek()) {
      pool.refuseWaiter(waiter, error);
    }
  }

  /**
   * There is no database behind the name that a client chose: whoever waits is told so in the server's words. It is no
   * failure to be remembered, for the database may be made at any time, and the next client asks anew.
   */
  databaseMissing(server: ServerConnection, error: PgDogError): void {
    const { pool } = this;
    this.connecting--;
    pool.close(server);
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

  /** All attempts that make up one connect (connect_attempts) have failed. */
  private get hasFailed(): boolean {
    return this.failures >= this.pool.context.config.general.connectAttempts;
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

  private noteFailure(error: PgDogError, isRefused = false): void {
    const { context, index } = this.pool;
    const { connectAttempts, connectAttemptDelayMs, serverLoginRetryMs } = context.config.general;
    if (this.failures === 0) this.failingSinceMs = context.nowMs;
    this.failures++;
    this.failedAtMs = context.nowMs;
    this.lastError = error;
    this.isRefused = isRefused;
    context.memory.load.tryBecomeProber(context.worker, index);
    this.retryAtMs = context.nowMs + connectAttemptDelayMs;
    if (this.failures < connectAttempts) return;
    const doublings = Math.min(this.failures - connectAttempts + 1, 16);
    // A refusal will not go away by itself as quickly as a server comes back.
    const backOffMs = isRefused
      ? serverLoginRetryMs
      : Math.min(serverLoginRetryMs, BACK_OFF_START_MS * 2 ** doublings);
    this.retryAtMs = context.nowMs + backOffMs * (isRefused ? 1 : 0.5 + Math.random() / 2);
  }
}
