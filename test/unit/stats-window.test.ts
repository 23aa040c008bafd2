/** Averages over a period, of pools of which most have counted nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigSnapshot, createSharedMemory, QUERY_COUNT } from '@pgdog-cluster/core';
import { StatsWindow } from 'pgdog-cluster';

const POOLS = 100;

test('pools without traffic are not kept in samples, and grow from nothing when they have some', () => {
  const memory = createSharedMemory({ workers: 2, poolsMax: POOLS, fdMax: 64 });
  const pools = Array.from({ length: POOLS }, (_, index) => ({ index }));
  const config = { pools, general: { statsPeriodMs: 1000 } } as unknown as ConfigSnapshot;
  const { counters } = memory;
  const summed: number[] = [];
  const sum = counters.sum.bind(counters);
  counters.sum = (pool) => {
    summed.push(pool);
    return sum(pool);
  };
  const serve = (worker: number, pool: number, count: number): void => {
    counters.cells[counters.rowBase(worker, pool) + QUERY_COUNT] += count;
  };
  serve(1, 7, 5);
  let nowMs = 0;
  const window = new StatsWindow(memory, () => config, { nowMs: () => nowMs } as never);
  assert.deepEqual(summed.splice(0), [7]);
  serve(0, 7, 10);
  serve(1, 9, 4);
  nowMs = 1000;
  window.endPeriod();
  assert.deepEqual(summed.splice(0), [7, 9]);
  const grown = (pool: number) => window.poolChange(pool).counters[QUERY_COUNT];
  assert.deepEqual([7, 9, 11].map(grown), [10, 4, 0]);
  assert.equal(window.poolChange(11).seconds, 1);
  serve(0, 9, 6);
  nowMs = 2000;
  window.endPeriod();
  assert.deepEqual([7, 9, 11].map(grown), [0, 6, 0]);
  counters.clearPool(9);
  window.endPeriod();
  assert.deepEqual([7, 9, 11].map(grown), [0, 0, 0], 'its number is to be given to another pool');
});
