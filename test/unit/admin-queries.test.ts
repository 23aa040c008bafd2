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

test('SHOW PREPARED puts workers together, what most clients hold first', async () => {
  const world = await makeWorld();
  const report = { worker: 0, name: '__pgdog_a', statement: 'select $1', references: 2, bytes: 100 };
  world.prepared.push(
    report,
    { ...report, name: '__pgdog_b', statement: 'select b', references: 4 },
    { ...report, worker: 1, references: 3 },
  );
  const rows = await rowsOf(world, 'SHOW PREPARED');
  assert.deepEqual(
    rows.map(({ name, statement, rewrite, used_by, memory_used }) => [
      name,
      statement,
      rewrite,
      used_by,
      memory_used,
    ]),
    [
      ['__pgdog_a', 'select $1', null, '5', '200'],
      ['__pgdog_b', 'select b', null, '4', '100'],
    ],
  );
  assert.equal((await rowsOf(world, 'SHOW PREPARED LIMIT 1')).length, 1);
  assert.equal((await rowsOf(world, "SHOW PREPARED 'b'")).length, 1);
});

test('SHOW CLIENT MEMORY and SHOW SERVER MEMORY', async () => {
  const world = await makeWorld();
  const bytes = { used: 1, allocated: 10, prepared: 200, queued: 3000 };
  const client = { worker: 1, slot: 5, user: 'app', database: 'shop', addr: '10.0.0.1', port: 5555, bytes };
  world.clientMemory.push(client);
  world.serverMemory.push(
    { worker: 0, pool: 0, remotePid: 4242, bytes },
    { worker: 0, pool: 99, remotePid: 1, bytes },
  );
  const [row] = await rowsOf(world, 'SHOW CLIENT MEMORY');
  assert.deepEqual(
    [
      row.user,
      row.buffer_bytes_used,
      row.buffer_bytes_alloc,
      row.prepared_statements_bytes,
      row.net_buffer_bytes,
    ],
    ['app', '1', '10', '200', '3000'],
  );
  assert.equal(row.total_bytes, '3210');
  const servers = await rowsOf(world, 'SHOW SERVER MEMORY');
  assert.deepEqual(
    servers.map(({ database, remote_pid, total_bytes }) => [database, remote_pid, total_bytes]),
    [
      ['shop', '4242', '3210'],
      ['', '1', '3210'],
    ],
  );
});
