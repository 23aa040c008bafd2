/** [config_source] on a standby, which takes no LISTEN: read again and again, gone, started without, promoted; kept orders beside it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { sourceTablesSql } from '@pgdog-cluster/core/config';
import { forOneDriver } from '../support/drivers.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { clientOf, eventually, firstValue } from '../support/wire.js';

const folder = mkdtempSync(join(tmpdir(), 'pgdog-standby-source-'));

forOneDriver('a source that is a standby', (ioDriver) => {
  let cluster: ReplicationCluster;
  const started: TestProxy[] = [];

  before(async () => {
    const user = `INSERT INTO pgdog.users (name, password, all_databases) VALUES ('postgres', 'postgres', true)`;
    cluster = await ReplicationCluster.start({ standbyCount: 1, initSql: `${sourceTablesSql()}; ${user}` });
  });
  after(async () => {
    for (const proxy of started) await proxy.stop();
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const add = (name: string, minimum = 0, host = cluster.primary) =>
    host.query(
      `INSERT INTO pgdog.databases (name, host, port, database_name, min_pool_size) VALUES ($1, '127.0.0.1', $2, 'postgres', $3)`,
      [name, host.port, minimum],
    );
  const start = async (through: 'relay' | 'direct' = 'relay'): Promise<TestProxy> => {
    const [standby] = cluster.standbys;
    const { port } = through === 'relay' ? standby.relay : standby;
    const proxy = await startProxy({
      ioDriver,
      workers: 1,
      users: [],
      general: { persist_file: join(folder, 'changes.sql') },
      sections: {
        config_source: {
          postgres: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
          cache_file: join(folder, 'cache'),
          refresh_interval: 300,
        },
      },
    });
    started.push(proxy);
    return proxy;
  };
  const state = async (proxy: TestProxy): Promise<string | undefined> => {
    const [row] = await proxy.adminQuery<Record<string, string>>('SHOW CONFIG_STATUS');
    return row?.['source_state'];
  };
  const becomes = (proxy: TestProxy, wanted: string) =>
    eventually(`it is ${wanted}`, async () => (await state(proxy)) === wanted);
  const comes = (proxy: TestProxy, database: string) =>
    eventually(`${database} is served`, async () => {
      const client = await clientOf(proxy, { database }).catch(() => null);
      await client?.end();
      return client !== null;
    });
  /** Idle connections to the server, by name of the database here. */
  const idle = async (proxy: TestProxy, database: string): Promise<number> => {
    const rows = await proxy.adminQuery<Record<string, string>>('SHOW POOLS');
    return Number(rows.find((row) => row['database'] === database)?.['sv_idle'] ?? -1);
  };

  it('is polled; what is kept stays beside it; a start without it has its copy', async () => {
    await add('first', 2);
    await cluster.untilCaughtUp();
    const proxy = await start();
    await becomes(proxy, 'polling');
    await eventually('its minimum is open', async () => (await idle(proxy, 'first')) === 2);
    await add('second');
    await comes(proxy, 'second');
    await proxy.adminQuery(
      `ADD DATABASE kept host = '127.0.0.1', port = ${cluster.primary.port}, database_name = 'postgres' PERSIST`,
    );
    await comes(proxy, 'kept');
    const client = await clientOf(proxy, { database: 'second' });
    const [standby] = cluster.standbys;
    await standby.relay.close();
    await becomes(proxy, 'down');
    assert.equal(await firstValue(client, 'SELECT 1'), '1');
    await proxy.adminQuery('RELOAD');
    const cached = await start();
    await cached.waitForOutput('its copy of');
    for (const database of ['first', 'second', 'kept']) await comes(cached, database);
    await eventually('its minimum is open', async () => (await idle(cached, 'first')) === 2);
    await client.end();
    for (const each of [proxy, cached]) await each.stop();
  });

  it('is listened to when it has been promoted', async () => {
    const proxy = await start('direct');
    await becomes(proxy, 'polling');
    const [standby] = cluster.standbys;
    await standby.promote();
    await becomes(proxy, 'listening');
    await add('third', 0, standby);
    await comes(proxy, 'third');
    assert.equal(proxy.output.split('cannot be listened to').length, 2, 'told once');
  });
});
