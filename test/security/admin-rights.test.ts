/** CVE-2026-6667 and its class: every command of the admin database × admin, another user of ours, a stranger. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { COMMANDS, SHOWS } from 'pgdog-cluster';
import { DRIVERS, driverProblem } from '../support/drivers.js';
import { startFakePostgres } from '../support/fake-postgres.js';
import { B, E, P, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { findSecret, secret } from '../support/secrets.js';
import { clientOf, startWireProxy, type WireProxyOptions } from '../support/wire.js';

const ADMIN_NAMES = ['admin', 'pgbouncer', 'pgdog'];

async function withProxy(
  body: (proxy: TestProxy, asked: () => string) => Promise<void>,
  options: WireProxyOptions = {},
): Promise<void> {
  const fake = await startFakePostgres();
  const driver = DRIVERS.find((name) => driverProblem(name) === '') ?? 'epoll';
  const proxy = await startWireProxy(fake, driver, options);
  try {
    await body(proxy, () =>
      fake.connections.flatMap(({ frames }) => frames.map(({ body: bytes }) => bytes.toString())).join('\n'),
    );
  } finally {
    await proxy.stop();
    await fake.stop();
  }
}

it('CVE-2026-6667: nobody but the admin gets into the admin database, by any of its names', async () => {
  await withProxy(async (proxy) => {
    for (const database of ADMIN_NAMES) {
      for (const [user, password] of [
        ['postgres', 'postgres'],
        ['stranger', 'admin'],
        ['admin', 'wrong'],
        ['admin', 'postgres'],
        ['', 'admin'],
      ] as const) {
        const client = await RawClient.open({ port: proxy.port, user, password, database });
        const { error } = await client.login();
        assert.ok(
          ['28P01', '28000'].includes(error?.['C'] ?? ''),
          `${user} in ${database}: ${JSON.stringify(error)}`,
        );
        client.destroy();
      }
      const admin = await clientOf(proxy, { user: 'admin', password: 'admin', database });
      assert.equal((await admin.query('SHOW VERSION')).error, null);
      await admin.end();
    }
  });
});

it('CVE-2026-6667: each command that a stats user sends is refused, and nothing comes of it', async () => {
  await withProxy(
    async (proxy) => {
      const viewer = await clientOf(proxy, { database: 'admin' });
      assert.equal((await viewer.query('SHOW POOLS')).error, null);
      const orders = COMMANDS.filter(({ isHidden, word }) => isHidden !== true && word !== 'show');
      for (const { word, usage } of orders) {
        const object = usage.includes('DATABASE|USER') ? 'USER postgres' : 'postgres';
        const texts = { set: 'SET query_timeout = 1', reset: 'RESET QUERY_CACHE' };
        const text = texts[word as keyof typeof texts] ?? `${word} ${object}`;
        assert.equal((await viewer.query(text)).error?.['C'], '42501', text);
        viewer.send(P('', text), B('', ''), E(''), S());
        assert.equal((await viewer.readUntilReady()).error?.['C'], '42501', `${text}, extended`);
      }
      const [worker] = await proxy.adminQuery('SHOW WORKERS');
      assert.deepEqual([worker?.['state'], worker?.['restarts']], ['serving', '0']);
      assert.deepEqual(await proxy.adminQuery('SHOW CHANGES'), []);
      await viewer.end();
    },
    { admin: { stats_users: ['postgres'] } },
  );
});

it('CVE-2026-6667: each command that another user sends is a statement for its own server, and nothing else', async () => {
  await withProxy(async (proxy, asked) => {
    const client = await clientOf(proxy);
    for (const { word, usage } of COMMANDS) {
      const text =
        word === 'crash'
          ? 'CRASH WORKER 0'
          : usage.split(' ')[0] === 'SHOW'
            ? 'SHOW CLIENTS'
            : word.toUpperCase();
      const { rows } = await client.query(text);
      assert.deepEqual(
        rows.filter((row) => row.length > 1),
        [],
        `${text} was answered by the proxy`,
      );
    }
    for (const { name, privilege } of SHOWS) {
      const { rows, error } = await client.query(`SHOW ${name}`);
      if (privilege === 'admin') assert.equal(rows.length, 0, `SHOW ${name}`);
      const own = await client.query(name.startsWith('pgdog.') ? `SHOW ${name}` : `SHOW pgdog.${name}`);
      assert.equal(error, null);
      const isForClients = SHOWS.some((show) => show.privilege === 'client' && show.name === `pgdog.${name}`);
      if (privilege === 'admin' && !isForClients) assert.equal(own.rows.length, 0, `SHOW pgdog.${name}`);
    }
    assert.ok(asked().includes('SHUTDOWN') && asked().includes('SHOW clients'));
    const [worker] = await proxy.adminQuery('SHOW WORKERS');
    assert.deepEqual([worker?.['state'], worker?.['restarts']], ['serving', '0']);
    await client.end();
  });
});

/** What every place has that can hold a secret. */
const CLIENTS = secret('password of a client');
const SERVERS = secret('password for a server');
const OPERATORS = secret('password of the operator');
const ASKERS = secret('password of auth_user');
const TOKEN = secret('token-of-the-scraper');

it('CVE-2023-22332: no SHOW, in either shape, no metric and no line of the log holds a password', async () => {
  await withProxy(
    async (proxy) => {
      await (await clientOf(proxy, { password: CLIENTS })).end();
      for (const database of ['admin', 'pgbouncer']) {
        const admin = await clientOf(proxy, { user: 'admin', password: OPERATORS, database });
        const added = "ADD USER other all_databases = true password = '";
        if (database === 'admin') assert.equal((await admin.query(`${added}${CLIENTS}'`)).error, null);
        for (const { name } of SHOWS) {
          admin.received = [];
          await admin.query(`SHOW ${name}`);
          const text = Buffer.concat(admin.received).toString('latin1');
          assert.equal(findSecret(text), null, `SHOW ${name} in ${database}`);
          assert.equal(text.includes('SCRAM-SHA-256$'), false, `SHOW ${name} in ${database}`);
        }
        await admin.end();
      }
      const headers = { authorization: `Bearer ${TOKEN}` };
      for (const path of ['metrics', 'show/config', 'show/users', 'show/changes', 'api/status']) {
        const answer = await fetch(`http://127.0.0.1:${proxy.metricsPort}/${path}`, { headers });
        assert.equal(answer.status, 200, path);
        assert.equal(findSecret(await answer.text()), null, path);
      }
      assert.equal(findSecret(proxy.output), null);
      assert.doesNotMatch(proxy.output, /SCRAM-SHA-256\$/);
    },
    {
      users: [{ name: 'postgres', password: CLIENTS, server_password: SERVERS, database: 'postgres' }],
      database: { auth_user: 'postgres', auth_password: ASKERS },
      admin: { password: OPERATORS },
      general: { openmetrics_token: TOKEN, log_level: 'trace' },
      metrics: true,
    },
  );
});

it('CVE-2025-22248: without a word about it nobody is trusted', async () => {
  await withProxy(async (proxy) => {
    const rows = await proxy.adminQuery('SHOW CONFIG');
    const setting = rows.find((row) => (row['name'] ?? row['key']) === 'auth_type');
    assert.equal(setting?.['value'], 'scram', JSON.stringify(setting));
  });
});
