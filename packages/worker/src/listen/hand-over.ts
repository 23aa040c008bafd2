import { type NewClientMessage, type SharedMemory, WORKER_SERVING } from '@pgdog-cluster/core';

/**
 * A client is given away when another worker has fewer by more than this and a sixteenth of our own. Giving one away
 * costs a wake-up; the kernel spreads clients well enough that only a difference that lasts is worth it.
 */
const SLACK_CLIENTS = 4;
const SLACK_SHIFT = 4;

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
 * Finds the worker a new client goes to. The load of another worker is the number of clients it says it has plus
 * those handed to it from here since it last said so; without the second part a burst would all go to one worker.
 * Whether a hand-over was taken is known from the mailbox's positions, and whether the row has been written
 * since from its turns cell.
 */
export class HandOver {
  private readonly memory: SharedMemory;
  private readonly own: number;
  private readonly post: (worker: number, message: NewClientMessage) => boolean;
  private readonly count: number;
  private readonly uncounted: Uncounted[];
  private next = 0;

  constructor(
    memory: SharedMemory,
    own: number,
    post: (worker: number, message: NewClientMessage) => boolean,
  ) {
    this.memory = memory;
    this.own = own;
    this.post = post;
    this.count = memory.handles.dimensions.workers;
    this.uncounted = Array.from({ length: this.count }, () => ({ posted: [], takenCount: 0, turns: -1 }));
  }

  /** True: the descriptor is another worker's now. False: it is to be served here. */
  give(fd: number, addr: string, port: number): boolean {
    const ownLoad = this.memory.workers.clients(this.own);
    const loadMax = ownLoad - SLACK_CLIENTS - (ownLoad >> SLACK_SHIFT) - 1;
    if (this.count === 1 || loadMax < 0) return false;
    const worker = this.leastLoaded(loadMax);
    // post() moves the ownership of the descriptor under the mailbox's lock, or not at all.
    if (worker < 0 || !this.post(worker, { type: 'newClient', fd, addr, port })) return false;
    this.uncounted[worker].posted.push(this.memory.mailboxes.writtenPosition(worker));
    this.next = (worker + 1) % this.count;
    return true;
  }

  /** The serving worker with the fewest clients, at most loadMax; -1 = none. Ties go round. */
  private leastLoaded(loadMax: number): number {
    const { workers } = this.memory;
    let best = -1;
    let bestLoad = loadMax + 1;
    for (let step = 0; step < this.count; step++) {
      const worker = (this.next + step) % this.count;
      if (worker === this.own || workers.state(worker) !== WORKER_SERVING) continue;
      const load = workers.clients(worker) + this.uncountedOf(worker);
      if (load >= bestLoad) continue;
      best = worker;
      bestLoad = load;
    }
    return best;
  }

  private uncountedOf(worker: number): number {
    const uncounted = this.uncounted[worker];
    const { posted } = uncounted;
    if (posted.length === 0 && uncounted.takenCount === 0) return 0;
    const turns = this.memory.workers.turns(worker);
    if (turns !== uncounted.turns) {
      uncounted.turns = turns;
      uncounted.takenCount = 0;
    }
    const read = this.memory.mailboxes.readPosition(worker);
    let taken = 0;
    // Wrapping comparison: positions are 32 bits.
    while (taken < posted.length && ((read - posted[taken]) | 0) >= 0) taken += 1;
    if (taken > 0) posted.splice(0, taken);
    uncounted.takenCount += taken;
    return posted.length + uncounted.takenCount;
  }
}
