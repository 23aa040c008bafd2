import { setTimeout as sleep } from 'node:timers/promises';
import type { CatalogRelation } from '@pgdog-cluster/core';
import { reasonOf } from '../catalog/shard-login.js';
import type { CopyReader, CopySummary } from './copy-reader.js';

/**
 * `changing`: its copies were written all the while. `unread`: some shard could not be asked. Of one that is on the way from
 * shard to shard (a commit that recovery is to end) copies do differ until it has come.
 */
export type CopyState = 'same' | 'differs' | 'changing' | 'unread';

/** A table that every shard has whole. */
export interface CopyRow {
  readonly schema: string;
  readonly name: string;
  readonly state: CopyState;
  /** By shard; null: it could not be asked. */
  readonly copies: readonly (CopySummary | null)[];
  /** Why a shard could not be asked; '' else. */
  readonly reason: string;
}

export interface CompareOptions {
  relations: readonly CatalogRelation[];
  shardCount: number;
  /** Rejects with why it cannot be asked. */
  open: (shard: number) => Promise<CopyReader>;
  /** Between two readings of what differs: a write is on one shard before it is on the next. */
  pauseMs?: number;
}

const PAUSE_MS = 1_000;
/** Of a table that differs, before it is called changing. */
const READINGS_MAX = 5;

/** Reads every table that is whole on each shard. Those that differ are read again, until they stand still. */
export async function compareCopies({
  relations,
  shardCount,
  open,
  pauseMs = PAUSE_MS,
}: CompareOptions): Promise<CopyRow[]> {
  const numbers = Array.from({ length: shardCount }, (_, shard) => shard);
  const opened = await Promise.allSettled(numbers.map((shard) => open(shard)));
  const readers = opened.map((one) => (one.status === 'fulfilled' ? one.value : reasonOf(one.reason)));
  try {
    const rows: CopyRow[] = [];
    for (const relation of wholeTables(relations)) rows.push(await readCopies(readers, relation));
    for (let reading = 2; reading <= READINGS_MAX && rows.some(isUnsettled); reading++) {
      await sleep(pauseMs);
      for (const [index, row] of rows.entries()) {
        if (isUnsettled(row)) rows[index] = settled(row, await readCopies(readers, row));
      }
    }
    return rows;
  } finally {
    await Promise.all(readers.map((reader) => (typeof reader === 'string' ? null : reader.close())));
  }
}

/** Partitions and children are read with their parents. */
export function wholeTables(relations: readonly CatalogRelation[]): CatalogRelation[] {
  const tables = relations.filter(
    ({ placement, kind }) => placement === 'omni' && (kind === 'table' || kind === 'partitioned'),
  );
  const known = new Set(tables.map(({ schema, name }) => `${schema}\0${name}`));
  return tables.filter(({ parents }) => !parents.some(([schema, name]) => known.has(`${schema}\0${name}`)));
}

const isUnsettled = ({ state }: CopyRow): boolean => state === 'changing';

async function readCopies(
  readers: readonly (CopyReader | string)[],
  { schema, name }: Pick<CatalogRelation, 'schema' | 'name'>,
): Promise<CopyRow> {
  const read = await Promise.allSettled(
    readers.map(async (reader) => {
      if (typeof reader === 'string') throw new Error(reader);
      return reader.summary(schema, name);
    }),
  );
  const copies = read.map((one) => (one.status === 'fulfilled' ? one.value : null));
  const failed = read.findIndex(({ status }) => status === 'rejected');
  if (failed >= 0) {
    const { reason } = read[failed] as PromiseRejectedResult;
    const text = reasonOf(reason);
    const where = text.startsWith('shard ') ? text : `shard ${failed}: ${text}`;
    return { schema, name, state: 'unread', copies, reason: where };
  }
  const isSame = copies.every((copy) => isEqual(copy, copies[0]));
  return { schema, name, state: isSame ? 'same' : 'changing', copies, reason: '' };
}

/** It differs where nothing has been written between two readings, and they do not agree. */
function settled(before: CopyRow, now: CopyRow): CopyRow {
  const stands = now.state === 'changing' && now.copies.every((copy, at) => isEqual(copy, before.copies[at]));
  return stands ? { ...now, state: 'differs' } : now;
}

const isEqual = (one: CopySummary | null, other: CopySummary | null): boolean =>
  one?.rows === other?.rows && one?.checksum === other?.checksum;
