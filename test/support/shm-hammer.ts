/** Runs in threads started by the shared-memory tests: one kind of load each, then a report to the parent. */
import { parentPort, workerData } from 'node:worker_threads';
import {
  CLAIMED,
  openSharedMemory,
  SeededRandom,
  type SharedMemoryHandles,
  WORKER_SERVING,
} from '@pgdog-cluster/core';

export type HammerTask = {
  handles: SharedMemoryHandles;
  worker: number;
  /** Times round. */
  count: number;
  seed: number;
} & ({ kind: 'capacity'; pools: number } | { kind: 'post'; target: number } | { kind: 'routing' });

export interface HammerReport {
  worker: number;
  /** What the kind counts: claims got, messages posted, snapshots read. */
  done: number;
  /** Claims refused, posts refused, snapshots seen to be torn. */
  refused: number;
}

const task = workerData as HammerTask;
const memory = openSharedMemory(task.handles);
const report: HammerReport = { worker: task.worker, done: 0, refused: 0 };

// The test starts its own part when all threads are up.
memory.workers.setState(task.worker, WORKER_SERVING);

function hammerCapacity(pools: number): void {
  const random = new SeededRandom(task.seed + task.worker);
  const held: number[] = [];
  for (let round = 0; round < task.count; round++) {
    const isClaiming = held.length === 0 || (held.length < 12 && random.below(100) < 55);
    if (!isClaiming) {
      const [pool] = held.splice(random.below(held.length), 1);
      memory.capacity.giveBack(task.worker, pool);
      continue;
    }
    const pool = random.below(pools);
    if (memory.capacity.tryClaim(task.worker, pool) !== CLAIMED) {
      report.refused += 1;
      continue;
    }
    report.done += 1;
    held.push(pool);
  }
  for (const pool of held) memory.capacity.giveBack(task.worker, pool);
}

function hammerPost(target: number): void {
  for (let number = 0; number < task.count; number++) {
    // The size varies so that frames wrap at every offset of the ring.
    const bytes = new Uint8Array((number * 37) % 1500).fill(number & 0xff);
    const message = {
      type: 'adminReply' as const,
      slot: task.worker,
      generation: number,
      bytes,
      isLast: false,
    };
    while (!memory.mailboxes.post(task.worker, target, message)) report.refused += 1;
    report.done += 1;
  }
}

function hammerRouting(): void {
  let epochBefore = 0;
  while (epochBefore < task.count) {
    const snapshot = memory.routing.read();
    const { epoch, users } = snapshot;
    const isWhole = snapshot.pools.length > 0 && snapshot.pools.every(({ port }) => port === epoch);
    // The one before has another number there.
    const isSteady = users.every(({ name }, place) => {
      const number = epoch - ((epoch - place + users.length) % users.length);
      return name === `u${number > 0 ? number : place - users.length}`;
    });
    if (!isWhole || !isSteady || snapshot.epoch < epochBefore) report.refused += 1;
    epochBefore = snapshot.epoch;
    report.done += 1;
  }
}

if (task.kind === 'capacity') hammerCapacity(task.pools);
else if (task.kind === 'post') hammerPost(task.target);
else hammerRouting();
parentPort?.postMessage(report);
