import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import {
  AssertionFailure,
  assert as assertOurs,
  cryptoRandom,
  ERROR_TABLE,
  FixedQueue,
  ManualClock,
  PgDogError,
  SeededRandom,
  systemClock,
} from '@pgdog-cluster/core';

test('assert throws AssertionFailure only for what does not hold', () => {
  assertOurs(true, 'never seen');
  assert.throws(
    () => assertOurs(false, 'broken'),
    (thrown) => thrown instanceof AssertionFailure && thrown.message === 'broken',
  );
});

test('every error has a SQLSTATE of five characters and a text, and cannot be changed', () => {
  const entries = Object.entries(ERROR_TABLE);
  assert.ok(entries.length > 30);
  for (const [code, kind] of entries) {
    assert.equal(kind.sqlstate.length, 5, code);
    assert.ok(
      [...kind.sqlstate].every((c) => (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')),
      code,
    );
    assert.ok(kind.message.length > 0, code);
    assert.ok(['client', 'server', 'operator', 'ours'].includes(kind.fault), code);
    assert.ok(Object.isFrozen(kind), code);
  }
  assert.ok(Object.isFrozen(ERROR_TABLE));
});

test('SQLSTATEs are those that Postgres and PgDog users expect', () => {
  const expected: Partial<Record<keyof typeof ERROR_TABLE, string>> = {
    too_many_clients: '53300',
    checkout_timeout: '58000',
    login_timeout: '57P05',
    idle_timeout: '57P05',
    idle_in_transaction_timeout: '25P03',
    shutting_down: '57P01',
    query_cancelled: '57014',
    query_timeout: '57014',
    server_lost: '08006',
    server_unreachable: '08001',
    protocol_violation: '08P01',
    wrong_password: '28P01',
    unknown_database: '3D000',
    unsupported_feature: '0A000',
    configuration: 'F0000',
    message_too_large: '54000',
    out_of_memory: '53200',
  };
  for (const [code, sqlstate] of Object.entries(expected)) {
    assert.equal(ERROR_TABLE[code as keyof typeof ERROR_TABLE].sqlstate, sqlstate, code);
  }
  assert.ok(ERROR_TABLE.checkout_timeout.message.startsWith('checkout timeout'));
});

test('PgDogError takes what it is not told from the table', () => {
  const plain = new PgDogError('checkout_timeout');
  assert.equal(plain.message, 'checkout timeout');
  assert.equal(plain.sqlstate, '58000');
  assert.equal(plain.hint, ERROR_TABLE.checkout_timeout.remedy);
  assert.equal(plain.detail, '');
  const cause = new Error('inner');
  const told = new PgDogError('internal', 'x', { detail: 'd', hint: '', cause });
  assert.deepEqual([told.message, told.detail, told.hint, told.cause], ['x', 'd', '', cause]);
});

test('the clock is one scale in all threads and never goes back', async () => {
  const before = systemClock.nowMs();
  const worker = new Worker(
    `import('@pgdog-cluster/core').then(({ systemClock }) =>
       require('node:worker_threads').parentPort.postMessage(systemClock.nowMs()));`,
    { eval: true },
  );
  const inside = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
  const after = systemClock.nowMs();
  assert.ok(before < inside && inside < after, `${before} ${inside} ${after}`);
  const manual = new ManualClock(5);
  manual.advanceMs(2.5);
  assert.deepEqual([manual.nowMs(), manual.nowUs()], [7.5, 7500]);
});

test('a seed replays, limits hold, crypto differs', () => {
  const [a, b, c] = [new SeededRandom(7), new SeededRandom(7), new SeededRandom(8)];
  const bytes = a.bytes(64);
  assert.deepEqual(bytes, b.bytes(64));
  assert.notDeepEqual(bytes, c.bytes(64));
  const seen = new Set<number>();
  for (let round = 0; round < 500; round += 1) seen.add(a.below(5));
  assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4]);
  assert.throws(() => a.below(0), AssertionFailure);
  assert.notDeepEqual(cryptoRandom.bytes(16), cryptoRandom.bytes(16));
  // Over the edges of what is fetched at once: nothing twice, nothing of zeros, lengths as asked.
  const drawn = Array.from({ length: 2_000 }, (_, index) => cryptoRandom.bytes(8 + (index % 60)));
  assert.equal(new Set(drawn.map((bytes) => Buffer.from(bytes.subarray(0, 8)).toString('hex'))).size, 2_000);
  for (const [index, bytes] of drawn.entries()) {
    assert.equal(bytes.length, 8 + (index % 60));
    assert.ok(bytes.some((byte) => byte !== 0));
  }
  assert.equal(cryptoRandom.bytes(10_000).length, 10_000);
});

test('FixedQueue behaves as an array does, whatever the order of calls', () => {
  const seed = Date.now() % 1_000_000;
  const random = new SeededRandom(seed);
  const queue = new FixedQueue<{ id: number }>(2);
  const model: { id: number }[] = [];
  for (let step = 0; step < 20_000; step += 1) {
    const choice = random.below(100);
    const item = { id: step };
    // Phases of growth and of emptying, so that it doubles and shrinks several times.
    const pushing = step % 8000 < 4000 ? 60 : 30;
    if (choice < pushing) {
      queue.push(item);
      model.push(item);
    } else if (choice < pushing + 3) {
      queue.unshift(item);
      model.unshift(item);
    } else if (choice < 85) {
      assert.equal(queue.shift(), model.shift(), `seed ${seed} step ${step}`);
    } else if (model.length > 0 && choice < 90) {
      const index = random.below(model.length);
      assert.equal(queue.remove(model[index]), true);
      model.splice(index, 1);
    } else {
      assert.equal(queue.remove(item), false);
    }
    assert.equal(queue.length, model.length, `seed ${seed} step ${step}`);
    assert.equal(queue.peek(), model[0]);
    assert.equal(queue.at(model.length - 1), model[model.length - 1]);
  }
  for (const item of model) assert.equal(queue.shift(), item, `seed ${seed}`);
  assert.equal(queue.shift(), undefined);
  assert.equal(queue.peek(), undefined);
  assert.equal(queue.at(0), undefined);
  assert.equal(queue.at(-1), undefined);
});

test('FixedQueue refuses slot counts that its mask cannot serve, and keeps no removed item', () => {
  assert.throws(() => new FixedQueue(3), AssertionFailure);
  assert.throws(() => new FixedQueue(0), AssertionFailure);
  const queue = new FixedQueue<{ id: number }>();
  for (let id = 0; id < 3000; id += 1) queue.push({ id });
  for (let id = 0; id < 3000; id += 1) assert.equal(queue.shift()?.id, id);
  queue.push({ id: 1 });
  queue.clear();
  assert.equal(queue.length, 0);
  assert.equal(inspect(queue).includes('id'), false);
});
