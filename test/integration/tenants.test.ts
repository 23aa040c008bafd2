/** Databases that are made of a pattern at their first login, and forgotten when nobody uses them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { forEachDriver, forOneDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { enter, tryLogin } from '../support/login.js';
import { type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import type { TomlTable } from '../support/toml-text.js';
import { clientOf, eventually, firstValue } from '../support/wire.js';

const APP = secret('password of the app');
const NAMES = ['tenant_a', 'tenant_b', 'tenant_c', 'eu_shop', 'us_shop'];

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    users: [{ name: 'app', password: APP }],
    settings: { max_connections: '200' },
  });
  for (const name of NAMES) await server.query(`CREATE DATABASE ${name}`);
});
after(() => server.stop());

interface Options extends Omit<StartProxyOptions, 'databases'> {
  template?: TomlTable;
  databases?: TomlTable[];
}

const start = (
  driver: TestDriver,
  { template, databases = [], general, ...more }: Options = {},
): Promise<TestProxy> => {
  const here = { host: server.host, port: server.port };
  return startProxy({
    workers: 2,
    ioDriver: driver,
    databases: [
      { name: 'tenant_*', ...here, ...template },
      ...databases.map((one) => ({ name: '?', ...here, ...one })),
    ],
    users: [{ name: 'app', password: APP, all_databases: true }],
    general: { min_pool_size: 0, idle_timeout: 200, log_level: 'debug', ...general },
    ...more,
  });
};

async function withProxy(
  driver: TestDriver,
  options: Options,
  body: (proxy: TestProxy) => Promise<void>,
): Promise<void> {
  const proxy = await start(driver, options);
  try {
    await body(proxy);
  } finally {
    await proxy.stop();
  }
}

const app = (proxy: TestProxy, database: string) => clientOf(proxy, { user: 'app', password: APP, database });

interface Template {
  pattern: string;
  tenants: string;
  made_count: string;
  dropped_count: string;
  missing_count: string;
  refused_count: string;
}

const templateOf = async (proxy: TestProxy): Promise<Template> => {
  const [row] = await proxy.adminQuery<Template>('SHOW TENANTS');
  assert.ok(row !== undefined);
  return row;
};

const tenantsOf = async (proxy: TestProxy): Promise<number> => Number((await templateOf(proxy)).tenants);

forEachDriver('tenants', (driver) => {
  it('every name that fits is served, in a database of its own, by both workers', async () => {
    await withProxy(driver, {}, async (proxy) => {
      for (let round = 0; round < 4; round++) {
        for (const name of NAMES.slice(0, 3)) {
          const client = await app(proxy, name);
          assert.equal(await firstValue(client, 'SELECT current_database()'), name);
          await client.end();
        }
      }
      const { tenants, made_count } = await templateOf(proxy);
      assert.deepEqual([tenants, made_count], ['3', '3']);
      const pools = await proxy.adminQuery<{ database: string }>('SHOW POOLS');
      assert.deepEqual([...new Set(pools.map(({ database }) => database))].sort(), NAMES.slice(0, 3));
    });
  });

  it('a name without a database gets the words of Postgres, and is forgotten at once', async () => {
    await withProxy(driver, {}, async (proxy) => {
      const { sqlstate, message } = await tryLogin(proxy, 'app', APP, { database: 'tenant_none' });
      assert.deepEqual([sqlstate, message], ['3D000', 'database "tenant_none" does not exist']);
      await eventually('it is forgotten', async () => (await tenantsOf(proxy)) === 0);
      assert.equal((await templateOf(proxy)).missing_count, '1');
      // Made meanwhile, it is there: nobody remembers that it was not.
      assert.equal((await tryLogin(proxy, 'app', APP, { database: 'tenant_late' })).sqlstate, '3D000');
      await server.query('CREATE DATABASE tenant_late');
      assert.equal(await enter(proxy, 'app', APP, { database: 'tenant_late' }), '');
    });
    await server.query('DROP DATABASE tenant_late WITH (FORCE)');
  });

  it('unused, it is forgotten with its pools, and made again for who comes back', async () => {
    await withProxy(driver, { general: { tenant_idle_timeout: 300 } }, async (proxy) => {
      for (let round = 1; round <= 3; round++) {
        const client = await app(proxy, 'tenant_a');
        assert.equal(await firstValue(client, 'SELECT current_database()'), 'tenant_a');
        assert.equal(await tenantsOf(proxy), 1);
        await client.end();
        await eventually('it is forgotten', async () => (await tenantsOf(proxy)) === 0);
        assert.equal((await proxy.adminQuery('SHOW POOLS')).length, 0);
        const { made_count, dropped_count } = await templateOf(proxy);
        assert.deepEqual([made_count, dropped_count], [String(round), String(round)]);
      }
    });
  });

  it('passwords go to the server by passthrough, and what it says comes back', async () => {
    const general = { passthrough_auth: 'enabled_plain', tenant_idle_timeout: 300 };
    await withProxy(driver, { users: [], general }, async (proxy) => {
      const names = async () => [
        await enter(proxy, 'app', APP, { database: 'tenant_a' }),
        await enter(proxy, 'app', APP, { database: 'tenant_b' }),
        await enter(proxy, 'app', 'wrong', { database: 'tenant_a' }),
        await enter(proxy, 'app', 'wrong', { database: 'tenant_none' }),
        await enter(proxy, 'app', APP, { database: 'tenant_none' }),
        await enter(proxy, 'app', APP, { database: 'elsewhere' }),
      ];
      const expected = ['', '', '28P01', '28P01', '3D000', '28P01'];
      assert.deepEqual(await names(), expected);
      await eventually('all are forgotten', async () => (await tenantsOf(proxy)) === 0);
      assert.deepEqual(await names(), expected);
    });
  });
});

forOneDriver('tenants', (driver) => {
  const write = async (proxy: TestProxy, change: (toml: string) => string): Promise<void> => {
    const path = join(proxy.directory, 'pgdog.toml');
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    await proxy.adminQuery('RELOAD');
  };

  it('who is looked up by auth_query gets into every tenant', async () => {
    const asked = { auth_user: 'postgres', auth_password: 'postgres', auth_dbname: 'postgres' };
    const options = {
      users: [],
      general: { ...asked, tenant_idle_timeout: 300 },
      databases: [{ name: 'postgres' }],
    };
    await withProxy(driver, options, async (proxy) => {
      for (let round = 0; round < 2; round++) {
        for (const name of NAMES.slice(0, 3))
          assert.equal(await enter(proxy, 'app', APP, { database: name }), '');
        assert.equal(await enter(proxy, 'app', 'wrong', { database: 'tenant_a' }), '28P01');
        assert.equal(await enter(proxy, 'nobody', APP, { database: 'tenant_a' }), '28P01');
        assert.equal(await enter(proxy, 'app', APP, { database: 'tenant_none' }), '3D000');
        await eventually('all are forgotten', async () => (await tenantsOf(proxy)) === 0);
      }
    });
  });

  it('the most exact entry serves a name, and stars can be used on the server', async () => {
    const databases = [
      { name: 'tenant_a', database_name: 'postgres' },
      { name: 'tenant_b*', database_name: 'tenant_{1}' },
      { name: '*_in_*', database_name: '{2}_{1}' },
      { name: 'local*', host: 'local{1}', database_name: 'tenant_c' },
    ];
    await withProxy(driver, { databases }, async (proxy) => {
      const served = async (database: string) => {
        const client = await app(proxy, database);
        const name = await firstValue(client, 'SELECT current_database()');
        await client.end();
        return name;
      };
      assert.equal(await served('tenant_a'), 'postgres');
      assert.equal(await served('tenant_b'), 'tenant_b');
      assert.equal(await served('tenant_bc'), 'tenant_c');
      assert.equal(await served('shop_in_eu'), 'eu_shop');
      assert.equal(await served('localhost'), 'tenant_c');
    });
  });

  it('a name leads to no other host than the pattern means', async () => {
    await withProxy(driver, { databases: [{ name: 'at_*', host: '{1}-db.invalid' }] }, async (proxy) => {
      for (const name of [
        'at_a.b',
        'at_/tmp',
        'at_@x',
        'at_a b',
        'at_a:1',
        'at_ä',
        'at_-x',
        `at_${'x'.repeat(70)}`,
      ]) {
        const { sqlstate, message } = await tryLogin(proxy, 'app', APP, { database: name });
        assert.equal(sqlstate, '3D000', name);
        assert.match(message, /does not exist: its name (cannot be part of a host name|is too long)/);
      }
      assert.equal(await enter(proxy, 'app', 'wrong', { database: 'at_a.b' }), '28P01');
      const nowhere = await tryLogin(proxy, 'app', APP, { database: 'at_x' });
      assert.match(nowhere.message, /host name x-db\.invalid does not resolve/);
      const rows = await proxy.adminQuery<Template>('SHOW TENANTS');
      assert.deepEqual(
        rows.map(({ tenants }) => tenants),
        ['0', '0'],
      );
    });
  });

  it('limits are those of each tenant, and there may be so many of them', async () => {
    const template = { max_db_client_connections: 2, pool_size: 1 };
    const general = { tenants_max: 2, tenant_idle_timeout: 300, auth_failures_max: 0 };
    await withProxy(driver, { template, general }, async (proxy) => {
      const clients = [];
      for (const name of ['tenant_a', 'tenant_a', 'tenant_b', 'tenant_b'])
        clients.push(await app(proxy, name));
      for (const client of clients) assert.equal(await firstValue(client, 'SELECT 1'), '1');
      for (const database of ['tenant_a', 'tenant_b']) {
        const { sqlstate, message } = await tryLogin(proxy, 'app', APP, { database });
        assert.equal(sqlstate, '53300');
        assert.match(message, new RegExp(`${database}.*max_db_client_connections = 2`));
      }
      const refused = await tryLogin(proxy, 'app', APP, { database: 'tenant_c' });
      assert.equal(refused.sqlstate, '53300');
      assert.match(refused.message, /tenants_max = 2/);
      // One connection in each: whoever holds it keeps the other of the same tenant waiting, and nobody else.
      await firstValue(clients[0], 'BEGIN');
      assert.equal(await firstValue(clients[2], 'SELECT 1'), '1');
      const waiting = firstValue(clients[1], 'SELECT 1');
      await firstValue(clients[0], 'COMMIT');
      assert.equal(await waiting, '1');
      for (const client of clients.slice(0, 2)) await client.end();
      await eventually(
        'there is room',
        async () => (await enter(proxy, 'app', APP, { database: 'tenant_c' })) === '',
      );
      for (const client of clients.slice(2)) await client.end();
    });
  });

  it('a reload changes what is made of the pattern, and leaves alone what it does not change', async () => {
    await withProxy(driver, { general: { idle_timeout: 60_000 } }, async (proxy) => {
      const client = await app(proxy, 'tenant_a');
      const other = await app(proxy, 'tenant_b');
      const pid = await firstValue(client, 'SELECT pg_backend_pid()');
      await write(
        proxy,
        (toml) =>
          `${toml}\n[[databases]]\nname = "tenant_b"\nhost = "${server.host}"\nport = ${server.port}\ndatabase_name = "tenant_c"\n`,
      );
      assert.equal(await firstValue(client, 'SELECT pg_backend_pid()'), pid, 'nothing has changed for it');
      await eventually(
        'the entry of that name serves it',
        async () => (await firstValue(other, 'SELECT current_database()')) === 'tenant_c',
      );
      await write(proxy, (toml) =>
        toml.replace('name = "tenant_*"', 'name = "tenant_*"\ndatabase_name = "eu_shop"'),
      );
      await eventually(
        'it is another on the server',
        async () => (await firstValue(client, 'SELECT current_database()')) === 'eu_shop',
      );
      await write(proxy, (toml) => toml.replace('name = "tenant_*"', 'name = "renamed_*"'));
      const { error } = await client
        .query('SELECT 1')
        .catch(() => ({ error: { C: 'gone' } as Record<string, string> }));
      assert.ok(['57P01', 'gone'].includes(error?.['C'] ?? ''), 'the pattern is gone');
      assert.equal(await firstValue(other, 'SELECT current_database()'), 'tenant_c');
      assert.equal(await enter(proxy, 'app', APP, { database: 'tenant_a' }), '3D000');
      await other.end();
    });
  });

  it('orders are about a tenant by its name, and one that is paused is not forgotten', async () => {
    await withProxy(driver, { general: { tenant_idle_timeout: 200 } }, async (proxy) => {
      assert.equal(await enter(proxy, 'app', APP, { database: 'tenant_a' }), '');
      const client = await app(proxy, 'tenant_b');
      await proxy.adminQuery('PAUSE tenant_b');
      const held = firstValue(client, 'SELECT 1').catch(() => '');
      await eventually('the other one is forgotten', async () => (await tenantsOf(proxy)) === 1);
      await client.end();
      await held;
      await assert.rejects(proxy.adminQuery('PAUSE tenant_none'), /no such database/);
      assert.equal(await enter(proxy, 'app', APP, { database: 'tenant_c' }), '');
      await eventually('another comes and goes', async () => (await templateOf(proxy)).dropped_count === '2');
      assert.equal(await tenantsOf(proxy), 1, 'the paused one stays');
      await proxy.adminQuery('RESUME tenant_b');
      assert.equal(await enter(proxy, 'app', APP, { database: 'tenant_b' }), '');
      const killed = await app(proxy, 'tenant_b');
      await proxy.adminQuery('KILL tenant_b');
      const { error } = await killed
        .query('SELECT 1')
        .catch(() => ({ error: { C: '57P01' } as Record<string, string> }));
      assert.equal(error?.['C'], '57P01');
      await proxy.adminQuery('RESUME tenant_b');
    });
  });

  it('who tries one name after the other fills nothing', async () => {
    await withProxy(driver, { general: { tenants_max: 200, auth_failures_max: 0 } }, async (proxy) => {
      const codes = new Map<string, number>();
      const tryNames = async (from: number): Promise<void> => {
        for (let number = 0; number < 60; number++) {
          const { sqlstate } = await tryLogin(proxy, 'app', APP, { database: `tenant_${from}_${number}` });
          codes.set(sqlstate, (codes.get(sqlstate) ?? 0) + 1);
        }
      };
      await Promise.all([tryNames(0), tryNames(1), tryNames(2), tryNames(3), tryNames(4), tryNames(5)]);
      assert.deepEqual(
        [...codes.keys()].filter((code) => code !== '3D000' && code !== '53300'),
        [],
      );
      assert.ok((codes.get('3D000') ?? 0) > 200, JSON.stringify([...codes]));
      assert.equal(await enter(proxy, 'app', APP, { database: 'tenant_a' }), '');
      await eventually('they are forgotten', async () => (await tenantsOf(proxy)) <= 1);
    });
  });

  it('what guards the rows of a database guards those of each tenant', async () => {
    await withProxy(driver, { sections: { multi_tenant: { column: 'owner_id' } } }, async (proxy) => {
      const direct = await clientOf(server, { user: 'postgres', database: 'tenant_a' });
      await direct.query(
        'CREATE TABLE IF NOT EXISTS orders (owner_id int, n int); GRANT ALL ON orders TO app',
      );
      const client = await app(proxy, 'tenant_a');
      assert.equal(await firstValue(client, 'SELECT count(*) FROM orders WHERE owner_id = 1'), '0');
      const { error } = await client.query('SELECT count(*) FROM orders');
      assert.equal(error?.['C'], '42501');
      await client.end();
      const stream = await tryLogin(proxy, 'app', APP, {
        database: 'tenant_b',
        parameters: { replication: 'database' },
      });
      assert.match(stream.message, /guarded by \[multi_tenant\]/);
      await direct.query('DROP TABLE orders');
      await direct.end();
    });
  });

  it('notifications go to who listens in the same tenant', async () => {
    await withProxy(driver, {}, async (proxy) => {
      const [here, there, sender] = [
        await app(proxy, 'tenant_a'),
        await app(proxy, 'tenant_b'),
        await app(proxy, 'tenant_a'),
      ];
      for (const client of [here, there]) await firstValue(client, 'LISTEN news');
      await firstValue(sender, "NOTIFY news, 'to a'");
      await eventually('it has come', async () => {
        const { frames } = await here.query('SELECT 1');
        return frames.some(({ type }) => type === 'A');
      });
      const { frames } = await there.query('SELECT 1');
      assert.ok(!frames.some(({ type }) => type === 'A'), 'another database');
      for (const client of [here, there, sender]) await client.end();
    });
  });

  it('a worker that starts again finds them', async () => {
    await withProxy(driver, { env: { PGDOG_TEST_HOOKS: '1' } }, async (proxy) => {
      for (const name of NAMES.slice(0, 3))
        assert.equal(await enter(proxy, 'app', APP, { database: name }), '');
      await proxy.adminQuery('CRASH_WORKER 0').catch(() => []);
      await proxy.adminQuery('CRASH_WORKER 1').catch(() => []);
      await eventually('they serve again', async () => {
        const codes = await Promise.all(
          NAMES.slice(0, 3).map((database) => enter(proxy, 'app', APP, { database }).catch(() => 'lost')),
        );
        return codes.every((code) => code === '');
      });
    });
  });
});
