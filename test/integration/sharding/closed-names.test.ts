/** Names of portals that writes over several shards were bound to, in a transaction: closed, they are free on all shards. */
import { after, before, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawPair } from '../../support/raw-pair.js';
import { PGDOG_SCHEMA, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE e (id bigint PRIMARY KEY, n int);
  ${PGDOG_SCHEMA}`;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('portals by name', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'e', column: 'id', data_type: 'bigint' }],
    });
  });
  after(() => proxy.stop());

  it('a name that was closed is free', async () => {
    const pair = await RawPair.open(proxy, cluster);
    await pair.same('BEGIN', Q('BEGIN'));
    await pair.same(
      'chain',
      P('', 'COMMIT AND CHAIN'),
      B('p1', ''),
      D('P', 'p1'),
      E('p1', 2),
      C('P', 'p1'),
      S(),
    );
    const first = [
      P('a2', 'TRUNCATE e'),
      B('', 'a2'),
      E(''),
      C('P', ''),
      B('p1', 'a2'),
      E('p1'),
      C('P', 'p1'),
    ];
    await pair.same('twice', ...first, C('S', 'a2'), P('a2', 'SELECT 5'), B('', 'a2'), E('', 2), S());
    await pair.same('again', P('', 'SELECT 2'), B('p1', ''), E('p1'), S());
    await pair.same('ROLLBACK', Q('ROLLBACK'));
    pair.close();
  });

  it('closed by a batch of its own, and with a statement of one shard', async () => {
    const pair = await RawPair.open(proxy, cluster);
    const bound = [P('', 'UPDATE e SET n = 1'), B('p', ''), E('p')];
    const closes = [[S()], [P('', 'SELECT 1'), B('', ''), E(''), S()]];
    for (const close of closes) {
      await pair.same('BEGIN', Q('BEGIN'));
      for (let turn = 0; turn < 2; turn++) {
        await pair.same('bound', ...bound, S());
        await pair.same('closed', C('P', 'p'), ...close);
      }
      for (let id = 1; id < 9; id++) {
        const read = P('', `SELECT n FROM e WHERE id = ${id}`);
        await pair.same('on each shard', read, B('p', ''), E('p'), C('P', 'p'), S());
      }
      await pair.same('COMMIT', Q('COMMIT'));
    }
    pair.close();
  });
});
