import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  awaitsKeys,
  beginLookups,
  KeyLookups,
  lookupOutcome,
  MISSING_KEYS_MAX,
  UNKNOWN_SHARD,
} from '@pgdog-cluster/core';

const clock = { nowMs: 1 };

test('an answer is remembered for minutes, none for a second, and what is missing is told', () => {
  const lookups = new KeyLookups(3, 1 << 20, clock);
  beginLookups();
  assert.equal(lookups.find(7n), UNKNOWN_SHARD);
  assert.deepEqual(lookupOutcome.missing, [{ lookups, key: 7n }]);
  lookups.take(7n, 2, '');
  lookups.take('a', null, '');
  lookups.take('b', null, 'it fails');
  beginLookups();
  assert.deepEqual([lookups.find(7n), lookupOutcome.missing.length, lookupOutcome.isUnmapped], [2, 0, false]);
  assert.deepEqual([lookups.find('a'), lookupOutcome.isUnmapped], [UNKNOWN_SHARD, true]);
  assert.deepEqual([lookups.find('b'), lookupOutcome.problem], [UNKNOWN_SHARD, 'it fails']);
  clock.nowMs += 2_000;
  beginLookups();
  assert.deepEqual(
    [lookups.find(7n), lookups.find('a'), lookups.find('b')],
    [2, UNKNOWN_SHARD, UNKNOWN_SHARD],
  );
  assert.deepEqual(
    lookupOutcome.missing.map(({ key }) => key),
    ['a', 'b'],
  );
  clock.nowMs += 600_000;
  beginLookups();
  assert.deepEqual([lookups.find(7n), lookupOutcome.missing.length], [UNKNOWN_SHARD, 1]);
  lookups.take(7n, 1, '');
  lookups.clear();
  assert.equal(lookups.size, 0);
});

test('bounds: the oldest that nobody uses goes first; keys that are long or many are not asked for', () => {
  const lookups = new KeyLookups(0, 10_000, clock);
  for (let key = 0n; key < 60n; key++) lookups.take(key, 0, '');
  for (let key = 0n; key < 10n; key++) lookups.find(key);
  for (let key = 60n; key < 90n; key++) lookups.take(key, 0, '');
  assert.ok(lookups.size * 150 <= 10_000, `${lookups.size}`);
  beginLookups();
  for (let key = 0n; key < 10n; key++) assert.equal(lookups.find(key), 0, `${key} is used`);
  assert.equal(lookups.find(12n), UNKNOWN_SHARD);
  beginLookups();
  assert.equal(lookups.find('x'.repeat(2000)), UNKNOWN_SHARD);
  assert.match(lookupOutcome.problem, /2000 bytes is too long/);
  assert.equal(lookupOutcome.missing.length, 0);
  for (let key = 1000n; key < 1000n + BigInt(2 * MISSING_KEYS_MAX); key++) lookups.find(key);
  assert.equal(lookupOutcome.missing.length, MISSING_KEYS_MAX);
  beginLookups();
});

test('what a statement waits for counts until it lets go, however old and however little there is room for', () => {
  const lookups = new KeyLookups(0, 0, clock);
  const missing = (...keys: (bigint | string)[]): unknown[] => {
    beginLookups();
    for (const key of keys) lookups.find(key);
    return lookupOutcome.missing.map(({ key }) => key);
  };
  for (const key of [1n, 2n, 3n]) lookups.hold(key);
  lookups.hold(1n);
  lookups.take(1n, 0, '');
  lookups.take(2n, 1, '');
  lookups.take(3n, null, '');
  clock.nowMs += 2_000;
  assert.deepEqual(missing(1n, 2n, 3n), []);
  assert.equal(lookupOutcome.isUnmapped, true);
  lookups.clear();
  assert.deepEqual(missing(1n, 2n, 3n), [1n, 2n, 3n], 'forgotten for those who wait, too');
  lookups.take(1n, 0, '');
  lookups.take(2n, 1, '');
  for (const key of [1n, 2n, 3n]) lookups.letGo(key);
  assert.deepEqual(
    missing(1n, 2n, 3n),
    [3n],
    'another statement waits for the first, the second is remembered',
  );
  lookups.letGo(1n);
  assert.deepEqual(missing(1n, 2n), [1n]);
  assert.equal(awaitsKeys(), true);
  lookups.hold('b');
  lookups.take('b', null, 'it fails');
  missing(1n, 'b');
  assert.equal(awaitsKeys(), false, 'no answer can help any more');
  beginLookups();
});

test('a text that is not UTF-8 is not asked for: its answer would be of another key', () => {
  const lookups = new KeyLookups(0, 1 << 20, clock);
  beginLookups();
  for (const key of ['\xff', 'a\xc3', '\xed\xa0\x80']) assert.equal(lookups.find(key, true), UNKNOWN_SHARD);
  assert.deepEqual([lookupOutcome.missing, lookupOutcome.problem], [[], '']);
  lookups.find('\xc3\xbc', true);
  lookups.find('\xff'.repeat(16));
  assert.equal(lookupOutcome.missing.length, 2, 'ü, and a uuid');
  beginLookups();
});
