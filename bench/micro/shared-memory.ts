/** The tables that every statement touches, and the mailbox that every hand-over goes through. Without contention. */
import {
  createSharedMemory,
  latencyBucket,
  QUERY_COUNT,
  QUERY_LATENCY,
  type SharedMemory,
  type WorkerMessage,
} from '@pgdog-cluster/core';
import { type MicroResult, timeOperations } from './time-operations.js';

const WORKER = 1;
const POOL = 3;

function count(memory: SharedMemory): (count: number) => number {
  return (count) => {
    const { counters } = memory;
    const row = counters.rowBase(WORKER, POOL);
    const before = counters.cells[row + QUERY_COUNT];
    for (let i = 0; i < count; i++) {
      counters.cells[row + QUERY_COUNT] += 1;
      counters.cells[row + QUERY_LATENCY + latencyBucket(i & 1023)] += 1;
    }
    return counters.cells[row + QUERY_COUNT] - before;
  };
}

function claim(memory: SharedMemory): (count: number) => number {
  const { capacity } = memory;
  capacity.setPoolLimit(POOL, 20);
  return (count) => {
    let hash = 0;
    for (let i = 0; i < count; i++) {
      hash = (Math.imul(hash, 31) + capacity.tryClaim(WORKER, POOL) + 1) | 0;
      capacity.giveBack(WORKER, POOL);
    }
    return hash;
  };
}

function mail(memory: SharedMemory): (count: number) => number {
  const { mailboxes } = memory;
  return (count) => {
    let hash = 0;
    const handle = (message: WorkerMessage): void => {
      hash = (Math.imul(hash, 31) + message.type.length) | 0;
    };
    for (let i = 0; i < count; i++) {
      mailboxes.post(0, WORKER, { type: 'lendRequest', pool: POOL, fromWorker: 0 });
      mailboxes.drain(WORKER, handle);
    }
    return hash;
  };
}

function look(memory: SharedMemory): (count: number) => number {
  return (count) => {
    let found = 0;
    for (let i = 0; i < count; i++) if (memory.mailboxes.hasMessages(WORKER)) found++;
    return found;
  };
}

export function run({ quick }: { quick: boolean }): MicroResult[] {
  const memory = createSharedMemory({ workers: 4, poolsMax: 16, fdMax: 1024 });
  return [
    timeOperations('CounterTable: one query and its latency bucket', quick, count(memory)),
    timeOperations('CapacityTable: claim and give back', quick, claim(memory)),
    timeOperations('Mailboxes: post and drain one message', quick, mail(memory)),
    timeOperations('Mailboxes: look into an empty one', quick, look(memory)),
  ];
}
