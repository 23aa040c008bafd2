import { setTimeout as sleep } from 'node:timers/promises';
import { type ConfigSnapshot, PgDogError, type SharedMemory } from '@pgdog-cluster/core';
import type { Logger } from './log/logger.js';

/** How often is looked whether the workers have taken an order up; they do at their next turn. */
const LOOK_MS = 2;
/** A worker that has not come round by then is stalled, and begins nothing either. */
const TAKEN_UP_MS_MAX = 1000;

export interface MaintenanceOptions {
  memory: SharedMemory;
  logger: Logger;
  snapshot: () => ConfigSnapshot;
  /** Puts the list into a new snapshot for all workers, those that start later included; resolves with its epoch. */
  publish: (databases: string[]) => Promise<number>;
  servingWorkers: () => number[];
}

/** The order MAINTENANCE: which databases' clients wait before their next transaction. */
export class MaintenanceOrder {
  readonly #options: MaintenanceOptions;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Resolves when every worker obeys. @throws PgDogError for a database that is not configured. */
  async set(isOn: boolean, database: string | null): Promise<void> {
    const { snapshot, publish, logger } = this.#options;
    const names = snapshot().databases.map(({ name }) => name);
    if (database !== null && !names.includes(database)) {
      throw new PgDogError('admin_failed', `there is no database "${database}"`);
    }
    const wanted = new Set(snapshot().maintenance ?? []);
    for (const name of database === null ? names : [database]) {
      if (isOn) wanted.add(name);
      else wanted.delete(name);
    }
    await this.#untilTakenUp(await publish([...wanted]));
    const what = database === null ? 'all databases' : `database "${database}"`;
    logger.log('info', 'maintenance', `maintenance ${isOn ? 'on' : 'off'}: ${what}`, { isOn, database });
  }

  async #untilTakenUp(epoch: number): Promise<void> {
    const { memory, servingWorkers } = this.#options;
    const deadlineMs = Date.now() + TAKEN_UP_MS_MAX;
    const isBehind = (worker: number): boolean => memory.workers.epoch(worker) < epoch;
    while (servingWorkers().some(isBehind) && Date.now() < deadlineMs) await sleep(LOOK_MS);
  }
}
