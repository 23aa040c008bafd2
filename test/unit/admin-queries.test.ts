import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latencyCell } from '@pgdog-cluster/core';
import { makeWorld, queryReport, rowsOf } from './admin-fixture.js';

test('SHOW QUERIES puts workers together, what took most time first', async () => {
  const world = await makeWorld();
  const slow = latencyCell(400_000);
  world.queries.push(
    queryReport({ query: 'select a', calls: 98, totalUs: 98_000, cells: [latencyCell(1000), 98] }),
    queryReport({
      query: 'select a',
      worker: 1,
      calls: 2,
      totalUs: 800_000,
      maxUs: 400_000,
      cells: [slow, 2],
      access: 'read',
    }),
    queryReport({ query: 'select a', database: 'other', totalUs: 5 }),
    queryReport({ query: '(evicted)', isShape: false, totalUs: 2_000_000 }),
  );
  const rows = await rowsOf(world, 'SHOW QUERIES');
  assert.deepEqual(
    rows.map(({ database, query }) => [database, query]),
    [
      ['shop', '(evicted)'],
      ['shop', 'select a'],
      ['other', 'select a'],
    ],
  );
  const [, both] = rows;
  assert.deepEqual(
    [both.calls, both.workers, both.route, both.total_time, both.avg_time, both.max_time],
    ['100', '2', 'read', '898', '8.98', '400'],
  );
  const p99 = Number(both.p99_time);
  assert.ok(p99 > 300 && p99 <= 400, String(both.p99_time));
  assert.equal((await rowsOf(world, 'SHOW QUERIES LIMIT 1')).length, 1);
  // Over all databases, and of shapes alone.
  const cached = await rowsOf(world, 'SHOW QUERY_CACHE');
  assert.deepEqual(
    cached.map(({ query, direct, multi, workers }) => [query, direct, multi, workers]),
    [['select a', '110', '0', '2']],
  );
});
