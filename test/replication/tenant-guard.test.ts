/** [multi_tenant] over several hosts: what is refused goes to none of them, and what passes is routed as ever. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { B, E, P, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { startRoutedProxy, untilStandbysServe } from '../support/routed-proxy.js';
import { clientOf, run, sqlstateOf } from '../support/wire.js';

const HOST = "current_setting('cluster_name')";

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({
    initSql: `CREATE TABLE orders (tenant_id int, id int);
      INSERT INTO orders SELECT t, n FROM generate_series(1, 2) t, generate_series(1, 3) n;`,
  });
});
after(() => cluster.stop());

/** Server connections, of all hosts, whose last statement has this word in it. */
async function seenBy(word: string): Promise<string[]> {
  const sql = `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%${word}%' AND pid <> pg_backend_pid()`;
  const counts = await Promise.all(cluster.hosts.map((host) => host.value(sql)));
  return cluster.hosts.map(({ name }) => name).filter((_, index) => counts[index] !== '0');
}

forEachDriver('tenant guard over several hosts', (driver) => {
  let proxy: TestProxy;
  let client: RawClient;
  before(async () => {
    proxy = await startRoutedProxy(cluster, driver, {
      general: { read_write_split: 'exclude_primary', read_your_writes: 'lsn' },
      sections: { multi_tenant: { column: 'tenant_id' } },
    });
    await untilStandbysServe(proxy, cluster);
    client = await clientOf(proxy);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });

  it('reads of one tenant go to standbys, writes to the primary', async () => {
    const read = await client.query(`SELECT ${HOST}, count(*) FROM orders WHERE tenant_id = 1`);
    assert.equal(read.error, null);
    assert.notEqual(read.rows[0][0], 'primary');
    assert.equal(read.rows[0][1], '3');
    const write = await client.query(`UPDATE orders SET id = id WHERE tenant_id = 2 RETURNING ${HOST}`);
    assert.deepEqual(
      write.rows.map(([host]) => host),
      ['primary', 'primary', 'primary'],
    );
  });

  const extended = (sql: string) => {
    client.send(P('', sql), B('', ''), E(''), S());
    return client.readUntilReady(1);
  };
  const simple = (sql: string) => client.query(sql);
  for (const [what, send, around] of [
    ['a query', simple, []],
    ['an extended query', extended, []],
    ['a query within a transaction', simple, ['BEGIN', 'ROLLBACK']],
    ['an extended query within a transaction', extended, ['BEGIN', 'ROLLBACK']],
  ] as [string, typeof simple, string[]][]) {
    it(`${what} of every tenant is refused, and no host has seen it`, async () => {
      for (const sql of ['SELECT * FROM orders', 'UPDATE orders SET id = 0', 'DELETE FROM orders']) {
        await run(client, ...around.slice(0, 1));
        assert.equal(sqlstateOf(await send(`${sql} /* forbidden */`)), '42501', sql);
        assert.deepEqual(await seenBy('forbidden'), []);
        await run(client, ...around.slice(1));
      }
      // What passes is seen, so the question can find something.
      const { rows } = await send('SELECT count(*) FROM orders WHERE tenant_id = 1 /* permitted */');
      assert.equal(rows[0][0], '3');
      assert.notDeepEqual(await seenBy('permitted'), []);
    });
  }
});
