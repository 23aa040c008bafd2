/** Drivers and programs that people use, doing what they usually do, in transaction and in session mode. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import postgres from 'postgres';
import { forEachDriver, forOneDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { findProgram, type ProgramName } from '../support/programs.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { majorVersion, startSystemPostgres, systemPostgresProblem } from '../support/system-postgres.js';
import { untilBusy } from '../support/wire.js';

const exec = promisify(execFile);
let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const startFor = (
  driver: TestDriver,
  mode: string,
  to: { host: string; port: number } = server,
): Promise<TestProxy> =>
  startProxy({
    workers: 2,
    ioDriver: driver,
    databases: ['postgres', 'source', 'copy'].map((name) =>
      databaseOf(to, { name, database_name: name, pool_size: 8, pooler_mode: mode }),
    ),
    users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
    general: { min_pool_size: 0, log_connections: false, log_disconnections: false },
  });

function nodePostgres(proxy: () => TestProxy): void {
  const withPool = async (body: (pool: pg.Pool) => Promise<void>): Promise<void> => {
    const pool = new pg.Pool({ connectionString: proxy().url(), max: 6 });
    try {
      await body(pool);
    } finally {
      await pool.end();
    }
  };

  it('node-postgres: queries, values, types, errors', () =>
    withPool(async (pool) => {
      const { rows } = await pool.query(
        'SELECT $1::int AS a, $2::text AS b, $3::jsonb AS c, $4::timestamptz AS d, $5::int[] AS e',
        [1, "it's", { x: [1] }, new Date(0), [1, 2]],
      );
      assert.deepEqual(rows, [{ a: 1, b: "it's", c: { x: [1] }, d: new Date(0), e: [1, 2] }]);
      await assert.rejects(pool.query('SELECT 1/0'), { code: '22012' });
      await assert.rejects(pool.query('SELECT * FROM nowhere'), { code: '42P01' });
      assert.equal(((await pool.query('SELECT 1; SELECT 2')) as never as pg.QueryResult[]).length, 2);
    }));

  it('node-postgres: named statements over many connections', () =>
    withPool(async (pool) => {
      const ask = (n: number) =>
        pool.query({ name: `stmt ${n % 3}`, text: `SELECT $1::int + ${n % 3} AS sum`, values: [n] });
      const results = await Promise.all(Array.from({ length: 60 }, (_, n) => ask(n)));
      assert.deepEqual(
        results.map(({ rows }) => rows[0].sum),
        Array.from({ length: 60 }, (_, n) => n + (n % 3)),
      );
    }));

  it('node-postgres: transactions side by side', () =>
    withPool(async (pool) => {
      await pool.query(
        'DROP TABLE IF EXISTS account; CREATE TABLE account (id int PRIMARY KEY, sum int); INSERT INTO account SELECT n, 100 FROM generate_series(1, 4) AS n',
      );
      const move = async (n: number): Promise<void> => {
        const client = await pool.connect();
        try {
          await client.query('BEGIN');
          // In order of id: no deadlocks.
          const [from, to] = [(n % 3) + 1, (n % 3) + 2];
          await client.query('UPDATE account SET sum = sum - 1 WHERE id = $1', [from]);
          await client.query('UPDATE account SET sum = sum + 1 WHERE id = $1', [to]);
          await client.query(n % 4 === 0 ? 'ROLLBACK' : 'COMMIT');
        } finally {
          client.release();
        }
      };
      await Promise.all(Array.from({ length: 40 }, (_, n) => move(n)));
      const { rows } = await pool.query('SELECT sum(sum)::int AS total, min(sum) AS least FROM account');
      assert.equal(rows[0].total, 400);
    }));

  it('node-postgres: LISTEN and NOTIFY', () =>
    withPool(async (pool) => {
      const client = await pool.connect();
      const heard = new Promise<string | undefined>((resolve) =>
        client.on('notification', ({ payload }) => resolve(payload)),
      );
      await client.query('LISTEN talk');
      await pool.query("SELECT pg_notify('talk', 'hello')");
      assert.equal(await heard, 'hello');
      client.release(true);
    }));

  it('node-postgres: start-up options', async () => {
    const client = new pg.Client({
      connectionString: proxy().url(),
      application_name: 'mine',
      options: '-c work_mem=5MB',
      statement_timeout: 5000,
    });
    await client.connect();
    const { rows } = await client.query(
      "SELECT current_setting('application_name') AS a, current_setting('work_mem') AS b, current_setting('statement_timeout') AS c",
    );
    assert.deepEqual(rows, [{ a: 'mine', b: '5MB', c: '5s' }]);
    await client.end();
  });
}

function postgresJs(proxy: () => TestProxy): void {
  const withSql = async (body: (sql: postgres.Sql) => Promise<void>): Promise<void> => {
    const sql = postgres(proxy().url(), { max: 5, onnotice: () => undefined });
    try {
      await body(sql);
    } finally {
      await sql.end();
    }
  };

  it('postgres.js: values, fragments, arrays, pipelined', () =>
    withSql(async (sql) => {
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, n) => sql`SELECT ${n}::int AS n, ${`v${n}`}::text AS v`),
      );
      assert.deepEqual(
        results.map((rows) => ({ ...rows[0] })),
        Array.from({ length: 50 }, (_, n) => ({ n, v: `v${n}` })),
      );
      await sql`DROP TABLE IF EXISTS things`;
      await sql`CREATE TABLE things (id int, name text)`;
      await sql`INSERT INTO things ${sql([
        { id: 1, name: 'a' },
        { id: 2, name: 'b' },
      ])}`;
      assert.equal((await sql`SELECT * FROM things WHERE id = ANY(${[1, 2]})`).length, 2);
      await assert.rejects(sql`SELECT 1/0`, { code: '22012' });
    }));

  it('postgres.js: transactions and savepoints', () =>
    withSql(async (sql) => {
      await sql`DROP TABLE IF EXISTS steps`;
      await sql`CREATE TABLE steps (n int)`;
      await sql.begin(async (tx) => {
        await tx`INSERT INTO steps VALUES (1)`;
        await tx
          .savepoint(async (sp) => {
            await sp`INSERT INTO steps VALUES (2)`;
            throw new Error('undo');
          })
          .catch(() => undefined);
        await tx`INSERT INTO steps VALUES (3)`;
      });
      await sql
        .begin(async (tx) => {
          await tx`INSERT INTO steps VALUES (4)`;
          throw new Error('undo');
        })
        .catch(() => undefined);
      assert.deepEqual(
        (await sql`SELECT n FROM steps ORDER BY n`).map(({ n }) => n),
        [1, 3],
      );
    }));

  it('postgres.js: cursors and COPY', () =>
    withSql(async (sql) => {
      let seen = 0;
      for await (const rows of sql`SELECT n FROM generate_series(1, 95) AS n`.cursor(10)) seen += rows.length;
      assert.equal(seen, 95);
      await sql`DROP TABLE IF EXISTS copied`;
      await sql`CREATE TABLE copied (n int, t text)`;
      const into = await sql`COPY copied FROM STDIN`.writable();
      await new Promise<void>((resolve, reject) => {
        into.once('error', reject).once('finish', () => resolve());
        for (let n = 0; n < 2000; n++) into.write(`${n}\ttext ${n}\n`);
        into.end();
      });
      let text = '';
      for await (const chunk of await sql`COPY copied TO STDOUT`.readable()) text += String(chunk);
      assert.equal(text.split('\n').length - 1, 2000);
    }));

  it('postgres.js: cancel, unsafe, simple', () =>
    withSql(async (sql) => {
      const slow = sql`SELECT pg_sleep(200)`;
      const refused = assert.rejects(slow.execute(), { code: '57014' });
      await untilBusy(server);
      slow.cancel();
      await refused;
      assert.equal((await sql.unsafe('SELECT 1 AS a; SELECT 2 AS b')).length, 2);
      assert.equal((await sql`SELECT 5 AS five`.simple())[0]?.['five'], 5);
    }));
}

/** Output of a program that connects to `to`. */
async function program(
  to: { port: number },
  name: ProgramName,
  args: string[],
  database = 'postgres',
): Promise<string> {
  const own = {
    PGHOST: '127.0.0.1',
    PGPORT: String(to.port),
    PGUSER: 'postgres',
    PGPASSWORD: 'postgres',
    PGDATABASE: database,
  };
  const options = { env: { ...process.env, ...own }, maxBuffer: 64 * 1024 * 1024, timeout: 60_000 };
  const { stdout, stderr } = await exec(findProgram(name).path ?? '', args, options);
  return stdout + stderr;
}

