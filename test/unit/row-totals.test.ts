/** count(*) OVER () of several shards: each row is given with the number of all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RowShape, RowTotals } from '@pgdog-cluster/core';

const INT8 = 20;
const INT4 = 23;
const TEXT = 25;

const shapeOf = (...columns: [typeOid: number, format: number][]): RowShape =>
  new RowShape(columns.map(([typeOid, format], i) => ({ name: `c${i}`, typeOid, typmod: -1, format })));

/** A whole DataRow. */
function row(...values: (Buffer | string | null)[]): Buffer {
  const parts = values.flatMap((value) => {
    const bytes = value === null ? null : Buffer.from(value);
    const size = Buffer.alloc(4);
    size.writeInt32BE(bytes?.length ?? -1);
    return bytes === null ? [size] : [size, bytes];
  });
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(7);
  head.write('D');
  head.writeInt32BE(6 + body.length, 1);
  head.writeInt16BE(values.length, 5);
  return Buffer.concat([head, body]);
}

function int8(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

function int4(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

const add = (totals: RowTotals, bytes: Buffer): boolean => totals.addFirst(bytes, 0, bytes.length);
const fill = (totals: RowTotals, bytes: Buffer): string | null => {
  const filled = totals.fill(bytes, 0, bytes.length);
  return filled instanceof Uint8Array ? Buffer.from(filled).toString('hex') : filled;
};

test('the numbers of the shards are added up, and stand in every row, in the format of their column', () => {
  const totals = RowTotals.of(shapeOf([INT8, 0], [TEXT, 0], [INT4, 1], [INT8, 1]), [0, 2, 3]);
  assert.ok(totals !== null);
  for (const [text, small, large] of [
    ['7', 8, 2n ** 33n],
    ['95', 92, 5n],
  ] as const)
    assert.ok(add(totals, row(text, 'x', int4(small), int8(large))));
  for (const text of ['a', '', null, 'a longer one'])
    assert.equal(
      fill(totals, row('7', text, int4(8), int8(2n ** 33n))),
      row('102', text, int4(100), int8(2n ** 33n + 5n)).toString('hex'),
    );
});

test('rows behind bytes of others are found where they are', () => {
  const totals = RowTotals.of(shapeOf([TEXT, 0], [INT8, 0]), [1]);
  const one = row('a', '3');
  const both = Buffer.concat([row('before', '1'), one, Buffer.from('behind')]);
  const start = both.length - one.length - 6;
  assert.ok(totals !== null);
  assert.ok(totals.addFirst(both, start, start + one.length));
  assert.deepEqual(Buffer.from(totals.fill(both, start, start + one.length) as Uint8Array), one);
});

test('what is no number of rows is malformed; what does not fit is told', () => {
  const totals = RowTotals.of(shapeOf([INT4, 0]), [0]);
  assert.ok(totals !== null);
  for (const value of [null, '', 'x', '9999999999999999999'])
    assert.equal(add(totals, row(value)), false, `${value}`);
  assert.equal(add(totals, row('1', '2')), false);
  assert.ok(add(totals, row('2147483647')));
  assert.equal(fill(totals, row('1')), row('2147483647').toString('hex'));
  assert.ok(add(totals, row('1')));
  assert.equal(fill(totals, row('1')), 'large');
  assert.equal(fill(totals, row('1', '2')), null);
  assert.equal(RowTotals.of(shapeOf([TEXT, 0]), [0]), null);
  assert.equal(RowTotals.of(shapeOf([INT8, 2]), [0]), null);
  assert.equal(RowTotals.of(shapeOf([INT8, 0]), [1]), null);
});
