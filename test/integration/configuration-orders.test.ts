/** ADD, ALTER, DROP and PERSIST on a running proxy: under load, over reloads and restarts. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver, forOneDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { errorFields } from '../support/frames.js';
import { ADMIN, databaseOf, type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import { clientOf, eventually, firstValue, run, sqlstateOf } from '../support/wire.js';

const folder = mkdtempSync(join(tmpdir(), 'pgdog-orders-'));
const file = join(folder, 'changes.sql');
let server: TestPostgres;
before(async () => {
  server = await startPostgres({ users: [{ name: 'eve', password: secret('of-eve') }] });
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const start = (ioDriver: TestDriver, options: Partial<StartProxyOptions> = {}): Promise<TestProxy> =>
  startProxy({
    ioDriver,
    workers: 2,
    databases: [databaseOf(server, { name: 'main', database_name: 'postgres' })],
    users: [
      { name: 'postgres', password: 'postgres' },
      { name: 'eye', password: 'postgres' },
    ],
    admin: { stats_users: ['eye'] },
    ...options,
    general: { persist_file: file, ...options.general },
  });

const add = (name: string, more = '') =>
  `ADD DATABASE ${name} host = '127.0.0.1', port = ${server.port}, database_name = 'postgres' ${more}`;

async function serves(proxy: TestProxy, database: string, user = 'postgres', password = 'postgres') {
  const client = await clientOf(proxy, { database, user, password });
  assert.equal(await firstValue(client, 'SELECT 1'), '1');
  await client.end();
}

forEachDriver('orders about databases, under load', (ioDriver) => {
  it('who is connected elsewhere sees no error; who was sent away is told, after his transaction', async () => {
    const proxy = await start(ioDriver);
    let isRunning = true;
    const errors: string[] = [];
    let count = 0;
    const clients = await Promise.all(Array.from({ length: 4 }, () => clientOf(proxy, { database: 'main' })));
    const load = clients.map(async (client) => {
      while (isRunning) {
        const { error } = await client.query('SELECT 1');
        if (error !== null) errors.push(String(error['M']));
        count++;
      }
    });
    for (let round = 0; round < 10; round++) {
      await proxy.adminQuery(add('guest'));
      await serves(proxy, 'guest');
      const inside = await clientOf(proxy, { database: 'guest' });
      await run(inside, 'BEGIN');
      await proxy.adminQuery(`ALTER DATABASE guest pool_size = ${round + 1}`);
      assert.equal(await firstValue(inside, 'SELECT 2'), '2');
      await proxy.adminQuery('DROP DATABASE guest');
      await run(inside, 'COMMIT');
      assert.equal((await inside.expectClosed()).error?.['C'], '57P01');
      await assert.rejects(clientOf(proxy, { database: 'guest' }));
    }
    isRunning = false;
    await Promise.all(load);
    assert.ok(count > 100, String(count));
    assert.deepEqual(errors, []);
    await Promise.all(clients.map((client) => client.end()));
    await proxy.stop();
  });
});

forOneDriver('orders about the configuration', (ioDriver) => {
  it('in all admin databases, by both protocols, and only by who may order', async () => {
    const proxy = await start(ioDriver);
    for (const database of ['admin', 'pgbouncer', 'pgdog']) {
      const client = await clientOf(proxy, { user: ADMIN.user, password: ADMIN.password, database });
      const { error, frames } = await client.query(add(`by_${database}`));
      assert.equal(error, null);
      const notice = frames.find(({ type }) => type === 'N');
      const fields = errorFields(notice?.body ?? Buffer.alloc(0));
      assert.match(fields['M'] ?? '', /^database "by_\w+" added; until a restart$/);
      assert.match(fields['H'] ?? '', /PERSIST/);
      await client.end();
      await serves(proxy, `by_${database}`);
    }
    const extended = new pg.Client(proxy.adminUrl);
    await extended.connect();
    // A text that begins with a dollar sign is no parameter.
    const password = secret("$1 it's");
    const eve = `ADD USER "Eve" password = '${password.replaceAll("'", "''")}', server_user = 'eve', server_password = 'of-eve', database = 'main'`;
    await extended.query({ name: 'add', text: eve });
    await assert.rejects(
      extended.query({ name: 'again', text: eve }),
      /"Eve" has an entry for the same database already/,
    );
    const { rows } = await extended.query({ name: 'show', text: 'SHOW CHANGES' });
    const row = rows.find(({ name }) => name === 'Eve');
    assert.match(row.settings, /^password = \[secret\], server_user = 'eve', server_password = \[secret\]/);
    assert.deepEqual([row.change, row.persisted, row.effective], ['ADD USER', false, true]);
    await extended.end();
    await serves(proxy, 'main', 'Eve', password);
    const viewer = await clientOf(proxy, { user: 'eye', database: 'admin' });
    for (const text of [
      add('x'),
      'DROP DATABASE main',
      'ALTER USER eye pool_size = 1',
      'PERSIST',
      'RESET CHANGES',
    ]) {
      assert.notEqual(sqlstateOf(await viewer.query(text)), '', text);
    }
    assert.equal(sqlstateOf(await viewer.query('SHOW CHANGES')), '');
    await viewer.end();
    await proxy.adminQuery('RESET CHANGES');
    assert.deepEqual(await proxy.adminQuery('SHOW CHANGES'), []);
    await assert.rejects(clientOf(proxy, { database: 'by_admin' }));
    await proxy.stop();
  });

  it('changes outlive a reload; after a restart those are there that were persisted, and only those', async () => {
    const first = await start(ioDriver);
    await first.adminQuery(`${add('kept')} PERSIST`);
    await first.adminQuery(`ALTER DATABASE main pool_size = 3 PERSIST`);
    await first.adminQuery(add('fleeting'));
    await first.adminQuery("ADD USER eve password = 'of-eve', databases = ('kept', 'main') PERSIST");
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await first.adminQuery('RELOAD');
    for (const database of ['kept', 'fleeting']) await serves(first, database);
    const [status] = await first.adminQuery('SHOW CONFIG_STATUS');
    assert.deepEqual(
      [status?.['changes_kept'], status?.['changes_until_restart'], status?.['reloads_ok']],
      ['3', '1', '1'],
      'what the proxy has written itself is no change of its files',
    );
    await assert.rejects(first.adminQuery('DROP DATABASE nope PERSIST'), /there is no database "nope"/);
    await first.stop();

    const second = await start(ioDriver);
    await serves(second, 'kept', 'eve', 'of-eve');
    await assert.rejects(clientOf(second, { database: 'fleeting' }));
    const pools = await second.adminQuery('SHOW POOLS');
    assert.ok(pools.some(({ database, user }) => database === 'kept' && user === 'eve'));
    await second.adminQuery('DROP USER eve PERSIST');
    await second.adminQuery('DROP DATABASE kept PERSIST');
    assert.equal(readFileSync(file, 'utf8').includes('kept'), false);
    await second.stop();
    const third = await start(ioDriver);
    await assert.rejects(clientOf(third, { database: 'kept' }));
    assert.equal((await third.adminQuery('SHOW CHANGES')).length, 1);
    await third.stop();
    rmSync(file);
  });

  it('who takes over does not have what was not persisted: the old process says so', async () => {
    const old = await start(ioDriver);
    await old.adminQuery(`${add('kept')} PERSIST`);
    await old.adminQuery(add('fleeting'));
    const taker = await start(ioDriver, { port: old.port, args: ['--take-over'] });
    await old.exited;
    await eventually('it is told', async () => old.output.includes('changes_lost'));
    assert.match(old.output, /does not have what was ordered without PERSIST: ADD DATABASE "fleeting"/);
    await serves(taker, 'kept');
    await taker.stop();
    rmSync(file);
  });
});
