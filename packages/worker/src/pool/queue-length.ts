import type { Pool } from './pool.js';

/** Sessions that wait in the pool, over all workers; only counted where a limit asks for it. */
export function waitingEverywhere({ context, index, waiters }: Pool): number {
  const { load, handles } = context.memory;
  let waiting = waiters.length;
  for (let worker = 0; worker < handles.dimensions.workers; worker++) {
    if (worker !== context.worker) waiting += load.waiting(worker, index);
  }
  return waiting;
}
