import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ClientReport,
  type ConfigSnapshot,
  HOLD_PAUSE,
  type LogCode,
  type OperatorOrders,
  ordersOf,
  ownOrders,
  PgDogError,
  type ServerReport,
  type SharedMemory,
} from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';
import * as book from './order-book.js';

/** How often is looked whether the workers have taken an order up; they do at their next turn. */
const LOOK_MS = 2;
/** How often is looked whether what is waited for has come: the last server connection has ended. */
const LOOK_AGAIN_MS = 20;
/** A worker that has not come round by then is stalled, and begins nothing either. */
const TAKEN_UP_MS_MAX = 1000;

/** Why nobody waits for an answer any more (AbortSignal.reason). */
export type GivenUp = 'gone' | 'cancelled';

export interface OperatorDeskOptions {
  memory: SharedMemory;
  logger: Logger;
  snapshot: () => ConfigSnapshot;
  /** Puts orders into a new snapshot for all workers, those that start later included; resolves with its epoch. */
  publish: (change: (snapshot: ConfigSnapshot, epoch: number) => OperatorOrders) => Promise<number>;
  /** Workers that may hold server connections: those that serve, and those about to. */
  liveWorkers: () => number[];
  /** Of one database, or of all: pools in use, and those that a reload took away and some worker has not left yet. */
  poolIndexes: (database: string | null) => number[];
  isDraining: () => boolean;
  reportClients: () => Promise<readonly ClientReport[]>;
  /** Null: a worker has not answered in time. */
  reportServers: () => Promise<readonly ServerReport[] | null>;
  killClient: (client: ClientReport) => void;
  /** KILL: nobody is there any more for whom something would be listened to. Null: of all. */
  endListening: (database: string | null) => void;
}

/**
 * Carries out what operators order about databases: PAUSE and its kin. `database` null: all of them; a name must be that
 * of a configured one. Each resolves when every worker obeys. The orders themselves are in the snapshot (order-book.ts).
 */
export class OperatorDesk {
  readonly #options: OperatorDeskOptions;
  #hasOrdered = false;

  constructor(options: OperatorDeskOptions) {
    this.#options = options;
  }

  async maintenance(isOn: boolean, database: string | null): Promise<void> {
    await this.#order(book.maintenance(isOn, database));
    this.#log('maintenance', `maintenance ${isOn ? 'on' : 'off'}`, database);
  }

  /**
   * Resolves when no server connection is left. The order stays in force when nobody waits for that any more; only a
   * cancel takes it back, as with PgBouncer.
   * @throws PgDogError order_withdrawn after RESUME, query_cancelled
   */
  async pause(database: string | null, signal: AbortSignal): Promise<void> {
    const epoch = await this.#order(book.pause(database));
    this.#log('pause', 'paused', database);
    await this.#untilClosed(database, epoch, signal);
    if (!signal.aborted) this.#log('pause_done', 'no server connection is left', database);
  }

  async resume(database: string | null): Promise<void> {
    await this.#order(book.resume(database));
    this.#log('resume', 'resumed', database);
  }

