/** Rows that are kept until their texts are ranked, by statement and of all statements of a worker. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RowMerge, RowOrder, RowShape, TextRanking } from '@pgdog-cluster/core';
import { KeptBudget, KeptRows } from '@pgdog-cluster/worker';

const TEXT = 25;
const KEY = { column: 0, isDescending: false, isNullsFirst: false, collation: '"sv"' };
const MB = 1024 * 1024;

/** A DataRow of one text. */
function row(text: string): Buffer {
  const frame = Buffer.alloc(11 + text.length);
  frame.write('D');
  frame.writeInt32BE(10 + text.length, 1);
  frame.writeInt16BE(1, 5);
  frame.writeInt32BE(text.length, 7);
  frame.write(text, 11, 'latin1');
  return frame;
}

function made(
  bytesMax = 64 * MB,
  budget = new KeptBudget(64 * MB),
): { kept: KeptRows; ranking: TextRanking; merge: RowMerge } {
  const ranking = new TextRanking();
  const shape = new RowShape([{ name: 'name', typeOid: TEXT, typmod: -1, format: 0 }]);
  const order = RowOrder.of(shape, [KEY], ranking);
  assert.ok(typeof order !== 'string');
  return { kept: new KeptRows(order, ranking, 2, bytesMax, budget), ranking, merge: new RowMerge(order, 2) };
}

const add = (kept: KeptRows, shard: number, text: string): string | null => {
  const frame = row(text);
  return kept.add(shard, frame, 0, frame.length)?.sqlstate ?? null;
};

test('rows of both shards come in the order that was told', () => {
  const { kept, ranking, merge } = made();
  for (const text of ['z', 'a']) assert.equal(add(kept, 0, text), null);
  for (const text of ['å', 'y']) assert.equal(add(kept, 1, text), null);
  // z, a, å, y by number: å z a y
  assert.ok(ranking.begin(['3,1,2,4']));
  assert.equal(ranking.step(10), 'done');
  const given: number[] = [];
  for (let shard = kept.next(merge); shard >= 0; shard = kept.next(merge)) {
    given.push(shard);
    kept.of(shard).take();
  }
  assert.deepEqual(given, [1, 0, 0, 1]);
});

test('a statement has a limit', () => {
  const { kept } = made(MB);
  assert.equal(add(kept, 0, 'x'.repeat(MB / 8)), null);
  assert.equal(add(kept, 1, 'y'.repeat(MB / 2)), '0A000');
});

test('all statements of a worker have one together, until they are done', () => {
  const budget = new KeptBudget(MB);
  const [one, other, third] = [1, 2, 3].map(() => made(64 * MB, budget).kept);
  assert.equal(add(one, 0, 'x'.repeat(MB / 16)), null);
  assert.equal(add(other, 0, 'y'.repeat(MB / 16)), null);
  assert.equal(add(other, 0, 'z'.repeat(MB / 4)), '53200');
  other.release();
  // What is released twice counts once.
  other.release();
  assert.equal(add(third, 0, 'y'.repeat(MB / 16)), null);
  one.release();
  third.release();
  assert.equal(budget.bytes, 0);
});

test('what is no row of its shape is refused', () => {
  const { kept } = made();
  const frame = row('abc');
  frame.writeInt32BE(99, 7);
  assert.equal(kept.add(0, frame, 0, frame.length)?.sqlstate, '0A000');
});
