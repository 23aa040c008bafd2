/**
 * One answer of the rows of three shards; an operation is one row. row-merge with row-order and row-places over keys of
 * value-order: integer-order, byte-order, decimal-order, moment, enum-order. row-fold with fold-column and numeric-sum; row-distinct with
 * row-key, value-key, key-buffer, key-table; row-sort; limit-cut;
 * first-rows.
 */
import {
  FirstRows,
  FrameWriter,
  LimitCut,
  RowDistinct,
  RowFold,
  RowMerge,
  RowOrder,
  RowShape,
  RowTotals,
} from '@pgdog-cluster/core';
import { type MicroResult, timeOperations } from './time-operations.js';

const DATA_ROW = 0x44;
const SHARDS = 3;
/** Rows of each shard. */
const ROWS = 10_000;
const TYPE = { int8: 20, text: 25, float8: 701, timestamptz: 1184, numeric: 1700 };
const LIMIT_BYTES = 64 << 20;
/** An enum, of eight labels. */
const ENUM_OID = 16_400;
const LABELS = Array.from({ length: 8 }, (_, place) => `state ${(place * 5) % 8}`);
const ENUMS = new Map([[ENUM_OID, LABELS]]);

/** Rows of a shard, one behind the other, and where each begins; the last one is the end. */
interface Rows {
  bytes: Uint8Array;
  starts: Int32Array;
}

type WriteValue = (writer: FrameWriter, row: number) => void;

/** Each row has a key and 20 bytes more. */
function rowsOf(shard: number, write: WriteValue): Rows {
  const writer = new FrameWriter(1 << 20);
  const starts = new Int32Array(ROWS + 1);
  for (let row = 0; row < ROWS; row++) {
    writer.begin(DATA_ROW).int16(2);
    write(writer, row * SHARDS + shard);
    writer.value('twenty bytes of text').end();
    starts[row + 1] = writer.length;
  }
  return { bytes: writer.take(), starts };
}

const shards = (write: WriteValue): Rows[] =>
  Array.from({ length: SHARDS }, (_, shard) => rowsOf(shard, write));

function shapeOf(typeOid: number, format: number): RowShape {
  return new RowShape([
    { name: 'key', typeOid, typmod: -1, format },
    { name: 'payload', typeOid: TYPE.text, typmod: -1, format },
  ]);
}

function made<T extends object>(value: T | string): T {
  if (typeof value === 'string') throw new Error(value);
  return value;
}

function mergeBench(typeOid: number, format: number, write: WriteValue): (count: number) => number {
  const rows = shards(write);
  const key = { column: 0, isDescending: false, isNullsFirst: false };
  const order = made(RowOrder.of(shapeOf(typeOid, format).labelled(ENUMS), [key]));
  const next = new Int32Array(SHARDS);
  const step = (merge: RowMerge, shard: number): void => {
    const row = next[shard]++;
    const { bytes, starts } = rows[shard];
    if (row === ROWS) merge.ended(shard);
    else merge.offer(shard, bytes, starts[row] + 5, starts[row + 1]);
  };
  return (count) => {
    let hash = 0;
    let merge = new RowMerge(order, SHARDS);
    for (let left = count; left > 0; ) {
      next.fill(0);
      merge = new RowMerge(order, SHARDS);
      for (let shard = 0; shard < SHARDS; shard++) step(merge, shard);
      for (let shard = merge.next(); shard >= 0 && left > 0; shard = merge.next(), left--) {
        hash = (Math.imul(hash, 31) + shard) | 0;
        step(merge, shard);
      }
    }
    return hash;
  };
}

/** All rows are of one group. */
function foldBench(format: number, write: WriteValue): (count: number) => number {
  const shape = new RowShape([
    { name: 'sum', typeOid: TYPE.numeric, typmod: -1, format },
    { name: 'payload', typeOid: TYPE.text, typmod: -1, format },
  ]);
  const [{ bytes, starts }] = shards(write);
  return (count) => {
    const fold = made(RowFold.of(shape, [1], ['sum', null], LIMIT_BYTES));
    for (let index = 0; index < count; index++) {
      const row = index % ROWS;
      fold.add(bytes, starts[row] + 5, starts[row + 1]);
    }
    fold.finishSome(null, Number.POSITIVE_INFINITY);
    return fold.rowEnd(0) + fold.rowCount;
  };
}

function distinctBench(write: WriteValue): (count: number) => number {
  const [{ bytes, starts }] = shards(write);
  return (count) => {
    let hash = 0;
    let distinct = made(RowDistinct.of(shapeOf(TYPE.int8, 0), LIMIT_BYTES));
    for (let index = 0; index < count; index++) {
      const row = index % ROWS;
      if (row === 0) distinct = made(RowDistinct.of(shapeOf(TYPE.int8, 0), LIMIT_BYTES));
      if (distinct.take(bytes, starts[row] + 5, starts[row + 1]) === 'new') hash++;
    }
    return hash;
  };
}

