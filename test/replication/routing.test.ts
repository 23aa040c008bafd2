// Which host a statement reaches, by what it says and by what its session did before: on a real primary with two standbys.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import postgres from 'postgres';
import { forOneDriver } from '../support/drivers.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { eventually } from '../support/wire.js';

const WHERE = 'SELECT host FROM place';
const STANDBYS = ['standby1', 'standby2'];

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({
    initSql: `CREATE TABLE item (id int PRIMARY KEY, name text);
      INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 100) AS n;
      CREATE VIEW place AS SELECT current_setting('cluster_name') AS host;
      CREATE VIEW setting AS SELECT current_setting('TimeZone') AS zone, current_setting('app.tenant', true) AS tenant;
      CREATE TABLE log (id int);
      CREATE FUNCTION note(n int) RETURNS text LANGUAGE sql AS
        'INSERT INTO log VALUES (n); SELECT current_setting(''cluster_name'')';
      CREATE FUNCTION label(n int) RETURNS text LANGUAGE sql STABLE AS 'SELECT current_setting(''cluster_name'')'`,
  });
});
after(() => cluster.stop());

async function host(client: pg.Client, sql = WHERE): Promise<string> {
  const { rows } = await client.query(sql);
  return Object.values(rows[0] as Record<string, string>)[0];
}

/** Where so many reads in a row went. */
async function spread(client: pg.Client, count: number, sql = WHERE): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const name = await host(client, sql);
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  return seen;
}

