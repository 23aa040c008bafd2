/** Statements that were prepared, over several shards that are asked another text: frame by frame as one Postgres answers. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import { told } from '../../support/batch-pair.js';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, type Frame, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { PGDOG_SCHEMA, SHOP, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE c (id bigint PRIMARY KEY, name text COLLATE "C", grp int, ts timestamptz);
  ${PGDOG_SCHEMA}
  CREATE TABLE by_hash (k bigint) PARTITION BY HASH (k);`;
const TIMEOUT_MS = 60_000;
const TIMED = [
  'SELECT id, now() IS NOT NULL FROM c ORDER BY id LIMIT 1',
  'SELECT id, ts < now() AS old FROM c ORDER BY id DESC LIMIT 2',
  'SELECT id FROM c WHERE ts < now() ORDER BY id LIMIT 2',
  'SELECT DISTINCT grp, ts < now() FROM c WHERE grp = 2',
  'SELECT grp, count(*) FROM c WHERE ts < now() GROUP BY grp ORDER BY grp',
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  await cluster.everywhere(
    `INSERT INTO c SELECT n, 'n' || n, n % 5, '2020-01-01' FROM generate_series(1, 60) n`,
  );
  for (let shard = 0; shard < cluster.shardCount; shard++) {
    const isElsewhere = `NOT satisfies_hash_partition('by_hash'::regclass, 3, ${shard}, id)`;
    await cluster.shard(shard, `DELETE FROM c WHERE ${isElsewhere}`);
  }
});
after(() => cluster.stop());

forEachDriver('prepared statements over several shards', (driver) => {
  let proxy: TestProxy;
  let ours: RawClient;
  let theirs: RawClient;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'c', column: 'id', data_type: 'bigint' }],
    });
  });
  after(async () => {
    for (const each of [ours, theirs]) each.destroy();
    await proxy.stop();
  });
  beforeEach(async () => {
    for (const each of [ours, theirs]) each?.destroy();
    const login = { user: 'postgres', password: 'postgres', timeoutMs: TIMEOUT_MS };
    ours = await RawClient.connect({ ...login, port: proxy.port, database: SHOP });
    theirs = await RawClient.connect({ ...login, port: cluster.server.port, database: 'reference' });
  });

  const answer = async (raw: RawClient, frames: Buffer[]): Promise<string[]> => {
    raw.send(...frames);
    const list: Frame[] = [];
    do list.push(await raw.readFrame(TIMEOUT_MS));
    while (list.at(-1)?.type !== 'Z');
    return told(list);
  };
  /** The same from both. @returns types of the frames in short */
  const both = async (...frames: Buffer[]): Promise<string> => {
    const [own, others] = await Promise.all([answer(ours, frames), answer(theirs, frames)]);
    assert.deepEqual(own, others);
    return own
      .map(([type]) => type)
      .join('')
      .replace(/D+/g, 'D');
  };

  /** What follows an open transaction over several shards, in which one time is told to all of them. */
  const begin = async (): Promise<void> => {
    await both(Q('BEGIN'));
    await both(Q('SELECT count(*) FROM c'));
  };

  for (const isInside of [false, true]) {
    const where = isInside ? 'in a transaction' : 'outside of transactions';
    for (const sql of TIMED) {
      it(`with the time in it, ${where}: ${sql}`, async () => {
        if (isInside) await begin();
        assert.equal(await both(P('x', sql), S()), '1Z');
        for (const format of [0, 1]) {
          const bind = B('', 'x', { resultFormats: [format] });
          assert.equal(await both(bind, E(''), S()), '2DCZ');
          assert.equal(await both(D('S', 'x'), bind, E(''), S()), 'tT2DCZ');
          assert.equal(await both(bind, D('P', ''), E(''), S()), '2TDCZ');
        }
        assert.equal(await both(D('S', 'x'), S()), 'tTZ');
        assert.equal(await both(B('', 'x'), E(''), S()), '2DCZ');
        assert.equal(await both(P('', sql), B('', ''), E(''), S()), '12DCZ');
        assert.equal(await both(P('y', sql), D('S', 'y'), B('', 'y'), E(''), S()), '1tT2DCZ');
        assert.equal(await both(P('z', sql), D('S', 'z'), H(), B('', 'z'), E(''), S()), '1tT2DCZ');
        await both(C('S', 'x'), C('S', 'y'), S());
        if (isInside) await both(Q('COMMIT'));
      });
    }
  }
});
