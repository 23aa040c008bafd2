/** Replication connections in each pool mode: a server connection of their own, streams both ways, and nothing left. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { B, c, D, E, P, Q, S } from '../support/frames.js';
import type { ProxyUser, TestProxy } from '../support/proxy.js';
import {
  logical,
  nothingLeft,
  physical,
  serverRows,
  startReplicationServer,
  startStream,
  status,
  trackedClientOf,
  untilChange,
} from '../support/replication.js';
import {
  assertSameAsDirect,
  eventually,
  firstValue,
  run,
  setEverywhere,
  sleep,
  sqlstateOf,
  startWireProxy,
  WIRE_USER,
} from '../support/wire.js';

const POOL_SIZE = 2;
const PLAIN: ProxyUser = { name: 'plain', password: 'plain', database: 'postgres' };

let server: TestPostgres;
before(async () => {
  server = await startReplicationServer();
});
after(() => server.stop());

const isSleeping = async (): Promise<boolean> =>
  (await server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).length > 0;

for (const mode of ['transaction', 'session', 'statement']) {
  forEachDriver(`replication, ${mode} mode`, (driver) => {
    let proxy: TestProxy;
    before(async () => {
      proxy = await startWireProxy(server, driver, {
        database: { pool_size: POOL_SIZE, pooler_mode: mode },
        users: [WIRE_USER, PLAIN],
        general: { checkout_timeout: 30_000 },
      });
    });
    after(() => proxy.stop());

    it('answers replication commands as the server itself does', async () => {
      const commands = ['SHOW server_version', 'CREATE_REPLICATION_SLOT', 'TIMELINE_HISTORY 99', 'SELECT 1'];
      for (const replication of ['database', 'true', 'on', 'YES', '1']) {
        await assertSameAsDirect(
          proxy,
          server,
          async (client) => {
            const frames = [];
            for (const command of commands) frames.push(...(await client.query(command)).frames);
            return frames;
          },
          { parameters: { replication } },
        );
      }
      const client = await logical(proxy);
      const { columns, rows } = await client.query('IDENTIFY_SYSTEM');
      assert.deepEqual(columns, ['systemid', 'timeline', 'xlogpos', 'dbname']);
      assert.equal(rows[0]?.[3], 'postgres');
      await client.end();
      await nothingLeft(server, proxy);
    });

    it('streams an inserted row longer than query_timeout, and takes status updates meanwhile', async () => {
      const client = await logical(proxy);
      await startStream(client, 'rows');
      await setEverywhere(proxy, 'query_timeout = 700');
      assert.deepEqual(
        (await proxy.adminQuery<{ replication: string; state: string }>('SHOW CLIENTS'))
          .map(({ replication, state }) => `${replication} ${state}`)
          .filter((text) => !text.startsWith('none')),
        ['logical active'],
      );
      const writer = await trackedClientOf(server);
      for (const name of ['first', 'second']) {
        await run(writer, `INSERT INTO item VALUES ('${name}')`);
        await untilChange(client, `name[text]:'${name}'`);
        await sleep(400);
      }
      await setEverywhere(proxy, 'query_timeout = 0');
      client.send(status(1n));
      // The answer to a status update that asks for one.
      while ((await client.readFrame()).body[0] !== 0x6b);
      // The end of a stream from the client's side; then commands again, on the same connection.
      client.send(c());
      const { tags, status: ready } = await client.readUntilReady();
      assert.deepEqual(tags, ['COPY 0', 'START_REPLICATION']);
      assert.equal(ready, 'I');
      assert.equal((await client.query('IDENTIFY_SYSTEM')).rows.length, 1);
      await Promise.all([client.end(), writer.end()]);
      await nothingLeft(server, proxy);
    });

    it('a client that vanishes in mid-stream frees the walsender and its place', async () => {
      for (let round = 0; round < POOL_SIZE + 1; round++) {
        const client = await logical(proxy);
        await startStream(client, `gone_${round}`);
        client.destroy(round % 2 === 0);
      }
      await nothingLeft(server, proxy);
    });

    it('the dedicated connection serves nobody else', async () => {
      const client = await logical(proxy);
      const walsender = (await client.query('SELECT pg_backend_pid()')).rows[0]?.[0];
      const other = await trackedClientOf(proxy);
      for (let round = 0; round < 3; round++) {
        assert.notEqual(await firstValue(other, 'SELECT pg_backend_pid()'), walsender);
      }
      await client.end();
      assert.notEqual(await firstValue(other, 'SELECT pg_backend_pid()'), walsender);
      await other.end();
      await nothingLeft(server, proxy);
    });

    it('the pool is full of streams: waits, checkout timeout, and is served when one ends', async () => {
      const streams = [await logical(proxy), await physical(proxy)];
      const waiting = await trackedClientOf(proxy);
      await setEverywhere(proxy, 'checkout_timeout = 600');
      await assert.rejects(logical(proxy), /58000: checkout timeout.*pool_size = 2/);
      assert.equal(sqlstateOf(await waiting.query('SELECT 1')), '58000');
      await setEverywhere(proxy, 'checkout_timeout = 30000');
      const late = physical(proxy);
      await sleep(50);
      await streams[0].end();
      assert.equal((await (await late).query('IDENTIFY_SYSTEM')).rows.length, 1);
      await Promise.all([streams[1].end(), waiting.end(), (await late).end()]);
      await nothingLeft(server, proxy);
    });

    it('idle server connections make room', async () => {
      const clients = await Promise.all([trackedClientOf(proxy), trackedClientOf(proxy)]);
      const isFree = mode !== 'session';
      await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.05)')));
      if (!isFree) await Promise.all(clients.map((client) => client.end()));
      const streams = await Promise.all([logical(proxy), logical(proxy)]);
      assert.equal((await serverRows(proxy)).length, POOL_SIZE);
      await Promise.all(streams.map((stream) => stream.end()));
      if (isFree) {
        assert.equal(await firstValue(clients[0], 'SELECT 1'), '1');
        await Promise.all(clients.map((client) => client.end()));
      }
      await nothingLeft(server, proxy);
    });

    it("the client's start-up settings are in force from the first command", async () => {
      const client = await logical(proxy, {
        parameters: { application_name: 'standby7', options: '-c work_mem=7MB -c extra_float_digits=1' },
      });
      assert.equal(client.parameters['application_name'], 'standby7');
      assert.equal(await firstValue(client, 'SHOW work_mem'), '7MB');
      assert.equal(await firstValue(client, 'SHOW application_name'), 'standby7');
      await client.end();
      await assert.rejects(logical(proxy, { parameters: { work_mem: 'much' } }), /22023: invalid value/);
      await nothingLeft(server, proxy);
    });

    it('extended messages are refused by the server itself', () =>
      assertSameAsDirect(
        proxy,
        server,
        async (client) => {
          client.send(P('', 'SELECT 1'), B('', ''), D('P', ''), E(''), S());
          const { frames } = await client.readUntilReady();
          return [...frames, ...(await client.query('SHOW server_version')).frames];
        },
        { parameters: { replication: 'database' } },
      ));

    it('a cancel request ends the command that runs', async () => {
      const client = await logical(proxy);
      const ended = client.query('SELECT pg_sleep(300)');
      await eventually('it runs', isSleeping);
      await client.cancel();
      assert.equal(sqlstateOf(await ended), '57014');
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
      await client.end();
      await nothingLeft(server, proxy);
    });

    it('a client that vanishes while its command runs leaves no statement running', async () => {
      const client = await logical(proxy);
      client.send(Q('SELECT pg_sleep(300)'));
      await eventually('it runs', isSleeping);
      client.destroy();
      await nothingLeft(server, proxy);
      await eventually('nothing sleeps', async () => !(await isSleeping()));
    });

    it('refuses what Postgres refuses: values, roles, passwords', async () => {
      for (const replication of ['maybe', '', 'o', 'DATABASE', '2']) {
        await assert.rejects(
          trackedClientOf(server, { parameters: { replication } }),
          /22023/,
          'Postgres itself',
        );
        await assert.rejects(
          trackedClientOf(proxy, { parameters: { replication } }),
          new RegExp(`22023: invalid value for parameter "replication": "${replication}"`),
        );
      }
      const plain = { user: 'plain', password: 'plain' };
      await assert.rejects(logical(proxy, plain), /42501: permission denied to start WAL sender/);
      await assert.rejects(physical(proxy, { password: 'wrong' }), /28P01/);
      await assert.rejects(physical(proxy, { database: 'nowhere', user: 'nobody' }), /28P01/);
      // That one was refused says nothing about the others.
      const ordinary = await trackedClientOf(proxy, plain);
      assert.equal(await firstValue(ordinary, 'SELECT 1'), '1');
      await ordinary.end();
      await nothingLeft(server, proxy);
    });

    it('false values make an ordinary session', async () => {
      for (const replication of ['false', 'off', 'no', '0', 'F']) {
        const client = await trackedClientOf(proxy, { parameters: { replication } });
        client.send(P('', 'SELECT 1'), B('', ''), E(''), S());
        assert.deepEqual((await client.readUntilReady()).rows, [['1']]);
        await client.end();
      }
    });

    it('physical replication needs no database name', async () => {
      for (const database of ['', 'replication', 'nowhere']) {
        const client = await physical(proxy, { database });
        assert.equal((await client.query('IDENTIFY_SYSTEM')).rows.length, 1);
        await client.end();
      }
      await assert.rejects(logical(proxy, { database: 'nowhere' }), /28P01/);
      await nothingLeft(server, proxy);
    });
  });
}
