/**
 * Dividing the data of COPY FROM STDIN among three legs; an operation is one row. copy-splitter with line-cutter or
 * binary-cutter over row-cutter and copy-frames; copy-key with field-reader, unescape-field and unquote-field; time-word.
 * What copy-in does beside that is once per 32 KB of rows.
 */
import { type CopyLayout, CopySplitter, ShardFunction, type ShardRule } from '@pgdog-cluster/core';
import { type MicroResult, timeOperations } from './time-operations.js';

const SHARDS = 3;
const ROWS = 1000;
/** What one receive brings. */
const PIECE_BYTES = 16 * 1024;

const RULE: ShardRule = {
  schema: null,
  table: 'item',
  column: 'id',
  keyType: 'int8',
  function: 'hash',
  mapping: [],
  lookupQuery: null,
  lookupResult: 'shard',
};

const TEXT: CopyLayout = {
  format: 'text',
  delimiter: 9,
  quote: 34,
  escape: 34,
  nullText: '\\N',
  defaultText: null,
  hasHeader: false,
  encoding: null,
  columnCount: 3,
  key: {
    rule: 0,
    label: 'item.id',
    index: 0,
    charactersMax: Number.POSITIVE_INFINITY,
    isNullForced: false,
    isNullBarred: false,
  },
  times: [],
};
const CSV: CopyLayout = { ...TEXT, format: 'csv', delimiter: 44, nullText: '' };
const NOTE = 'sixty bytes of text, which is about what a short row may have';

const lines = (write: (row: number) => string): Buffer =>
  Buffer.from(Array.from({ length: ROWS }, (_, row) => write(row)).join(''));

function binaryRows(): Buffer {
  const rows: Buffer[] = [];
  for (let row = 0; row < ROWS; row++) {
    const bytes = Buffer.alloc(2 + 12 + 8 + 4 + NOTE.length);
    bytes.writeInt16BE(3);
    bytes.writeInt32BE(8, 2);
    bytes.writeBigInt64BE(BigInt(row * 7919), 6);
    bytes.writeInt32BE(4, 14);
    bytes.writeInt32BE(row, 18);
    bytes.writeInt32BE(NOTE.length, 22);
    bytes.write(NOTE, 26);
    rows.push(bytes);
  }
  return Buffer.concat(rows);
}

function splitBench(layout: CopyLayout, head: Buffer, data: Buffer): (count: number) => number {
  let hash = 0;
  const splitter = new CopySplitter(
    SHARDS,
    layout,
    new ShardFunction(RULE, SHARDS),
    false,
    (leg, _, start, end) => {
      hash = (Math.imul(hash, 31) + leg * 65536 + end - start) | 0;
    },
  );
  splitter.feed(head, 0, head.length);
  return (count) => {
    for (let left = count; left > 0; left -= ROWS) {
      for (let at = 0; at < data.length; at += PIECE_BYTES)
        splitter.feed(data, at, Math.min(data.length, at + PIECE_BYTES));
    }
    if (splitter.problem !== null) throw new Error(splitter.problem.text);
    return hash;
  };
}

export function run({ quick }: { quick: boolean }): MicroResult[] {
  const text = lines((row) => `${row * 7919}\t${row}\t${NOTE}\n`);
  const marked = lines((row) => `${row}\t\\x31${row}\t${NOTE}\\n\n`);
  const quoted = lines((row) => `"${row * 7919}",${row},"${NOTE} ""quoted"""\n`);
  const times = lines((row) => `${row * 7919}\t2024-01-01 12:00:00+00\t${NOTE}\n`);
  const head = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
  const none = Buffer.alloc(0);
  const second = TEXT.key === null ? null : { ...TEXT.key, index: 1 };
  const bench = (name: string, layout: CopyLayout, data: Buffer, before = none): MicroResult =>
    timeOperations(`copy-splitter: ${name}`, quick, splitBench(layout, before, data));
  return [
    bench('text, the key first', TEXT, text),
    bench('text, the second field is an escaped key', { ...TEXT, key: second }, marked),
    bench('text, a time behind the key', { ...TEXT, times: [1] }, times),
    bench('csv, all quoted', CSV, quoted),
    bench('binary', { ...TEXT, format: 'binary' }, binaryRows(), head),
  ];
}
