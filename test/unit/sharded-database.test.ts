/** What a worker makes of the rules and the catalog of a sharded database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShardingSnapshot } from '@pgdog-cluster/core';
import { ShardedDatabase } from '@pgdog-cluster/worker';
import { catalog, compare, sharding } from '../support/raw-catalogs.js';

const context = { config: { general: { shardLookupBytes: 0 } }, tell() {} };
type Said = ShardingSnapshot['commit'];
/** @param preparedMax by shard; null: the catalogs have not been read */
const commitOf = (commit: Said, preparedMax: readonly number[] | null): string => {
  const rules = sharding([], { commit, shardCount: 2 });
  const database = new ShardedDatabase(context as never, 'shop', rules);
  const shards = preparedMax?.map((each) => catalog([], { preparedMax: each }));
  if (shards !== undefined) database.takeUp(rules, { ...compare(shards), version: 1 });
  return database.commitMode;
};

test('how to commit is what is said, else what the catalog says of the servers; it is tried as long as that is not known', () => {
  assert.equal(commitOf('as_allowed', [10, 10]), 'two_phase');
  assert.equal(commitOf('as_allowed', [10, 0]), 'refused');
  assert.equal(commitOf('as_allowed', [0, 0]), 'refused');
  assert.equal(commitOf('as_allowed', null), 'two_phase');
  for (const said of ['two_phase', 'plain'] as const) {
    assert.equal(commitOf(said, [10, 10]), said);
    assert.equal(commitOf(said, [0, 0]), said);
    assert.equal(commitOf(said, null), said);
  }
});
