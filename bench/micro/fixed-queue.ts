/** The queue behind waiters and pending replies, short and long. */
import { FixedQueue } from '@pgdog-cluster/core';
import { type MicroResult, timeOperations } from './time-operations.js';

interface Item {
  value: number;
}

/** One operation is a push and a shift, with so many items already waiting. */
function pushAndShift(waiting: number): (count: number) => number {
  return (count) => {
    const queue = new FixedQueue<Item>();
    for (let i = 0; i < waiting; i++) queue.push({ value: i });
    const item = { value: waiting };
    let hash = 0;
    for (let i = 0; i < count; i++) {
      queue.push(item);
      hash = (Math.imul(hash, 31) + (queue.shift()?.value ?? 0)) | 0;
    }
    return hash;
  };
}

export function run({ quick }: { quick: boolean }): MicroResult[] {
  return [
    timeOperations('FixedQueue: push and shift, empty', quick, pushAndShift(0)),
    timeOperations('FixedQueue: push and shift, 200 waiting', quick, pushAndShift(200)),
  ];
}
