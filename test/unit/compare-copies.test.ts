/** What is said of tables that every shard has whole, by what shards answer, reading for reading. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CatalogRelation } from '@pgdog-cluster/core';
import { type CopyReader, type CopySummary, compareCopies, wholeTables } from 'pgdog-cluster';

const relation = (name: string, more: Partial<CatalogRelation> = {}): CatalogRelation => ({
  schema: 'public',
  name,
  kind: 'table',
  placement: 'omni',
  columns: [],
  keyColumn: -1,
  rule: -1,
  viewText: null,
  parents: [],
  uniques: [],
  foreignKeys: [],
  hasTriggers: false,
  hasRules: false,
  hasRowSecurity: false,
  ...more,
});

/** Answers of one shard, the last one for ever. */
type Script = readonly (string | Error)[];

async function compare(scripts: readonly (Script | Error)[]) {
  const open: string[] = [];
  const rows = await compareCopies({
    relations: [relation('t')],
    shardCount: scripts.length,
    pauseMs: 0,
    open: async (shard): Promise<CopyReader> => {
      const script = scripts[shard];
      if (script instanceof Error) throw script;
      const name = `reader ${shard}`;
      open.push(name);
      let reading = 0;
      return {
        summary: async (): Promise<CopySummary> => {
          const answer = script[Math.min(reading++, script.length - 1)];
          if (answer instanceof Error) throw answer;
          return { rows: '1', checksum: answer };
        },
        close: async () => void open.splice(open.indexOf(name), 1),
      };
    },
  });
  assert.deepEqual(open, [], 'readers that were left open');
  return rows[0];
}

test('the same at once, differing at rest, and a write on its way', async () => {
  assert.equal((await compare([['a'], ['a'], ['a']])).state, 'same');
  const odd = await compare([['a'], ['b'], ['a']]);
  assert.equal(odd.state, 'differs');
  assert.deepEqual(
    odd.copies.map((copy) => copy?.checksum),
    ['a', 'b', 'a'],
  );
  assert.equal((await compare([['a', 'b'], ['b']])).state, 'same');
});

test('what is written while it is read is read again, and is changing when that never ends', async () => {
  assert.equal((await compare([['a', 'b', 'c', 'd', 'e', 'f'], ['z']])).state, 'changing');
  // It stands still from the fourth reading on.
  assert.equal((await compare([['a', 'b', 'c', 'd'], ['z']])).state, 'differs');
  assert.equal((await compare([['a', 'b', 'c', 'd', 'z'], ['z']])).state, 'same');
});

test('a shard that cannot be asked, at first or in between', async () => {
  const never = await compare([['a'], new Error('shard 1: ECONNREFUSED')]);
  assert.deepEqual([never.state, never.reason], ['unread', 'shard 1: ECONNREFUSED']);
  assert.deepEqual(never.copies, [{ rows: '1', checksum: 'a' }, null]);
  const later = await compare([['a'], ['b', new Error('permission denied for table t')]]);
  assert.deepEqual([later.state, later.reason], ['unread', 'shard 1: permission denied for table t']);
});

test('tables that every shard has whole: no view, no sequence, no part of another', () => {
  const relations = [
    relation('t'),
    relation('p', { kind: 'partitioned' }),
    relation('p1', { parents: [['public', 'p']] }),
    relation('child', { parents: [['other', 'x']] }),
    relation('v', { kind: 'view', placement: 'view' }),
    relation('s', { kind: 'sequence' }),
    relation('f', { kind: 'foreignTable' }),
    relation('k', { placement: 'sharded' }),
  ];
  assert.deepEqual(
    wholeTables(relations).map(({ name }) => name),
    ['t', 'p', 'child'],
  );
});
