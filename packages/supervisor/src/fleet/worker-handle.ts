import type { ReadyMessage, SharedMemory } from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';
import { Outbox } from './outbox.js';

const BACK_OFF_MIN_MS = 100;
const BACK_OFF_MAX_MS = 10_000;
/** Served for so long, a crash counts as the first again. */
const HEALTHY_AFTER_MS = 60_000;

/**
 * starting: its task was given to a thread. serving: it said it is ready. crashed: its task ended unasked, it
 * waits for its restart. stopped: its task ended as ordered.
 */
export type WorkerPhase = 'starting' | 'serving' | 'crashed' | 'stopped';

/** What the supervisor knows of one worker. */
export class WorkerHandle {
  readonly worker: number;
  /** Made once; survives restarts, so that nobody ever writes to a stale number. */
  readonly eventFd: number;
  readonly outbox: Outbox;
  phase: WorkerPhase = 'starting';
  ready: ReadyMessage | null = null;
  isDrained = false;
  restartTimer: NodeJS.Timeout | null = null;
  #crashesInRow = 0;
  #servingSinceMs = 0;

  constructor(memory: SharedMemory, worker: number, eventFd: number, logger: Logger) {
    this.worker = worker;
    this.eventFd = eventFd;
    this.outbox = new Outbox(memory, worker, logger);
  }

  onReady(message: ReadyMessage, nowMs: number): void {
    this.phase = 'serving';
    this.ready = message;
    this.#servingSinceMs = nowMs;
  }

  /** Marks the crash and says after how long to start again: 100 ms, doubling to 10 s. */
  onCrash(nowMs: number): number {
    const wasHealthy = this.phase === 'serving' && nowMs - this.#servingSinceMs >= HEALTHY_AFTER_MS;
    this.#crashesInRow = wasHealthy ? 1 : this.#crashesInRow + 1;
    this.phase = 'crashed';
    this.outbox.clear();
    return Math.min(BACK_OFF_MAX_MS, BACK_OFF_MIN_MS * 2 ** (this.#crashesInRow - 1));
  }
}
