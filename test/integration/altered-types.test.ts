/** What a client prepares after tables or types have changed is of the types there are now, whoever had prepared it before. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver, forOneDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, D, E, P, S } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const INSERT = 'INSERT INTO altered VALUES ($1, $2)';
const AT = '2024-01-01 00:00:00+05';
/** What is stored of '007' and AT when both columns are what ALTER makes of them. */
const STORED = [{ v: '007', at: '2023-12-31 19:00:00+00' }];
const ALTER = 'ALTER TABLE altered ALTER v TYPE text, ALTER at TYPE timestamptz';
const CREATE = 'CREATE TABLE altered (v int, at timestamp)';

let proxy: TestProxy;
let clients: pg.Client[] = [];

/** Entries of one database, with one server connection each, so that whatever was prepared is there; `same` in session mode. */
function withProxy(driver: TestDriver): void {
  before(async () => {
    const settings = { database_name: 'postgres', pool_size: 1 };
    proxy = await startProxy({
      ioDriver: driver,
      databases: [
        databaseOf(server, settings),
        databaseOf(server, { ...settings, name: 'fresh' }),
        databaseOf(server, { ...settings, name: 'same', pooler_mode: 'session' }),
      ],
      users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
    });
  });
  afterEach(async () => {
    await Promise.all(clients.map((one) => one.end()));
    clients = [];
  });
  after(() => proxy.stop());
}

async function client(database = 'postgres'): Promise<pg.Client> {
  const one = new pg.Client({ connectionString: proxy.url(database) });
  clients.push(one);
  await one.connect();
  return one;
}

const insert = (client: pg.Client, name: string) => client.query({ name, text: INSERT, values: ['007', AT] });

/** After `alter` an INSERT that is prepared anew stores what it would have stored over a connection of its own. */
async function storesAfter(alter: () => Promise<unknown>): Promise<void> {
  const direct = new pg.Client({ connectionString: server.url('postgres') });
  await direct.connect();
  try {
    await direct.query("SET TimeZone = 'UTC'");
    const before = await client();
    await before.query(`DROP TABLE IF EXISTS altered; ${CREATE}`);
    await insert(before, 'old');
    await alter();
    await direct.query('DELETE FROM altered');
    await insert(before, 'new');
    await insert(await client(), 'old');
    const { rows } = await direct.query('SELECT v, at::text FROM altered');
    assert.deepEqual(rows, [...STORED, ...STORED]);
  } finally {
    await direct.end();
  }
}

forEachDriver('transaction mode', (driver) => {
  withProxy(driver);

  it('a column of another type', async () => {
    const other = await client();
    await storesAfter(() => other.query(ALTER));
  });

  it('in a transaction', async () => {
    const other = await client();
    await storesAfter(() => other.query(`BEGIN; ${ALTER}; COMMIT`));
  });
});

forOneDriver('what changes types', (driver) => {
  withProxy(driver);

  it('a DO', async () => {
    const other = await client();
    await storesAfter(() => other.query(`DO $$ BEGIN ${ALTER}; END $$`));
  });

  it('one that is rolled back, and one that is not', async () => {
    const other = await client();
    await storesAfter(async () => {
      await other.query(`BEGIN; ${ALTER}`);
      await insert(other, 'within');
      await other.query('ROLLBACK');
      await insert(other, 'behind');
      await other.query(ALTER);
    });
  });

  it('over another entry of the same database, in session mode', async () => {
    const other = await client('same');
    await storesAfter(() => other.query(ALTER));
  });

  it('a table that is dropped and made again, by name of a PREPARE', async () => {
    const [one, other] = [await client(), await client()];
    await one.query(`DROP TABLE IF EXISTS altered; ${CREATE}`);
    const prepare = `PREPARE p AS ${INSERT}`;
    await one.query(prepare);
    await one.query(`EXECUTE p ('1', '${AT}')`);
    await one.query('DROP TABLE altered; CREATE TABLE altered (v text, at timestamptz)');
    await other.query(prepare);
    await other.query(`EXECUTE p ('007', '${AT}')`);
    const { rows } = await other.query("SELECT v, (at AT TIME ZONE 'UTC')::text AS at FROM altered");
    assert.deepEqual(rows, [{ v: '007', at: '2023-12-31 19:00:00' }]);
  });

  it('a type that is dropped and made again is told of as the new one', async () => {
    const [one, other] = [await client(), await client()];
    const make = "DROP TYPE IF EXISTS altered_kind; CREATE TYPE altered_kind AS ENUM ('a')";
    const text = 'SELECT $1::altered_kind AS kind';
    const ask = async (each: pg.Client) =>
      (await each.query({ name: 'kind', text, values: ['a'] })).fields[0].dataTypeID;
    for (const each of [one, other]) {
      await each.query(make);
      const { rows } = await each.query("SELECT 'altered_kind'::regtype::oid::int AS oid");
      assert.equal(await ask(each), rows[0].oid);
    }
    await one.query('DROP TYPE altered_kind');
  });
});