const SHOP = `CREATE SCHEMA shop; CREATE TABLE shop.item (id serial PRIMARY KEY, name text, tags text[]);
  INSERT INTO shop.item (name, tags) SELECT 'item ' || n, ARRAY['a', 'b''c'] FROM generate_series(1, 3000) AS n;
  CREATE VIEW shop.names AS SELECT name FROM shop.item; CREATE INDEX ON shop.item (name);
  CREATE FUNCTION shop.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'`;

function programs(proxy: () => TestProxy): void {
  const pgbench = (...args: string[]): Promise<string> => program(proxy(), 'pgbench', args);
  const psql = (...args: string[]): Promise<string> =>
    program(proxy(), 'psql', ['-X', '-v', 'ON_ERROR_STOP=1', ...args]);

  it('psql', { skip: findProgram('psql').skip }, async () => {
    assert.equal((await psql('-Atc', 'SELECT 1 + 1')).trim(), '2');
    const script = [
      'CREATE TEMP TABLE t (a int, b text);',
      '\\copy t FROM PROGRAM \'printf "1\\tx\\n2\\ty\\n"\'',
      'SELECT count(*) AS c FROM t \\gset',
      '\\echo :c rows',
      'SELECT :c + 40 AS sum',
      '\\echo done',
    ];
    const path = join(proxy().directory, 'script.sql');
    writeFileSync(path, script.join('\n'));
    const shown = await psql('-At', '-f', path);
    assert.match(shown, /2 rows/);
    assert.match(shown, /42/);
    await assert.rejects(psql('-c', 'SELEC'), /syntax error/);
  });

  it('pgbench: simple, extended, prepared', { skip: findProgram('pgbench').skip }, async () => {
    await pgbench('-i', '-s', '1', '-q');
    for (const protocol of ['simple', 'extended', 'prepared']) {
      const shown = await pgbench('-n', '-M', protocol, '-c', '6', '-j', '2', '-t', '40');
      assert.match(shown, /number of transactions actually processed: 240\/240/, protocol);
      assert.match(shown, /number of failed transactions: 0/);
    }
    const reconnecting = await pgbench('-n', '-S', '-C', '-c', '4', '-t', '10');
    assert.match(reconnecting, /processed: 40\/40/);
  });
}

