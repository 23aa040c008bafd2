import { type NewClientMessage, type SharedMemory, WORKER_SERVING } from '@pgdog-cluster/core';
import type { WorkerContext } from '../worker-context.js';
import { Uncounted } from './uncounted.js';

/**
 * A client is given away when another worker has fewer by more than this and a sixteenth of our own. Giving one away
 * costs a wake-up; the kernel spreads clients well enough that only a difference that lasts is worth it.
 */
const SLACK_CLIENTS = 4;
const SLACK_SHIFT = 4;

/** How many fewer clients than `ownLoad` another worker must have to be preferred. */
export function slackOf(ownLoad: number): number {
  return SLACK_CLIENTS + (ownLoad >> SLACK_SHIFT);
}

/** For other workers to see. */
export function publishClients({ memory, worker, sessions, arrivals }: WorkerContext): void {
  const count = sessions.count + arrivals.waitingCount;
  memory.workers.setClients(worker, count, count - sessions.homedCount);
}

/**
 * Finds the worker a new client goes to, before it has said a word. The load of another worker is the number of clients
 * it says it has plus those handed to it from here since it last said so. Clients of small pools do not count: they are
 * where they must be (Homes), and to make up for them here would send the next ones of those pools to and fro.
 */
export class HandOver {
  private readonly memory: SharedMemory;
  private readonly own: number;
  private readonly post: (worker: number, message: NewClientMessage) => boolean;
  private readonly count: number;
  private readonly uncounted: Uncounted;
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
    this.uncounted = new Uncounted(memory);
  }

  /** True: the descriptor is another worker's now. False: it is to be served here. */
  give(fd: number, addr: string, port: number): boolean {
    const ownLoad = this.memory.workers.spreadClients(this.own);
    const loadMax = ownLoad - slackOf(ownLoad) - 1;
    if (this.count === 1 || loadMax < 0) return false;
    const worker = this.leastLoaded(loadMax);
    // post() moves the ownership of the descriptor under the mailbox's lock, or not at all.
    if (worker < 0 || !this.post(worker, { type: 'newClient', fd, addr, port })) return false;
    this.uncounted.add(worker);
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
      const load = workers.spreadClients(worker) + this.uncounted.of(worker);
      if (load >= bestLoad) continue;
      best = worker;
      bestLoad = load;
    }
    return best;
  }
}
