/** CVE-2026-6667 and its class: every command of the admin database × admin, another user of ours, a stranger. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { COMMANDS, SHOWS } from 'pgdog-cluster';
import { DRIVERS, driverProblem } from '../support/drivers.js';
import { startFakePostgres } from '../support/fake-postgres.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { clientOf, startWireProxy } from '../support/wire.js';

const ADMIN_NAMES = ['admin', 'pgbouncer', 'pgdog'];

async function withProxy(body: (proxy: TestProxy, asked: () => string) => Promise<void>): Promise<void> {
  const fake = await startFakePostgres();
  const driver = DRIVERS.find((name) => driverProblem(name) === '') ?? 'epoll';
  const proxy = await startWireProxy(fake, driver);
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

it('CVE-2023-22332: no SHOW and no line of the log holds a password', async () => {
  await withProxy(async (proxy) => {
    const secrets = ['postgres-is-not-secret'];
    const admin = await clientOf(proxy, { user: 'admin', password: 'admin', database: 'admin' });
    for (const { name } of SHOWS) {
      admin.received = [];
      await admin.query(`SHOW ${name}`);
      const text = Buffer.concat(admin.received).toString('latin1');
      for (const secret of [...secrets, 'SCRAM-SHA-256$']) assert.equal(text.includes(secret), false, name);
      for (const line of text.split('\0')) assert.doesNotMatch(line, /password\W+(?:postgres|admin)\b/, name);
    }
    await admin.end();
    assert.doesNotMatch(proxy.output, /SCRAM-SHA-256\$/);
  });
});

it('CVE-2025-22248: without a word about it nobody is trusted', async () => {
  await withProxy(async (proxy) => {
    const rows = await proxy.adminQuery('SHOW CONFIG');
    const setting = rows.find((row) => (row['name'] ?? row['key']) === 'auth_type');
    assert.equal(setting?.['value'], 'scram', JSON.stringify(setting));
  });
});
