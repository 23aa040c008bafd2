import type { NewClientMessage, SharedMemory } from '@pgdog-cluster/core';

/** What the hand-over needs of the fleet. */
export interface Receivers {
  readonly count: number;
  isServing(worker: number): boolean;
  post(worker: number, message: NewClientMessage): boolean;
}

/** Hand-overs to one worker that its own count of clients does not contain yet. */
interface Uncounted {
  /** Mailbox positions after each hand-over that was not yet seen taken, oldest first. */
  posted: number[];
  /** Seen taken since the worker last wrote its row. */
  takenCount: number;
  /** The turns cell when that row was last seen to change. */
  turns: number;
}

/**
 * Gives accepted clients to the least loaded serving worker. Its load is the number of clients it says it has
 * plus those handed to it since it last said so; without the second part a burst would all go to one worker.
 * Whether a hand-over was taken is known from the mailbox's positions, and whether the row has been written
 * since from its turns cell, so workers write their row on their coarse tick and report nothing else.
 */
export class HandOver {
  readonly #memory: SharedMemory;
  readonly #receivers: Receivers;
  readonly #uncounted: Uncounted[];
  #next = 0;

  constructor(memory: SharedMemory, receivers: Receivers) {
    this.#memory = memory;
    this.#receivers = receivers;
    this.#uncounted = Array.from({ length: receivers.count }, () => ({
      posted: [],
      takenCount: 0,
      turns: -1,
    }));
  }

  hasReceiver(): boolean {
    for (let worker = 0; worker < this.#receivers.count; worker++) {
      if (this.#receivers.isServing(worker)) return true;
    }
    return false;
  }

  /** The descriptor belongs to a worker when true, and is still the caller's when false: every mailbox was full. */
  give(fd: number, addr: string, port: number): boolean {
    const message: NewClientMessage = { type: 'newClient', fd, addr, port };
    const refusing = new Set<number>();
    for (let worker = this.#leastLoaded(refusing); worker !== -1; worker = this.#leastLoaded(refusing)) {
      // post() moves the ownership of the descriptor under the mailbox's lock, or not at all.
      if (this.#receivers.post(worker, message)) {
        this.#uncounted[worker].posted.push(this.#memory.mailboxes.writtenPosition(worker));
        this.#next = (worker + 1) % this.#receivers.count;
        return true;
      }
      refusing.add(worker);
    }
    return false;
  }

  /** Clients of a worker, those under way included. */
  load(worker: number): number {
    return this.#memory.workers.clients(worker) + this.#uncountedOf(worker);
  }

  /** -1 = none left. Ties go round, so that the first worker does not get all single clients. */
  #leastLoaded(refusing: ReadonlySet<number>): number {
    const { count } = this.#receivers;
    let best = -1;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (let step = 0; step < count; step++) {
      const worker = (this.#next + step) % count;
      if (refusing.has(worker) || !this.#receivers.isServing(worker)) continue;
      const load = this.load(worker);
      if (load >= bestLoad) continue;
      best = worker;
      bestLoad = load;
    }
    return best;
  }

  #uncountedOf(worker: number): number {
    const uncounted = this.#uncounted[worker];
    const turns = this.#memory.workers.turns(worker);
    if (turns !== uncounted.turns) {
      uncounted.turns = turns;
      uncounted.takenCount = 0;
    }
    const { posted } = uncounted;
    const read = this.#memory.mailboxes.readPosition(worker);
    let taken = 0;
    // Wrapping comparison: positions are 32 bits.
    while (taken < posted.length && ((read - posted[taken]) | 0) >= 0) taken += 1;
    if (taken > 0) posted.splice(0, taken);
    uncounted.takenCount += taken;
    return posted.length + uncounted.takenCount;
  }
}
