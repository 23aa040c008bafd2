// The merge of sorted answers of several shards.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MERGE_ENDED, MERGE_FAILED, MERGE_WAITING, RowMerge, type RowOrder } from '@pgdog-cluster/core';
import { lyingRows, orderOf, type Row, rowOf, shapeOf } from '../support/merge-rows.js';

/** Merges lists of rows of one column; each head's bytes are wiped when its row was taken. */
function merged(order: RowOrder, lists: (string | null)[][]): (string | null)[] {
  const merge = new RowMerge(order, lists.length);
  const next = lists.map(() => 0);
  const heads: Row[] = [];
  const step = (shard: number): void => {
    const value = lists[shard][next[shard]++];
    if (value === undefined) {
      merge.ended(shard);
      return;
    }
    heads[shard] = rowOf(value);
    merge.offer(shard, heads[shard].bytes, heads[shard].start, heads[shard].end);
  };
  const rows: (string | null)[] = [];
  for (let shard = 0; shard < lists.length; shard++) step(shard);
  for (let shard = merge.next(); shard >= 0; shard = merge.next()) {
    rows.push(lists[shard][next[shard] - 1]);
    heads[shard].bytes.fill(0xff);
    step(shard);
  }
  assert.equal(merge.next(), MERGE_ENDED);
  return rows;
}

describe('the merge of sorted answers', () => {
  it('gives all rows of all shards, in order', () => {
    const order = orderOf(shapeOf('text', 'int4'), '1');
    assert.deepEqual(merged(order, [['1', '4', '9', '10'], [], ['2', '3', '4', '100', null], ['-5']]), [
      '-5',
      '1',
      '2',
      '3',
      '4',
      '4',
      '9',
      '10',
      '100',
      null,
    ]);
    assert.deepEqual(merged(order, [[]]), []);
    const down = orderOf(shapeOf('text', 'text'), '1 desc nulls last');
    const long = 'x'.repeat(1000);
    assert.deepEqual(
      merged(down, [
        ['b', 'a'],
        [long, 'aa', null],
      ]),
      [long, 'b', 'aa', 'a', null],
    );
  });

  it('equal rows come in the order of the shards', () => {
    const order = orderOf(shapeOf('text', 'numeric'), '1');
    assert.deepEqual(merged(order, [['1.00'], ['1', '2'], ['1.0']]), ['1.00', '1', '1.0', '2']);
  });

  it('and in no other, whichever shard answers first', () => {
    const merge = new RowMerge(orderOf(shapeOf('text', 'int4'), '1'), 4);
    const row = rowOf('1');
    for (const shard of [2, 0, 3, 1]) merge.offer(shard, row.bytes, row.start, row.end);
    for (const shard of [0, 1, 2, 3]) {
      assert.equal(merge.next(), shard);
      merge.ended(shard);
    }
  });

  it('waits for each shard that has neither a row nor an end', () => {
    const merge = new RowMerge(orderOf(shapeOf('text', 'int4'), '1'), 2);
    const offer = (shard: number, row: Row): boolean => merge.offer(shard, row.bytes, row.start, row.end);
    assert.equal(merge.next(), MERGE_WAITING);
    assert.ok(offer(1, rowOf('7')));
    assert.equal(merge.next(), MERGE_WAITING);
    assert.ok(offer(0, rowOf('8')));
    assert.equal(merge.next(), 1);
    assert.equal(merge.next(), MERGE_WAITING);
    merge.ended(1);
    assert.equal(merge.next(), 0);
    assert.equal(merge.next(), MERGE_WAITING);
    merge.ended(0);
    assert.equal(merge.next(), MERGE_ENDED);
  });

  it('fails when a shard does not sort as asked', () => {
    const merge = new RowMerge(orderOf(shapeOf('text', 'text'), '1'), 2);
    const offer = (shard: number, row: Row): boolean => merge.offer(shard, row.bytes, row.start, row.end);
    offer(0, rowOf('a'));
    offer(1, rowOf('z'));
    assert.equal(merge.next(), 0);
    // As a collation of a language has it.
    assert.ok(!offer(0, rowOf('A')));
    assert.equal(merge.next(), MERGE_FAILED);
    assert.equal(merge.failure, 'unsorted');
  });

  it('fails on a malformed row, and on a value that is none', () => {
    for (const bad of [rowOf('x'), ...lyingRows(rowOf('15'))]) {
      const merge = new RowMerge(orderOf(shapeOf('text', 'int4'), '1'), 2);
      const good = rowOf('1');
      assert.ok(merge.offer(0, good.bytes, good.start, good.end));
      assert.ok(!merge.offer(1, bad.bytes, bad.start, bad.end));
      assert.equal(merge.next(), MERGE_FAILED);
      assert.equal(merge.failure, 'malformed');
      assert.ok(!merge.offer(1, good.bytes, good.start, good.end));
    }
  });
});
