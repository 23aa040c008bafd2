/** [config_source] with a real Postgres: rows that come and go, bad ones, a source that goes away and comes back. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { sourceTablesSql } from '@pgdog-cluster/core/config';
import { testAuthority } from '../support/certificates.js';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import { TlsFolder } from '../support/tls-folder.js';
import { clientOf, eventually, firstValue, run } from '../support/wire.js';

const folder = mkdtempSync(join(tmpdir(), 'pgdog-source-'));
const cache = join(folder, 'cache');
const authority = testAuthority('source authority');
const tls = new TlsFolder();
const ca = tls.write('ca.pem', authority.certificate);

forOneDriver('a source of configuration', (ioDriver) => {
  let server: TestPostgres;
  let source: TestPostgres;
  const password = secret('of-the-reader');

  before(async () => {
    server = await startPostgres();
    // A certificate of an authority that only some of these proxies are told of.
    source = await startPostgres({
      users: [{ name: 'reader', password }],
      initSql: sourceTablesSql(),
      settings: tls.forPostgres(authority.issue({ subject: [['CN', 'db']], addresses: ['127.0.0.1'] })),
    });
    await source.query('GRANT USAGE ON SCHEMA pgdog TO reader');
    await source.query('GRANT SELECT ON pgdog.databases, pgdog.users TO reader');
    await source.query(
      `INSERT INTO pgdog.users (name, password, all_databases) VALUES ('postgres', 'postgres', true)`,
    );
  });
  const started: TestProxy[] = [];
  after(async () => {
    for (const proxy of started) await proxy.stop();
    await server.stop();
    await source.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const add = (name: string, more: { port?: number } = {}) =>
    source.query(
      `INSERT INTO pgdog.databases (name, host, port, database_name) VALUES ($1, '127.0.0.1', $2, 'postgres')`,
      [name, more.port ?? server.port],
    );
  const start = async (options: Partial<StartProxyOptions> = {}): Promise<TestProxy> => {
    const proxy = await startProxy({
      ioDriver,
      workers: 2,
      users: [],
      metrics: true,
      ...options,
      sections: {
        config_source: {
          postgres: `postgres://reader:${password}@127.0.0.1:${source.port}/postgres`,
          cache_file: cache,
          ...options.sections?.config_source,
        },
      },
    });
    started.push(proxy);
    return proxy;
  };
  const main = () => databaseOf(server, { name: 'main', database_name: 'postgres' });
  const USERS = [{ name: 'app', password: 'postgres', server_user: 'postgres', database: 'main' }];

  const status = async (proxy: TestProxy): Promise<Record<string, string>> => {
    const [row] = await proxy.adminQuery<Record<string, string>>('SHOW CONFIG_STATUS');
    assert.ok(row !== undefined);
    return row;
  };
  const canEnter = async (proxy: TestProxy, database: string): Promise<boolean> => {
    const client = await clientOf(proxy, { database }).catch(() => null);
    if (client === null) return false;
    // It may go in the middle of it.
    const { error } = await client.query('SELECT 1').catch(() => ({ error: {} }));
    if (error !== null) return false;
    await client.end();
    return true;
  };
  const comes = (proxy: TestProxy, database: string) =>
    eventually(`${database} is served`, () => canEnter(proxy, database));
  const goes = (proxy: TestProxy, database: string) =>
    eventually(`${database} is gone`, async () => !(await canEnter(proxy, database)));

  it('rows become databases when they are inserted, and go with them; a bad one changes nothing', async () => {
    await add('first');
    const proxy = await start();
    await comes(proxy, 'first');
    await eventually('it listens', async () => (await status(proxy))['source_state'] === 'listening');
    const begin = performance.now();
    await add('second');
    await comes(proxy, 'second');
    assert.ok(performance.now() - begin < 20_000, 'not by the interval of a minute');
    const inside = await clientOf(proxy, { database: 'first' });
    await run(inside, 'BEGIN');
    await source.query(`UPDATE pgdog.databases SET pool_size = 3 WHERE name = 'second'`);
    await eventually('the size is another', async () => {
      const pools = await proxy.adminQuery('SHOW POOLS');
      return pools.some((pool) => pool['database'] === 'second' && pool['sv_limit'] === '3');
    });

    await add('bad', { port: 70_000 });
    await eventually('it is told', async () => (await status(proxy))['source_error'] !== '');
    const { source_error: error = '', source_failures: failures, result } = await status(proxy);
    assert.match(
      error,
      /config_source databases row 1: port: expected a port number from 1 to 65535, got 70000/,
    );
    assert.deepEqual([Number(failures) >= 1, result], [true, 'ok']);
    await add('third');
    for (const name of ['first', 'second']) assert.equal(await canEnter(proxy, name), true);
    assert.equal(await canEnter(proxy, 'third'), false);
    assert.match(await proxy.metrics(), /config_source_looks_total\{result="failed"\} [1-9]/);
    await source.query(`DELETE FROM pgdog.databases WHERE name IN ('bad', 'second')`);
    await comes(proxy, 'third');
    await goes(proxy, 'second');
    assert.equal((await status(proxy))['source_error'], '');

    await source.query('ALTER TABLE pgdog.databases ADD prot int');
    await proxy.adminQuery('RELOAD');
    await eventually('the column is told', async () =>
      /config_source databases: prot: unknown column; did you mean "port"/.test(
        (await status(proxy))['source_error'] ?? '',
      ),
    );
    await source.query('ALTER TABLE pgdog.databases DROP prot');
    await proxy.adminQuery('RELOAD');
    await eventually('it is well again', async () => (await status(proxy))['source_error'] === '');
    const page = await proxy.metrics();
    assert.match(page, /config_source_up 1\n/);
    assert.match(page, /config_source_rows\{table="databases"\} 2\n/);
    // Through all of it.
    assert.equal(await firstValue(inside, 'SELECT 1'), '1');
    await run(inside, 'COMMIT');
    await inside.end();
    await proxy.stop();
  });

  it('what was SET, added by order or is in files stays beside it; what contradicts is told', async () => {
    const proxy = await start({ databases: [main()], users: USERS });
    await proxy.adminQuery('SET query_timeout = 77000');
    await proxy.adminQuery(
      `ADD DATABASE ordered host = '127.0.0.1', port = ${server.port}, database_name = 'postgres'`,
    );
    await add('late');
    await comes(proxy, 'late');
    await comes(proxy, 'ordered');
    const settings = await proxy.adminQuery('SHOW CONFIG');
    assert.equal(settings.find(({ name }) => name === 'query_timeout')?.['value'], '1m 17s');
    await add('ordered');
    await eventually('it is told', async () =>
      /ADD DATABASE "ordered" by admin: host: "ordered" has an entry .*config_source databases row \d/.test(
        (await status(proxy))['source_error'] ?? '',
      ),
    );
    await proxy.adminQuery('DROP DATABASE ordered');
    await source.query(`NOTIFY pgdog_config`);
    await comes(proxy, 'ordered');
    await source.query(`DELETE FROM pgdog.databases WHERE name = 'ordered'`);
    await goes(proxy, 'ordered');
    await proxy.stop();
  });

  it('a source that goes away and comes back; starts without it', async () => {
    const proxy = await start();
    await comes(proxy, 'first');
    await eventually(
      'the copy is there',
      async () => statSync(cache, { throwIfNoEntry: false }) !== undefined,
    );
    assert.equal(statSync(cache).mode & 0o777, 0o600);
    const client = await clientOf(proxy, { database: 'first' });
    await source.kill('SIGKILL');
    await eventually('it is noticed', async () => (await status(proxy))['source_state'] === 'down');
    assert.equal(await firstValue(client, 'SELECT 1'), '1');
    assert.match(await proxy.metrics(), /config_source_up 0\n/);
    await proxy.adminQuery('RELOAD');
    await comes(proxy, 'first');

    const cached = await start();
    await cached.waitForOutput('its copy of');
    assert.match(
      cached.output,
      /config_source 127\.0\.0\.1:\d+\/postgres cannot be read: .*; its copy of 20[^ ]+Z is in use, \d+ (s|min) old/,
    );
    await comes(cached, 'first');
    const none = { config_source: { cache_file: join(folder, 'none') } };
    const refused = await start({ isUnready: true, sections: none });
    assert.equal(await refused.exited, 2);
    assert.match(refused.output, /error: config_source: .*cannot be read: .*; there is no copy of it yet/);
    const fromFiles = await start({ databases: [main()], users: USERS, sections: none });
    const app = await clientOf(fromFiles, { database: 'main', user: 'app' });
    await app.end();
    await fromFiles.adminQuery('RELOAD');

    await source.restart();
    await add('after');
    for (const each of [proxy, cached, fromFiles]) await comes(each, 'after');
    assert.equal(await firstValue(client, 'SELECT 1'), '1');
    await client.end();
    for (const each of [proxy, cached, fromFiles]) await each.stop();
  });

  it('nothing in it is enough to start with', async () => {
    await source.query('DELETE FROM pgdog.databases');
    const proxy = await start();
    assert.match(proxy.output, /config_source: has no database yet/);
    await add('one');
    await comes(proxy, 'one');
    await source.query('DELETE FROM pgdog.databases');
    await goes(proxy, 'one');
    await proxy.stop();
  });

  it('tables that are not there, queries that are none', async () => {
    const broken = {
      config_source: { databases_query: 'SELECT 1; DROP TABLE pgdog.users', users_query: '' },
    };
    const proxy = await start({ databases: [main()], users: USERS, sections: broken });
    await eventually('it is told', async () =>
      /databases_query: cannot insert multiple commands/.test((await status(proxy))['source_error'] ?? ''),
    );
    assert.notEqual((await source.query('SELECT 1 FROM pgdog.users')).length, 0);
    await proxy.stop();
    const leaking = { config_source: { databases_query: "SELECT 'of-the-reader'::int AS name" } };
    const leaked = await start({ isUnready: true, sections: leaking });
    assert.equal(await leaked.exited, 2);
    assert.match(leaked.output, /databases_query: the server refuses it \(SQLSTATE 22P02\)/);
    assert.equal(leaked.output.includes('of-the-reader'), false);
    const missing = { config_source: { databases_query: 'SELECT * FROM public.nope' } };
    const refused = await start({ isUnready: true, sections: missing });
    assert.equal(await refused.exited, 2);
    assert.match(refused.output, /databases_query: relation "public\.nope" does not exist/);
  });

  it('its certificate is checked where that is asked for', async () => {
    const url = (more: string) => `postgres://reader:${password}@127.0.0.1:${source.port}/postgres?${more}`;
    const sections = (more: string) => ({
      config_source: { postgres: url(more), cache_file: join(folder, 'never') },
    });
    const stranger = await start({ isUnready: true, sections: sections('sslmode=verify-full') });
    assert.equal(await stranger.exited, 2);
    assert.match(stranger.output, /cannot be read: .*certificate/);
    const proxy = await start({
      sections: sections(`sslmode=verify-full&sslrootcert=${encodeURIComponent(ca)}`),
    });
    const query = `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'pgdog-cluster configuration'`;
    await eventually('it is connected', async () => (await source.query(query)).length > 0);
    assert.ok((await source.query<{ ssl: boolean }>(query)).every(({ ssl }) => ssl));
    await proxy.stop();
    const without = await start({
      isUnready: true,
      sections: sections('sslrootcert=/no/such&sslmode=verify-ca'),
    });
    assert.equal(await without.exited, 2);
    assert.match(without.output, /\/no\/such: no such file/);
  });

  it('more than anybody configures is not collected', async () => {
    const cases: [string, RegExp][] = [
      [`SELECT n::text AS name, 'h' AS host FROM generate_series(1, 100001) n`, /more than 100000 rows/],
      [
        `SELECT 'x' AS name, repeat('x', 1000000) AS host FROM generate_series(1, 100)`,
        /more than 67108864 bytes came/,
      ],
      [`SELECT ${Array.from({ length: 201 }, (_, n) => `${n} AS c${n}`).join()}`, /more than 200 columns/],
    ];
    for (const [query, expected] of cases) {
      const sections = { config_source: { databases_query: query } };
      const proxy = await start({ isUnready: true, sections });
      assert.equal(await proxy.exited, 2);
      assert.match(proxy.output, expected);
    }
  });
});
