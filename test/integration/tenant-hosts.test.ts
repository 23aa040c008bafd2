// A pattern with a primary and replicas: each tenant has the hosts, and what is known of them.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { startRoutedProxy, whereOf } from '../support/routed-proxy.js';
import { clientOf, eventually, firstValue } from '../support/wire.js';

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({ standbyCount: 1 });
  for (const name of ['tenant_a', 'tenant_b']) await cluster.primary.query(`CREATE DATABASE ${name}`);
});
after(() => cluster?.stop());

forOneDriver('hosts of tenants', (driver) => {
  for (const roles of ['fixed', 'auto'] as const) {
    it(`reads go to the replica, writes to the primary (roles ${roles})`, async () => {
      const proxy = await startRoutedProxy(cluster, driver, {
        roles,
        database: { name: 'tenant_*', database_name: '{name}' },
        users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
        general: { tenant_idle_timeout: 500, idle_timeout: 200, read_your_writes: 'off' },
      });
      try {
        for (let round = 0; round < 2; round++) {
          for (const database of ['tenant_a', 'tenant_b']) {
            const client = await clientOf(proxy, { database });
            await eventually('a read is served by the replica', async () => {
              return (await whereOf(client)) === cluster.hosts[1].name;
            });
            assert.equal(await firstValue(client, 'SELECT current_database()'), database);
            await firstValue(client, 'CREATE TABLE IF NOT EXISTS t (n int)');
            assert.equal(
              await firstValue(client, 'WITH i AS (INSERT INTO t VALUES (1) RETURNING n) SELECT n FROM i'),
              '1',
            );
            await client.end();
          }
          await eventually('they are forgotten', async () => {
            const [row] = await proxy.adminQuery('SHOW TENANTS');
            return row?.['tenants'] === '0';
          });
          const replicas = await proxy.adminQuery('SHOW REPLICAS');
          assert.equal(replicas.length, 2, 'the hosts are those of the pattern, and stay');
        }
      } finally {
        await proxy.stop();
      }
    });
  }
});