forOneDriver('routing', (ioDriver) => {
  let proxy: TestProxy;
  const clients: pg.Client[] = [];
  before(async () => {
    proxy = await startProxy({
      ioDriver,
      workers: 2,
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
    assert.equal(await proxy.stop(), 0);
  });
  it('once the catalog has been read, reads reach a replica', async () => {
    // Each worker reads it for itself.
    const isOnReplica = async () => STANDBYS.includes(await host(await connect()));
    for (let i = 0; i < 4; i++) await eventually('reads go to replicas', isOnReplica);
  });

  const connect = async (options = ''): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: proxy.url(), options });
    await client.connect();
    clients.push(client);
    return client;
  };

  it('reads go round the replicas, writes to the primary', async () => {
    const client = await connect();
    const seen = await spread(client, 20);
    assert.deepEqual([...seen.keys()].sort(), STANDBYS);
    assert.deepEqual([...seen.values()], [10, 10]);
    const { rows } = await client.query(
      "INSERT INTO log VALUES (1) RETURNING current_setting('cluster_name') AS host",
    );
    assert.equal(rows[0].host, 'primary');
    assert.equal(
      await host(client, 'SELECT host FROM item, place WHERE id = 1 FOR UPDATE OF item'),
      'primary',
    );
    assert.equal(
      await host(client, `WITH w AS (INSERT INTO log VALUES (2) RETURNING id) SELECT host FROM w, place`),
      'primary',
    );
    assert.equal(await host(client, 'SELECT note(3)'), 'primary');
    assert.ok(STANDBYS.includes(await host(client, 'SELECT label(3)')));
  });

  it('several statements in one Query count as one', async () => {
    const client = await connect();
    const reads = (await client.query(`${WHERE}; ${WHERE}`)) as unknown as pg.QueryResult[];
    assert.equal(reads[0].rows[0].host, reads[1].rows[0].host);
    assert.ok(STANDBYS.includes(reads[0].rows[0].host));
    const mixed = (await client.query(`${WHERE}; INSERT INTO log VALUES (4)`)) as unknown as pg.QueryResult[];
    assert.equal(mixed[0].rows[0].host, 'primary');
  });

  it('transactions go to the primary, READ ONLY ones to a replica', async () => {
    const client = await connect();
    await client.query('BEGIN');
    assert.equal(await host(client), 'primary');
    await client.query('INSERT INTO log VALUES (5)');
    await client.query('ROLLBACK');
    for (const begin of [
      'BEGIN READ ONLY',
      'START TRANSACTION READ ONLY',
      'BEGIN; SET TRANSACTION READ ONLY',
    ]) {
      for (const statement of begin.split('; ')) await client.query(statement);
      assert.ok(STANDBYS.includes(await host(client)), begin);
      await assert.rejects(client.query('INSERT INTO log VALUES (6)'), { code: '25006' });
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
      await client.query('COMMIT');
    }
  });

  it('a transaction of nothing needs no server, and fails as Postgres would', async () => {
    const client = await connect();
    const tags: string[] = [];
    for (const sql of ['BEGIN', 'COMMIT', 'BEGIN', 'ROLLBACK', 'START TRANSACTION', 'END']) {
      tags.push((await client.query(sql)).command);
    }
    // The first word of the command tag.
    assert.deepEqual(tags, ['BEGIN', 'COMMIT', 'BEGIN', 'ROLLBACK', 'START', 'COMMIT']);
    await client.query('BEGIN');
    await assert.rejects(client.query('SELECT 1 /* pgdog_role: king */'), { code: '22023' });
    await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
    assert.equal((await client.query('COMMIT')).command, 'ROLLBACK');
    assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
  });

  it('the extended protocol: unnamed, named, BEGIN as a batch of its own', async () => {
    const client = await connect();
    const named = (text: string, values: unknown[]) => client.query({ name: text, text, values });
    for (let i = 0; i < 4; i++) {
      const read = await client.query('SELECT host, id FROM place, item WHERE id = $1', [i + 1]);
      assert.ok(STANDBYS.includes(read.rows[0].host));
      const again = await named('SELECT host, name FROM place, item WHERE id = $1', [i + 1]);
      assert.ok(STANDBYS.includes(again.rows[0].host));
      assert.equal(again.rows[0].name, `item ${i + 1}`);
      const write = await named(
        "INSERT INTO log VALUES ($1) RETURNING current_setting('cluster_name') AS host",
        [i],
      );
      assert.equal(write.rows[0].host, 'primary');
    }
    await client.query({ text: 'BEGIN', values: [], queryMode: 'extended' } as pg.QueryConfig);
    assert.equal(await host(client), 'primary');
    await client.query('COMMIT');
  });

  it('postgres.js: pipelines, prepared and not', async () => {
    for (const prepare of [true, false]) {
      const sql = postgres(proxy.url(), { max: 1, prepare });
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => sql`SELECT host, ${i}::int AS i FROM place`),
      );
      answers.forEach(([row], i) => {
        assert.equal(row.i, i);
        assert.ok(STANDBYS.includes(row.host), row.host);
      });
      await sql.begin(async (tx) => {
        const [row] = await tx`SELECT host FROM place`;
        assert.equal(row.host, 'primary');
        await tx`INSERT INTO log VALUES (${7})`;
      });
      await sql.begin('read only', async (tx) => {
        const [row] = await tx`SELECT host FROM place`;
        assert.ok(STANDBYS.includes(row.host));
      });
      await sql.end();
    }
  });

  it('directives: comment, SET, start-up option', async () => {
    const client = await connect();
    assert.equal(await host(client, `/* pgdog_role: primary */ ${WHERE}`), 'primary');
    await client.query('SET pgdog.role = "primary"');
    assert.deepEqual([...(await spread(client, 4)).keys()], ['primary']);
    assert.ok(STANDBYS.includes(await host(client, `/* pgdog_role: replica */ ${WHERE}`)));
    await client.query('RESET pgdog.role');
    assert.ok(STANDBYS.includes(await host(client)));
    await assert.rejects(client.query("SET pgdog.role = 'king'"), { code: '22023' });
    await client.query('BEGIN');
    await client.query('SELECT 1');
    await assert.rejects(client.query("SET pgdog.role = 'king'"), { code: '22023' });
    await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    await client.query("SET LOCAL pgdog.role = 'replica'");
    assert.ok(STANDBYS.includes(await host(client)));
    await client.query('COMMIT');
    const reader = await connect('-c pgdog.role=replica');
    assert.deepEqual([...(await spread(reader, 6)).keys()].sort(), STANDBYS);
    await assert.rejects(reader.query('INSERT INTO log VALUES (8)'), { code: '25006' });
  });

  it('default_transaction_read_only reads from replicas', async () => {
    const client = await connect();
    await client.query('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY');
    await client.query('BEGIN');
    assert.ok(STANDBYS.includes(await host(client)));
    await client.query('COMMIT');
    await assert.rejects(client.query('INSERT INTO log VALUES (9)'), { code: '25006' });
    await client.query('BEGIN READ WRITE');
    assert.equal(await host(client), 'primary');
    await client.query('COMMIT');
  });

  it('settings follow the session from host to host', async () => {
    const client = await connect();
    await client.query("SET TimeZone = 'Asia/Tokyo'; SET app.tenant = '42'");
    for (let i = 0; i < 6; i++) {
      const { rows } = await client.query('SELECT host, zone, tenant FROM place, setting');
      assert.deepEqual([rows[0].zone, rows[0].tenant], ['Asia/Tokyo', '42']);
    }
    const other = await connect();
    const { rows } = await other.query("SELECT current_setting('app.tenant', true) AS tenant");
    assert.ok(rows[0].tenant === null || rows[0].tenant === '');
  });

  it('a cast that may write keeps all reads on the primary, and the log says so once', async () => {
    const own = await startProxy({
      ioDriver,
      workers: 1,
      databases: cluster.databases('fixed', 'direct'),
      general: { read_write_split: 'exclude_primary', read_your_writes: 'off' },
    });
    const client = new pg.Client({ connectionString: own.url() });
    await client.connect();
    const lines = (): string[] => own.output.split('\n').filter((line) => line.includes('reads_not_split'));
    const reaches = (hosts: string[]) => async () => hosts.includes(await host(client));
    try {
      await eventually('reads go to replicas', reaches(STANDBYS));
      assert.deepEqual(lines(), []);
      await client.query(`CREATE TYPE money_text AS (amount int);
        CREATE FUNCTION to_money_text(text) RETURNS money_text LANGUAGE sql AS 'SELECT NULL::money_text';
        CREATE CAST (text AS money_text) WITH FUNCTION to_money_text(text)`);
      await own.waitForOutput('public.money_text is VOLATILE');
      assert.ok(lines()[0].includes('the cast from text to public.money_text is VOLATILE'), lines()[0]);
      await client.query('CREATE TABLE looked_at_again (id int); DROP TABLE looked_at_again');
      for (let i = 0; i < 20; i++) assert.equal(await host(client), 'primary');
      assert.equal(lines().length, 1);
      // What goes makes nothing unsafe, and is seen with the next reading.
      await client.query('DROP TYPE money_text CASCADE');
      await client.query('CREATE SCHEMA looked_at_again');
      await eventually('reads go to replicas again', reaches(STANDBYS));
      await own.waitForOutput('go to replicas again');
      assert.equal(lines().length, 2);
    } finally {
      await client.query('DROP TYPE IF EXISTS money_text CASCADE');
      await client.end();
      await own.stop();
    }
  });
});
