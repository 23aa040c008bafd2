import type { ConfigSnapshot, PubSubMessage, SharedMemory, WorkerMessage } from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';
import { Hub, type ListenerRow } from './hub.js';
import { listenTargets } from './listen-target.js';

/** How soon it is noticed that the primary has moved. */
const LOOK_MS = 500;

export interface PubSubOptions {
  memory: SharedMemory;
  snapshot: () => ConfigSnapshot;
  post: (worker: number, message: WorkerMessage) => boolean;
  logger: Logger;
}

/** Listens for the clients of all workers: one connection per database (docs/internals/listen-notify.md). */
export class PubSub {
  readonly #options: PubSubOptions;
  readonly #hubs = new Map<string, Hub>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: PubSubOptions) {
    this.#options = options;
  }

  onMessage(message: PubSubMessage): void {
    const hub = this.#hubOf(message.database);
    if (message.type === 'listeners') hub.onListeners(message);
    else hub.onQuestion(message.worker, message.question);
  }

  /** A worker starts: whatever the one before it listened to is over. */
  onWorkerStarts(worker: number): void {
    for (const hub of this.#hubs.values()) hub.onWorkerGone(worker);
  }

  rows(): ListenerRow[] {
    return [...this.#hubs.values()].flatMap((hub) => hub.rows());
  }

  /** Its listeners are gone by order: no connection is kept for them. Null: of all databases. */
  end(database: string | null): void {
    for (const [name, hub] of this.#hubs) if (database === null || name === database) hub.close();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const hub of this.#hubs.values()) hub.close();
    this.#hubs.clear();
  }

  #hubOf(database: string): Hub {
    const known = this.#hubs.get(database);
    if (known !== undefined) return known;
    const { memory, snapshot, post, logger } = this.#options;
    const targets = () => listenTargets(snapshot(), memory.hosts, database);
    const hub = new Hub({ database, targets, post, logger });
    this.#hubs.set(database, hub);
    this.#timer ??= setInterval(() => {
      for (const each of this.#hubs.values()) void each.check(Date.now());
    }, LOOK_MS).unref();
    return hub;
  }
}
