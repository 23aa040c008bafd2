import type { CapacityTable } from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';
import type { Tenant, Tenants } from './tenants.js';

export interface TenantSweepOptions {
  capacity: Pick<CapacityTable, 'claimed' | 'poolClients' | 'setPoolClosed'>;
  tenants: Pick<Tenants, 'all' | 'get'>;
  isProven: (name: string) => boolean;
  /** Numbers of the tenant's pools. */
  poolsOf: (name: string) => readonly number[];
  /** PAUSE and its kin. */
  isHeld: (name: string) => boolean;
  idleTimeoutMs: () => number;
  /** Takes those that `close` names, at its turn among the publications, out of the snapshot. */
  drop: (close: () => Tenant[]) => Promise<unknown>;
  logger: Logger;
  nowMs?: () => number;
}

/** How often tenants are looked at, at most and at least. */
const LOOK_MS_MAX = 5_000;
const LOOK_MS_MIN = 50;
/** Names that no server has are forgotten soon. */
const MISSING_MS = 200;
/** A drop costs a publication of the whole: this much of the supervisor's time at most goes into them. */
const REST_FACTOR = 10;
const REST_MS_MAX = 5_000;
/** Dropped at once: what workers are told of it has to fit a message. */
const DROP_BYTES_MAX = 24 * 1024;
/** Of one pool in that message: its number and cluster, with a user's name of any length. */
const POOL_BYTES = 96;

/** Forgets tenants that nobody has used for long, and those that turned out not to exist. */
export class TenantSweep {
  readonly #options: TenantSweepOptions;
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #restUntilMs = 0;
  #isDropping = false;
  /** There was no room for all of them. */
  #isMoreDue = false;
  #isClosed = false;

  constructor(options: TenantSweepOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
  }

  /** There is one to look after. */
  wake(): void {
    const idleTimeoutMs = this.#options.idleTimeoutMs();
    if (idleTimeoutMs > 0) this.#lookIn(Math.min(LOOK_MS_MAX, Math.max(LOOK_MS_MIN, idleTimeoutMs / 8)));
  }

  /** There is one that its server does not have. */
  hurry(): void {
    this.#lookIn(MISSING_MS);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #lookIn(delayMs: number): void {
    const nowMs = this.#nowMs();
    const dueMs = Math.max(nowMs + delayMs, this.#restUntilMs);
    if (this.#isClosed || this.#isDropping) return;
    if (this.#timer !== undefined && this.#dueMs <= dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => void this.#look(), dueMs - nowMs).unref();
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    const due = this.#due();
    if (due.length > 0) await this.#drop(due);
    let [isAny, isMissing] = [false, false];
    for (const tenant of this.#options.tenants.all) {
      isAny = true;
      isMissing ||= tenant.isMissing;
    }
    if (this.#isMoreDue) this.#lookIn(LOOK_MS_MIN);
    else if (isMissing) this.hurry();
    else if (isAny) this.wake();
  }

  /** Notes how each stands; those whose time is over, as many as fit into one message. */
  #due(): Tenant[] {
    const nowMs = this.#nowMs();
    const idleTimeoutMs = this.#options.idleTimeoutMs();
    const due: Tenant[] = [];
    let bytes = 0;
    this.#isMoreDue = false;
    for (const tenant of this.#options.tenants.all) {
      const pools = this.#options.poolsOf(tenant.name);
      if (this.#isUsed(pools)) {
        tenant.idleSinceMs = 0;
        if (tenant.isMissing && this.#options.isProven(tenant.name)) tenant.isMissing = false;
        continue;
      }
      if (tenant.idleSinceMs === 0) tenant.idleSinceMs = nowMs;
      const isOver = idleTimeoutMs > 0 && nowMs - tenant.idleSinceMs >= idleTimeoutMs;
      if ((!isOver && !tenant.isMissing) || this.#options.isHeld(tenant.name)) continue;
      bytes += pools.length * POOL_BYTES + (pools.length + 1) * Buffer.byteLength(tenant.name);
      if (bytes > DROP_BYTES_MAX && due.length > 0) {
        this.#isMoreDue = true;
        break;
      }
      due.push(tenant);
    }
    return due;
  }

  async #drop(due: readonly Tenant[]): Promise<void> {
    const { drop, logger } = this.#options;
    let beganMs = this.#nowMs();
    this.#isDropping = true;
    try {
      await drop(() => {
        // Its turn has come: what it waited for was somebody else's work.
        beganMs = this.#nowMs();
        return due.flatMap(({ name }) => this.#close(name));
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.log('error', 'tenants_not_dropped', `idle databases could not be forgotten: ${reason}`);
      for (const { name } of due) this.#open(name);
    }
    this.#isDropping = false;
    const restMs = REST_FACTOR * (this.#nowMs() - beganMs);
    this.#restUntilMs = this.#nowMs() + Math.min(REST_MS_MAX, restMs);
  }

  /** No client comes in from now on, and there is none; or all stays as it is. */
  #close(name: string): Tenant[] {
    const { capacity, poolsOf, tenants } = this.#options;
    const tenant = tenants.get(name);
    // Somebody asked for it since: its pool may be about to be used.
    if (tenant === undefined || tenant.idleSinceMs === 0) return [];
    const pools = poolsOf(name);
    for (const pool of pools) capacity.setPoolClosed(pool, true);
    if (!this.#isUsed(pools)) return [tenant];
    this.#open(name);
    return [];
  }

  /** It stays. */
  #open(name: string): void {
    const { capacity, poolsOf, tenants } = this.#options;
    if (tenants.get(name) === undefined) return;
    for (const pool of poolsOf(name)) capacity.setPoolClosed(pool, false);
  }

  #isUsed(pools: readonly number[]): boolean {
    const { capacity } = this.#options;
    return pools.some((pool) => capacity.poolClients(pool) > 0 || capacity.claimed(pool) > 0);
  }
}
