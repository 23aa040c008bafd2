// EXPLAIN (PGDOG) tells where a statement would go, for the reason for which it then does go there, and changes no turn.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { eventually } from '../support/wire.js';

let cluster: ReplicationCluster;
let proxy: TestProxy;
const clients: pg.Client[] = [];
before(async () => {
  cluster = await ReplicationCluster.start({
    initSql: `CREATE TABLE item (id int PRIMARY KEY, name text);
      CREATE TABLE log (id int);
      CREATE VIEW place AS SELECT current_setting('cluster_name') AS host;
      CREATE FUNCTION note(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (n) RETURNING id';
      CREATE FUNCTION label(n int) RETURNS int LANGUAGE sql STABLE AS 'SELECT n'`,
  });
  proxy = await startProxy({
    workers: 1,
    databases: cluster.databases('fixed', 'direct'),
    general: {
      load_balancing_strategy: 'round_robin',
      read_write_split: 'exclude_primary',
      read_your_writes: 'off',
    },
  });
});
after(async () => {
  for (const client of clients) await client.end().catch(() => {});
  await proxy.stop();
  await cluster.stop();
});

const connect = async (): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: proxy.url() });
  await client.connect();
  clients.push(client);
  return client;
};
type Report = Record<string, string> & {
  hosts: string[];
  session: string[];
  functions: string[];
  relations: string[];
};
const explain = async (client: pg.Client, sql: string): Promise<Report> => {
  const { rows } = await client.query(`EXPLAIN (PGDOG, FORMAT JSON) ${sql}`);
  return JSON.parse(rows[0]['QUERY PLAN'])[0];
};
const hostOf = async (client: pg.Client): Promise<string> =>
  (await client.query('SELECT host FROM place')).rows[0].host;
const portOf = (name: string) => String(cluster.host(name).server.port);

it('says by chance or by turn what is done next, and takes no turn', async () => {
  const client = await connect();
  await eventually('reads go to both replicas', async () => {
    const hosts = [await hostOf(client), await hostOf(client)];
    return hosts.sort().join() === 'standby1,standby2';
  });
  for (let i = 0; i < 6; i++) {
    const reports = [];
    for (let j = 0; j < 3; j++) reports.push(await explain(client, 'SELECT host FROM place'));
    assert.deepEqual(new Set(reports.map(({ chosen }) => chosen)).size, 1);
    assert.equal(reports[0].wish, 'read (SELECT)');
    assert.match(reports[0].chosen, new RegExp(`:${portOf(await hostOf(client))}$`));
    assert.match(reports[0].hosts[0], /primary.*-> not by read_write_split = exclude_primary/);
  }
});

it('says what the catalog says', async () => {
  const client = await connect();
  const read = await explain(client, 'SELECT label(id) FROM item');
  assert.deepEqual(read.functions, ['label (may run on a replica)']);
  assert.deepEqual(read.relations, ['item (may run on a replica)']);
  const write = await explain(client, 'SELECT note(id) FROM item');
  assert.equal(write.access, 'read');
  assert.match(write.catalog, /calls note\(\), which may be VOLATILE/);
  assert.match(write.chosen, new RegExp(`:${portOf('primary')}$`));
  assert.match(write.hosts[1], /not the primary/);
  assert.equal((await client.query('SELECT count(*)::int AS n FROM log')).rows[0].n, 0);
});

it('pgdog-cluster route --connect asks the catalog of the primary', () => {
  const { resolve } = createRequire(import.meta.url);
  const command = join(dirname(resolve('pgdog-cluster/package.json')), 'bin', 'pgdog-cluster.js');
  const files = ['-c', join(proxy.directory, 'pgdog.toml'), '-u', join(proxy.directory, 'users.toml')];
  const wishOf = (sql: string): string => {
    const out = execFileSync(process.execPath, [command, 'route', ...files, '--connect', '--json', sql], {
      encoding: 'utf8',
    });
    return JSON.parse(out)[0].wish;
  };
  assert.equal(wishOf('SELECT note(id) FROM item'), 'primary (calls note(), which may be VOLATILE)');
  assert.equal(wishOf('SELECT label(id) FROM item'), 'read (SELECT)');
});

it('says what of the session matters', async () => {
  const client = await connect();
  await client.query("SET pgdog.role = 'primary'");
  assert.match((await explain(client, 'SELECT 1')).wish, /^primary \(asked for the primary\)/);
  assert.equal(
    (await explain(client, 'SELECT 1 /* pgdog_role: replica */')).wish,
    'replica (asked for a replica)',
  );
  assert.match((await explain(client, 'SELECT 1 /* pgdog_role: king */')).refused, /primary or replica/);
  await client.query('RESET pgdog.role');
  await client.query('BEGIN READ ONLY');
  const held = await explain(client, 'SELECT 1');
  assert.match(held.session.join(), /transaction begun READ ONLY/);
  assert.equal(held.wish, 'read (read only)');
  await client.query('SELECT 1');
  assert.match((await explain(client, 'SELECT 1')).chosen, /where the session's server connection is/);
  await client.query('COMMIT');
});

it('says why a host is out of use', async () => {
  const client = await connect();
  const [standby] = cluster.standbys;
  await standby.kill();
  const place = `:${standby.server.port}:`;
  const line = async () =>
    (await explain(client, 'SELECT 1')).hosts.find((host) => host.includes(place)) ?? '';
  await eventually('the dead standby is out of use', async () => {
    await client.query('SELECT 1');
    return /(banned|connecting fails).*-> out of use/.test(await line());
  });
});
