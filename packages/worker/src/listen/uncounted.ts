import type { SharedMemory } from '@pgdog-cluster/core';

interface HandOvers {
  /** Mailbox positions after each hand-over that was not yet seen taken, oldest first. */
  posted: number[];
  /** Seen taken since the worker last wrote its row. */
  takenCount: number;
  /** The turns cell when that row was last seen to change. */
  turns: number;
}

/**
 * Clients handed to other workers from here that their own counts of clients do not contain yet; without them a burst
 * would all go to one worker. Whether a hand-over was taken is known from the mailbox's positions, and whether the row
 * has been written since from its turns cell.
 */
export class Uncounted {
  private readonly memory: SharedMemory;
  private readonly workers: HandOvers[];

  constructor(memory: SharedMemory) {
    this.memory = memory;
    const { workers } = memory.handles.dimensions;
    this.workers = Array.from({ length: workers }, () => ({ posted: [], takenCount: 0, turns: -1 }));
  }

  /** A client has just been posted to `worker`. */
  add(worker: number): void {
    this.workers[worker].posted.push(this.memory.mailboxes.writtenPosition(worker));
  }

  of(worker: number): number {
    const handOvers = this.workers[worker];
    const { posted } = handOvers;
    if (posted.length === 0 && handOvers.takenCount === 0) return 0;
    const turns = this.memory.workers.turns(worker);
    if (turns !== handOvers.turns) {
      handOvers.turns = turns;
      handOvers.takenCount = 0;
    }
    const read = this.memory.mailboxes.readPosition(worker);
    let taken = 0;
    // Wrapping comparison: positions are 32 bits.
    while (taken < posted.length && ((read - posted[taken]) | 0) >= 0) taken += 1;
    if (taken > 0) posted.splice(0, taken);
    handOvers.takenCount += taken;
    return posted.length + handOvers.takenCount;
  }
}
