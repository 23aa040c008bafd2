/** What a worker makes of the rules and the catalog of a sharded database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShardCatalogData } from '@pgdog-cluster/core';
import { ShardedDatabase } from '@pgdog-cluster/worker';
import { catalog, compare, sharding } from '../support/raw-catalogs.js';

const context = { config: { general: { shardLookupBytes: 0 } }, tell() {} };
const commitOf = (commit: 'two_phase' | 'plain' | 'refused', preparedMax: readonly number[]): string => {
  const rules = sharding([], { commit, shardCount: 2 });
  const shards = preparedMax.map((each) => catalog([], { preparedMax: each }));
  const data: ShardCatalogData = { ...compare(shards), version: 1 };
  const database = new ShardedDatabase(context as never, 'shop', rules);
  database.takeUp(rules, data);
  assert.deepEqual(database.configured, rules);
  return database.sharding.commit;
};

test('what the servers allow is known with the catalog, be the configuration as old as it may', () => {
  assert.equal(commitOf('refused', [10, 10]), 'two_phase');
  assert.equal(commitOf('refused', [10, 0]), 'refused');
  assert.equal(commitOf('refused', [0, 0]), 'refused');
  for (const said of ['two_phase', 'plain'] as const) {
    assert.equal(commitOf(said, [10, 10]), said);
    assert.equal(commitOf(said, [0, 0]), said);
  }
});