  /**
   * Ends MAINTENANCE, PAUSE and SUSPEND of everything, in an end that waits for clients: they could not leave otherwise, and
   * whoever ordered it may not be here to take it back.
   */
  async liftHolds(): Promise<void> {
    if (!this.#hasOrdered) return;
    await this.#options.publish(({ orders }) => book.liftHolds(book.ordersInForce(orders)));
    this.#log('resume', 'what held clients is lifted: they may finish', null);
  }

  async suspend(): Promise<void> {
    await this.#order(book.suspend());
    this.#log('suspend', 'suspended', null);
  }

  async setDisabled(database: string, isDisabled: boolean): Promise<void> {
    await this.#order(book.setDisabled(database, isDisabled));
    this.#log(isDisabled ? 'disable' : 'enable', isDisabled ? 'disabled' : 'enabled', database);
  }

  async reconnect(database: string | null): Promise<void> {
    await this.#order(book.reconnect(database));
    this.#log('reconnect', 'server connections are closed as they come free', database);
  }

  /** Clients and server connections go at once; then it is paused. */
  async kill(database: string | null): Promise<void> {
    await this.#order(book.kill(database));
    this.#options.endListening(database);
    this.#log('kill', 'killed, and paused', database);
  }

  /** @throws PgDogError order_refused when there is no such client */
  async killClient(worker: number, slot: number): Promise<void> {
    const { reportClients, killClient, logger } = this.#options;
    const find = async () =>
      (await reportClients()).find((row) => row.worker === worker && row.slot === slot);
    const client = await find();
    if (client === undefined) throw new PgDogError('order_refused', 'client not found');
    killClient(client);
    // Asked behind the order: answered when it has been carried out.
    await find();
    const { user, database, addr } = client;
    logger.log('info', 'kill_client', 'client killed', { user, database, addr });
  }

  /** Resolves when no server connection waits to be closed (RECONNECT, a changed configuration). */
  async waitClose(database: string | null, signal: AbortSignal): Promise<void> {
    for (;;) {
      this.#checkGivenUp(signal);
      if (signal.aborted) return;
      const servers = await this.#options.reportServers();
      const pools = new Set(this.#options.poolIndexes(database));
      if (servers?.some(({ isDoomed, pool }) => isDoomed && pools.has(pool)) === false) return;
      await sleep(LOOK_AGAIN_MS);
    }
  }

  async #order(change: book.OrderChange): Promise<number> {
    const { publish, isDraining } = this.#options;
    if (isDraining()) throw new PgDogError('order_refused', 'pooler is shutting down');
    this.#hasOrdered = true;
    const epoch = await publish(({ orders, databases }, next) =>
      change(
        book.ordersInForce(orders),
        next,
        databases.map(({ name }) => name),
      ),
    );
    const deadlineMs = Date.now() + TAKEN_UP_MS_MAX;
    while (this.#isBehind(epoch) && Date.now() < deadlineMs) await sleep(LOOK_MS);
    return epoch;
  }

  async #untilClosed(database: string | null, epoch: number, signal: AbortSignal): Promise<void> {
    const { snapshot } = this.#options;
    for (;;) {
      if (signal.reason === 'cancelled') await this.#takeBack(database);
      this.#checkGivenUp(signal);
      if (signal.aborted) return;
      const { orders } = snapshot();
      const { holds } = database === null ? book.ordersInForce(orders).all : ownOrders(orders, database);
      if ((holds & HOLD_PAUSE) === 0) throw new PgDogError('order_withdrawn');
      if (!this.#isBehind(epoch) && this.#claimed(database) === 0) return;
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /** What RESUME would do; another operator may have been faster. */
  async #takeBack(database: string | null): Promise<void> {
    await this.resume(database).catch(() => {});
  }

  #checkGivenUp(signal: AbortSignal): void {
    if (this.#options.isDraining()) throw new PgDogError('order_refused', 'pooler is shutting down');
    if (signal.reason === 'cancelled') throw new PgDogError('query_cancelled');
  }

  #isBehind(epoch: number): boolean {
    const { memory, liveWorkers } = this.#options;
    return liveWorkers().some((worker) => memory.workers.epoch(worker) < epoch);
  }

  /** Server connections, until their servers have let go of them as well. */
  #claimed(database: string | null): number {
    const { memory, poolIndexes } = this.#options;
    return poolIndexes(database).reduce((sum, index) => sum + memory.capacity.claimed(index), 0);
  }

  #log(code: LogCode, text: string, database: string | null): void {
    const what = database === null ? 'all databases' : `database "${database}"`;
    this.#options.logger.log('info', code, `${what}: ${text}`, { database });
  }
}

/** For SHOW: as PgBouncer counts it, an order of its own or one for all. */
export function isPaused({ orders }: ConfigSnapshot, database: string): boolean {
  return (ordersOf(orders, database).holds & HOLD_PAUSE) !== 0;
}