forOneDriver('who has prepared before', (driver) => {
  withProxy(driver);

  /** Whether a server's plan is kept for the next client is told by what it has under our names. */
  const names = async (client: pg.Client, text = INSERT): Promise<number> =>
    (await client.query('SELECT count(*)::int AS n FROM pg_prepared_statements WHERE statement = $1', [text]))
      .rows[0].n;

  it('keeps the types it was told, as on Postgres', async () => {
    const [one, other] = [await client('fresh'), await client('fresh')];
    await one.query(`DROP TABLE IF EXISTS altered; ${CREATE}`);
    await insert(one, 'old');
    await other.query(ALTER);
    await insert(other, 'new');
    await insert(one, 'old');
    const { rows } = await one.query('SELECT v FROM altered ORDER BY v');
    // As an integer, which it was when it was prepared.
    assert.deepEqual(rows, [{ v: '007' }, { v: '7' }, { v: '7' }]);
    assert.equal(await names(one), 2);
  });

  it('had a temporary table of the same name', async () => {
    const values: unknown[] = [];
    for (const type of ['int', 'text']) {
      const one = await client();
      await one.query(`CREATE TEMP TABLE passing (v ${type})`);
      await one.query({ name: 'passing', text: 'INSERT INTO passing VALUES ($1)', values: ['007'] });
      values.push((await one.query('SELECT v FROM passing')).rows[0].v);
      await one.query('DISCARD TEMP');
    }
    assert.deepEqual(values, [7, '007']);
  });

  it('is given the types it was told of by any server connection', async () => {
    const other = await client('fresh');
    await other.query('DROP TABLE IF EXISTS altered; CREATE TABLE altered (v int, at timestamp)');
    const one = await RawClient.connect({ port: proxy.port, database: 'fresh', password: 'postgres' });
    try {
      await one.query("SET TimeZone = 'Asia/Tokyo'");
      one.send(P('old', INSERT), D('S', 'old'), S());
      await one.readUntilReady();
      await other.query('ALTER TABLE altered ALTER v TYPE bigint, ALTER at TYPE timestamptz');
      // Server connections that have never seen it.
      await proxy.adminQuery('RECONNECT');
      const at = Buffer.alloc(8);
      at.writeBigInt64BE((BigInt(Date.UTC(2024, 0, 1)) - BigInt(Date.UTC(2000, 0, 1))) * 1000n);
      one.send(B('', 'old', { valueFormats: [1], values: [Buffer.from([0, 0, 0, 7]), at] }), E(''), S());
      assert.deepEqual((await one.readUntilReady()).tags, ['INSERT 0 1']);
    } finally {
      await one.end();
    }
    const { rows } = await other.query(
      "SELECT v::int, (at AT TIME ZONE 'Asia/Tokyo')::text AS at FROM altered",
    );
    assert.deepEqual(rows, [{ v: 7, at: '2024-01-01 00:00:00' }]);
  });

  it('shares with others what no definition has changed', async () => {
    const [one, other] = [await client('fresh'), await client('fresh')];
    await one.query(`DROP TABLE IF EXISTS altered; ${CREATE}`);
    const text = INSERT.replace('INSERT', 'insert');
    await one.query({ name: 'a', text, values: ['1', AT] });
    await one.query('CREATE TEMP TABLE of_one (v int) ON COMMIT DROP');
    await one.query('CREATE TABLE IF NOT EXISTS another (v int)');
    await one.query('CREATE INDEX ON altered (v)');
    await other.query({ name: 'b', text, values: ['1', AT] });
    assert.equal(await names(one, text), 1);
    await one.query('DROP TABLE another, altered');
  });
});