/** DISTINCT ON: each row is a group of its own. */
function firstBench(write: WriteValue): (count: number) => number {
  const [{ bytes, starts }] = shards(write);
  const key = { column: 0, isDescending: false, isNullsFirst: false };
  const first = new FirstRows(made(RowOrder.of(shapeOf(TYPE.int8, 0), [key])));
  return (count) => {
    let hash = 0;
    for (let index = 0; index < count; index++) {
      const row = index % ROWS;
      if (!first.isOfLast(bytes, starts[row] + 5, starts[row + 1])) hash++;
    }
    return hash;
  };
}

/** Each row is a group of its own; folded and sorted downwards. */
function sortBench(write: WriteValue): (count: number) => number {
  const shape = shapeOf(TYPE.int8, 0);
  const order = made(RowOrder.of(shape, [{ column: 0, isDescending: true, isNullsFirst: true }]));
  const [{ bytes, starts }] = shards(write);
  return (count) => {
    let hash = 0;
    for (let left = count; left > 0; left -= ROWS) {
      const fold = made(RowFold.of(shape, [0], [null, 'max'], LIMIT_BYTES));
      for (let row = 0; row < Math.min(left, ROWS); row++) fold.add(bytes, starts[row] + 5, starts[row + 1]);
      fold.finishSome(order, Number.POSITIVE_INFINITY);
      hash = (Math.imul(hash, 31) + fold.rowStart(0)) | 0;
    }
    return hash;
  };
}

/** The number of all rows in the place of a shard's: row-totals with count-value. */
function totalsBench(write: WriteValue): (count: number) => number {
  const [{ bytes, starts }] = shards(write);
  const totals = RowTotals.of(shapeOf(TYPE.int8, 0), [0]);
  if (totals === null) throw new Error('a number of rows is int8');
  for (let row = 0; row < SHARDS; row++) totals.addFirst(bytes, starts[row], starts[row + 1]);
  return (count) => {
    let hash = 0;
    for (let index = 0; index < count; index++) {
      const row = index % ROWS;
      const filled = totals.fill(bytes, starts[row], starts[row + 1]);
      if (filled instanceof Uint8Array) hash += filled.length;
    }
    return hash;
  };
}

function limitBench(count: number): number {
  const cut = new LimitCut(count >> 1, count >> 2);
  let passed = 0;
  for (let index = 0; index < count; index++) if (cut.take() === 'pass') passed++;
  return passed;
}

const whole: WriteValue = (writer, row) => writer.value(String(row * 7919));
const wholeBinary: WriteValue = (writer, row) =>
  writer
    .int32(8)
    .int32(0)
    .int32(row * 7919);
const decimal: WriteValue = (writer, row) => writer.value(`${row}.${String(row % 100).padStart(2, '0')}`);
const moment: WriteValue = (writer, row) =>
  writer.value(`${new Date(1.7e12 + row * 1000).toISOString().slice(0, 19).replace('T', ' ')}.25+00`);
const state: WriteValue = (writer, row) => writer.value(LABELS[Math.floor((row * 8) / (SHARDS * ROWS))]);
const words: WriteValue = (writer, row) => writer.value(`customer ${String(row).padStart(9, '0')}`);

export function run({ quick }: { quick: boolean }): MicroResult[] {
  return [
    timeOperations('RowMerge: int8 in text', quick, mergeBench(TYPE.int8, 0, whole)),
    timeOperations('RowMerge: int8 in binary', quick, mergeBench(TYPE.int8, 1, wholeBinary)),
    timeOperations('RowMerge: numeric in text', quick, mergeBench(TYPE.numeric, 0, decimal)),
    timeOperations('RowMerge: timestamptz in text', quick, mergeBench(TYPE.timestamptz, 0, moment)),
    timeOperations('RowMerge: text', quick, mergeBench(TYPE.text, 0, words)),
    timeOperations('RowMerge: enum', quick, mergeBench(ENUM_OID, 0, state)),
    timeOperations('RowFold: sum of numeric in text', quick, foldBench(0, decimal)),
    timeOperations('RowFold: groups of int8, sorted', quick, sortBench(whole)),
    timeOperations('RowDistinct: int8 in text', quick, distinctBench(whole)),
    timeOperations('FirstRows: int8 in text', quick, firstBench(whole)),
    timeOperations('RowTotals: int8 in text', quick, totalsBench(whole)),
    timeOperations('LimitCut', quick, limitBench),
  ];
}
