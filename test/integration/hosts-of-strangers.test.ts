// Users who are not listed, on databases with several hosts; and databases that have only replicas.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { eventually } from '../support/wire.js';

describe('hosts of strangers', () => {
  let cluster: ReplicationCluster;

  before(async () => {
    cluster = await ReplicationCluster.start({ standbyCount: 2 });
    await cluster.primary.query("CREATE ROLE ann LOGIN PASSWORD 'ann-password'");
    await cluster.primary.query("CREATE ROLE bob LOGIN PASSWORD 'bob-password'");
    await cluster.untilCaughtUp();
  });

  after(() => cluster?.stop());

  async function withClient<T>(url: string, run: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await run(client);
    } finally {
      await client.end();
    }
  }

  async function hostsOfReads(proxy: TestProxy, url: string): Promise<Set<string>> {
    const seen = new Set<string>();
    await withClient(url, async (client) => {
      await eventually('reads reach several hosts', async () => {
        const { rows } = await client.query<{ name: string }>(
          "SELECT current_setting('cluster_name') AS name",
        );
        // The first may come before the catalog is known, which says that this only reads.
        if (rows[0].name !== 'primary') seen.add(rows[0].name);
        return seen.size === 2;
      }).catch((error: Error) => assert.fail(`${error.message}: ${[...seen].join()}\n${proxy.output}`));
    });
    return seen;
  }

  it('users whom the servers refuse: no reason to leave a host that serves the others', async () => {
    const strangers = Array.from({ length: 8 }, (_, index) => `stranger${index}`);
    const proxy = await startProxy({
      databases: cluster.databases('auto', 'direct'),
      users: [
        { name: 'ann', password: 'ann-password' },
        ...strangers.map((name) => ({ name, password: 'any' })),
      ],
      startTimeoutMs: 60_000,
    });
    try {
      for (const name of strangers) {
        await assert.rejects(
          withClient(proxy.url('postgres', name, 'any'), (client) => client.query('SELECT 1')),
          /refused the login/,
        );
      }
      const servers = await proxy.adminQuery<{ ban_reason: string }>('SHOW REPLICAS');
      assert.deepEqual(
        servers.map(({ ban_reason }) => ban_reason),
        ['', '', ''],
      );
      assert.deepEqual(await proxy.adminQuery('SHOW BANS'), []);
    } finally {
      await proxy.stop();
    }
  });

  it('auth_query: a pool per host, and the question goes to a host that works', async () => {
    const [first, second, third] = cluster.databases('fixed', 'relay');
    const proxy = await startProxy({
      // The one that will be gone stands first.
      databases: [second, third, first],
      users: [],
      startTimeoutMs: 60_000,
      general: {
        auth_user: 'postgres',
        auth_password: 'postgres',
        read_write_split: 'exclude_primary',
        auth_query_cache_ttl: 0,
        connect_timeout: 1_000,
      },
    });
    try {
      const seen = await hostsOfReads(proxy, proxy.url('postgres', 'ann', 'ann-password'));
      assert.deepEqual([...seen].sort(), ['standby1', 'standby2']);
      const pools = await proxy.adminQuery<{ user: string; port: string }>('SHOW POOLS');
      assert.deepEqual(
        pools.map(({ user }) => user),
        ['ann', 'ann', 'ann'],
      );
      await cluster.host('standby1').relay.cut();
      const answer = await withClient(proxy.url('postgres', 'bob', 'bob-password'), async (client) => {
        const { rows } = await client.query<{ user: string }>('SELECT current_user AS user');
        return rows[0].user;
      });
      assert.equal(answer, 'bob');
    } finally {
      await cluster.host('standby1').relay.mend();
      await proxy.stop();
    }
  });

  it('passthrough: the first user who logs in makes roles known', async () => {
    const proxy = await startProxy({
      databases: cluster.databases('auto', 'relay'),
      users: [],
      startTimeoutMs: 60_000,
      general: { passthrough_auth: 'enabled_plain', read_write_split: 'exclude_primary' },
    });
    try {
      await proxy.waitForOutput('answers, but cannot be asked for its role and lag');
      const seen = await hostsOfReads(proxy, proxy.url('postgres', 'ann', 'ann-password'));
      assert.deepEqual([...seen].sort(), ['standby1', 'standby2']);
      await withClient(proxy.url('postgres', 'ann', 'ann-password'), (client) =>
        client.query('CREATE TEMP TABLE written (i int)'),
      );
    } finally {
      await proxy.stop();
    }
  });

  it('a database of replicas is read-only, and says so at once', async () => {
    const [, ...replicas] = cluster.databases('fixed', 'relay');
    const proxy = await startProxy({ databases: replicas, startTimeoutMs: 60_000 });
    try {
      await withClient(proxy.url(), async (client) => {
        assert.equal((await client.query('SELECT 1')).rowCount, 1);
        await assert.rejects(client.query('CREATE TABLE nowhere (i int)'), { code: '25006' });
        assert.equal((await client.query('SELECT 2')).rowCount, 1);
      });
    } finally {
      await proxy.stop();
    }
  });
});
