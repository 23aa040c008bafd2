/** Garbage that reloads leave is collected when nothing goes on, and when it is worth it. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { IdleCollection } from 'pgdog-cluster';

const MEGABYTE = 2 ** 20;

test('some seconds after the last change, when more has come together than may lie about', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let [heapBytes, count] = [100 * MEGABYTE, 0];
    const collect = () => {
      count++;
      heapBytes = 60 * MEGABYTE;
    };
    const collection = new IdleCollection({ collect, heapBytes: () => heapBytes });
    for (let reload = 0; reload < 20; reload++) {
      collection.later();
      mock.timers.tick(9_000);
    }
    assert.equal(count, 0, 'while reloads follow one another nothing is added to them');
    mock.timers.tick(1_000);
    assert.equal(count, 1);
    heapBytes += 31 * MEGABYTE;
    collection.later();
    mock.timers.tick(60_000);
    assert.equal(count, 1, 'what is little may lie about');
    heapBytes += MEGABYTE;
    collection.later();
    mock.timers.tick(60_000);
    assert.equal(count, 2);
    heapBytes = 500 * MEGABYTE;
    collection.later();
    collection.close();
    mock.timers.tick(60_000);
    assert.equal(count, 2, 'not behind the end');
  } finally {
    mock.timers.reset();
  }
});

test('the real one takes back what nobody has, and shows the call to nobody', async () => {
  const collection = new IdleCollection();
  mock.timers.enable({ apis: ['setTimeout'] });
  let before: number;
  try {
    let garbage: object[] | null = Array.from({ length: 400_000 }, (_, at) => ({
      at,
      text: `${at} of many`,
    }));
    assert.equal(garbage.length, 400_000);
    garbage = null;
    before = process.memoryUsage().heapUsed;
    collection.later();
    mock.timers.tick(10_000);
  } finally {
    mock.timers.reset();
  }
  const after = process.memoryUsage().heapUsed;
  assert.ok(before - after > 20 * MEGABYTE, `${before} bytes before, ${after} after`);
  assert.equal('gc' in globalThis, false);
  collection.close();
});
