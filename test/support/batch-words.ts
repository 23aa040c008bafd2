/** What scripts of batches are made of: statements, rows of each shard, steps. */
import type { BatchPair, Step } from './batch-pair.js';
import { B, type BindOptions, D, E, P } from './frames.js';

type Value = string | number | null;
export const bound = (values: readonly Value[]): BindOptions => ({
  values: values.map((value) => (value === null ? null : String(value))),
});

/** Parse, Bind, Describe, Execute of the unnamed one. */
export const one = (sql: string, ...values: Value[]): Buffer[] => [
  P('', sql),
  B('', '', bound(values)),
  D('P', ''),
  E(''),
];
/** Bind and Execute of what is prepared. */
export const again = (name: string, ...values: Value[]): Buffer[] => [B('', name, bound(values)), E('')];
export const step = (...parts: (Buffer | Buffer[])[]): Step => ({ frames: parts.flat() });

export const INSERT = 'INSERT INTO thing (id, n, name) VALUES ($1, $2, $3)';
export const UPDATE = 'UPDATE thing SET n = n + $2 WHERE id = $1';
export const DELETE = 'DELETE FROM thing WHERE id = $1';
export const READ = 'SELECT id, n, name FROM thing WHERE id = $1';
export const READ_ALL = 'SELECT id, n, name FROM thing ORDER BY id';
export const UPDATE_ALL = 'UPDATE thing SET n = n + 1';
export const COUNT = 'SELECT count(*), sum(n) FROM thing';
export const SYNTAX = one('SELEC 1');

export const int8 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};

export interface BatchScript {
  name: string;
  steps: (pair: BatchPair) => Step[];
  /** The reason with which it may be refused instead, all of it. */
  mayRefuse?: RegExp;
}

/** One row of each shard is changed. */
export const updates = (pair: BatchPair, index = 0): Buffer[] =>
  [0, 1, 2].flatMap((shard) => one(UPDATE, pair.old(shard, index), 1));
export const inserts = (pair: BatchPair, index = 0): Buffer[] =>
  [0, 1, 2].flatMap((shard) => one(INSERT, pair.fresh(shard, index), 1, `new ${shard}`));
export const duplicate = (pair: BatchPair, shard: number): Buffer[] =>
  one(INSERT, pair.old(shard), 1, 'again');
export const rowOf = (pair: BatchPair, index = 0): Buffer[] =>
  [2, 0, 1].flatMap((shard) => one(READ, pair.old(shard, index)));
export const several = (pair: BatchPair, index = 0): Buffer[] => {
  const values = [0, 1, 2].flatMap((shard) => [pair.fresh(shard, index), pair.fresh(shard, index + 1)]);
  const rows = values.map((_, at) => `($${at + 1}, ${at})`).join(', ');
  return one(`INSERT INTO thing (id, n) VALUES ${rows}`, ...values);
};

export const begun = (name: string, steps: (pair: BatchPair) => Step[], mayRefuse?: RegExp): BatchScript => ({
  name,
  steps,
  ...(mayRefuse === undefined ? {} : { mayRefuse }),
});
export const BEGIN = one('BEGIN');
export const COMMIT = one('COMMIT');
export const ROLLBACK = one('ROLLBACK');