/** Dumps one database through the proxy and restores it into another, by a server that this pg_dump knows. */
function dumpAndRestore(driver: TestDriver, mode: string): void {
  const pgDump = findProgram('pg_dump');
  const major = pgDump.path === null ? 0 : majorVersion(pgDump.path);
  const skip = pgDump.skip || findProgram('psql').skip || systemPostgresProblem(major);
  it('pg_dump | psql', { skip }, async () => {
    const own = await startSystemPostgres(major);
    let proxy: TestProxy | undefined;
    try {
      const setUp = new pg.Client({ host: own.host, port: own.port, user: 'postgres', database: 'postgres' });
      await setUp.connect();
      for (const name of ['source', 'copy']) await setUp.query(`CREATE DATABASE ${name}`);
      await setUp.end();
      proxy = await startFor(driver, mode, own);
      const { port, directory } = proxy;
      const psql = (database: string, ...args: string[]): Promise<string> =>
        program({ port }, 'psql', ['-X', '-v', 'ON_ERROR_STOP=1', ...args], database);
      await psql('source', '-qc', SHOP);
      const dump = join(directory, 'dump.sql');
      await program({ port }, 'pg_dump', ['-f', dump], 'source');
      await psql('copy', '-qf', dump);
      const sum =
        "SELECT count(*) || md5(string_agg(i::text, ',' ORDER BY id)) || shop.f(1) FROM shop.item AS i";
      const copied = await psql('copy', '-Atc', sum);
      assert.equal(copied, await psql('source', '-Atc', sum));
      assert.match(copied, /^3000/);
    } finally {
      await proxy?.stop();
      await own.stop();
    }
  });
}

for (const mode of ['transaction', 'session']) {
  // When a server goes back is the pool's matter, not the I/O driver's.
  const forDrivers = mode === 'transaction' ? forEachDriver : forOneDriver;
  forDrivers(`drivers in ${mode} mode`, (driver) => {
    let proxy: TestProxy;
    before(async () => {
      proxy = await startFor(driver, mode);
    });
    after(() => proxy.stop());
    describe('node-postgres', () => nodePostgres(() => proxy));
    describe('postgres.js', () => postgresJs(() => proxy));
    describe('programs', () => programs(() => proxy));
    dumpAndRestore(driver, mode);
  });
}
