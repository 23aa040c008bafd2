/** Texts without a statement are answered whatever has become of the transaction over several shards. */
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawPair } from '../../support/raw-pair.js';
import { PGDOG_SCHEMA, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL);
  ${PGDOG_SCHEMA}`;
const EMPTY = ['', ';', ' ; ;', '-- ping', '/* ping */', '-- ping\n;'];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('empty queries', (driver) => {
  let proxy: TestProxy;
  let pair: RawPair;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'item', column: 'id', data_type: 'bigint' }],
    });
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    pair = await RawPair.open(proxy, cluster);
  });
  afterEach(() => pair.close());

  for (const read of ['SELECT count(*) FROM item', 'SELECT n FROM item WHERE id = 1']) {
    for (const isFailed of [false, true]) {
      it(`behind ${read}, ${isFailed ? 'failed' : 'well'}`, async () => {
        for (const text of EMPTY) {
          await pair.same('BEGIN', Q('BEGIN'));
          await pair.same('read', Q(read));
          if (isFailed) await pair.same('fails', Q('SELECT nope'));
          await pair.same(`"${text}"`, Q(text));
          await pair.same(`"${text}" again`, Q(text));
          await pair.same(`"${text}" as a batch`, P('', text), B('', ''), D('P', ''), E(''), S());
          await pair.same(`"${text}" by names`, P('e', text), D('S', 'e'), B('p', 'e'), E('p'), S());
          await pair.same('closed', C('P', 'p'), C('S', 'e'), S());
          await pair.same('what is none', Q('SELECT 1'));
          await pair.same('ROLLBACK', Q('ROLLBACK'));
        }
      });
    }
  }
});
