/**
 * The wire protocol, message by message beside a direct connection to the same server.
 * It has over 400 lines because most of it is one table of batches, all of which also run on one connection.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { EXCHANGE_TABLES, EXCHANGES } from '../support/exchanges.js';
import { B, C, D, E, type Frame, H, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import {
  assertSameAsDirect,
  batch,
  clientOf,
  describeFrames,
  eventually,
  firstValue,
  type Script,
  sleep,
  sqlstateOf,
  startWireProxy,
  untilBusy,
  withClients,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    initSql: EXCHANGE_TABLES,
  });
});
after(() => server.stop());

const FLUSH = H();

forEachDriver('protocol', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 4 } });
  });
  after(() => proxy.stop());

  for (const [name, [readyCount, ...parts]] of Object.entries(EXCHANGES)) {
    it(`as on a direct connection: ${name}`, () =>
      assertSameAsDirect(proxy, server, batch(readyCount, ...parts)));
  }

  it('as on a direct connection: one connection through all of it, one message per packet', () => {
    const all: Script = async (client) => {
      const frames: Frame[] = [];
      for (const [name, [readyCount, ...parts]] of Object.entries(EXCHANGES)) {
        // Postgres itself is confused by it (below): how is not ours to keep.
        if (name === 'a Query inside a batch') continue;
        for (const part of parts) client.send(part);
        frames.push(...(await client.readUntilReady(readyCount)).frames);
      }
      return frames;
    };
    return assertSameAsDirect(proxy, server, all);
  });

  it('a Query inside a batch confuses Postgres; the next client must not meet that', async () => {
    const narrow = await startWireProxy(server, driver, { database: { pool_size: 1 } });
    try {
      await withClients(narrow, 2, async (a, b) => {
        for (let round = 0; round < 3; round++) {
          a.send(P('', 'SELECT 1'), B('', ''), E(''), Q('SELECT 2'), S());
          await a.readUntilReady(2);
          assert.equal(await firstValue(b, 'SELECT 3'), '3');
        }
      });
    } finally {
      await narrow.stop();
    }
  });

  it('Flush without Sync gives what is there, and the batch goes on', async () => {
    const script: Script = async (client) => {
      const frames: Frame[] = [];
      client.send(P('fl', 'SELECT $1::int'), D('S', 'fl'), FLUSH);
      frames.push(...(await client.readUntil('T')));
      client.send(B('', 'fl', { values: ['5'] }), E(''), FLUSH);
      frames.push(...(await client.readUntil('C')));
      client.send(B('', 'fl', { values: ['x'] }), E(''), FLUSH);
      frames.push(...(await client.readUntil('E')));
      client.send(B('', 'fl', { values: ['6'] }), E(''), FLUSH);
      await client.expectSilence(30);
      client.send(S());
      frames.push(...(await client.readUntil('Z')));
      client.send(P('fl2', 'SELECT 1'), FLUSH);
      frames.push(...(await client.readUntil('1')));
      client.send(C('S', 'fl2'), FLUSH);
      frames.push(...(await client.readUntil('3')));
      client.send(S());
      frames.push(...(await client.readUntil('Z')));
      return frames;
    };
    await assertSameAsDirect(proxy, server, script);
    await assertSameAsDirect(proxy, server, script);
  });

  it('a thousand pipelined batches are answered in order', async () => {
    const client = await clientOf(proxy);
    const count = 1000;
    for (let n = 0; n < count; n++) {
      client.send(P('', n % 50 === 7 ? 'SELECT 1/0' : `SELECT ${n}`), B('', ''), E(''), S());
    }
    for (let n = 0; n < count; n++) {
      const result = await client.readUntilReady();
      if (n % 50 === 7) assert.equal(sqlstateOf(result), '22012');
      else assert.deepEqual(result.rows, [[String(n)]]);
    }
    await client.end();
  });

  it('results of clients side by side do not mix', () =>
    withClients(proxy, 12, async (...clients) => {
      await Promise.all(
        clients.map(async (client, index) => {
          for (let round = 0; round < 30; round++) {
            const token = `${index}-${round}`;
            client.send(Q(`SELECT '${token}', repeat('${index % 10}', ${round * 997})`));
            const { rows } = await client.readUntilReady();
            assert.deepEqual(rows, [[token, String(index % 10).repeat(round * 997)]]);
          }
        }),
      );
    }));

  it('cancel reaches the statement it was meant for, in each of the ways to run one', () =>
    withClients(proxy, 2, async (a, b) => {
      b.send(Q('SELECT pg_sleep(0.6)'));
      const ways: Buffer[][] = [
        [Q('SELECT pg_sleep(200)')],
        [P('', 'SELECT pg_sleep(200)'), B('', ''), E(''), S()],
        [Q('COPY (SELECT pg_sleep(0.01) FROM generate_series(1, 10000)) TO STDOUT')],
      ];
      for (const parts of ways) {
        a.send(...parts);
        // The other one's statement runs as well.
        await eventually('it runs', async () => {
          const rows = await server.query(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query ~ 'pg_sleep.(200|0.01)'",
          );
          return rows.length > 0;
        });
        await a.cancel();
        assert.equal(sqlstateOf(await a.readUntilReady()), '57014');
        assert.equal(await firstValue(a, 'SELECT 5'), '5');
      }
      assert.equal(sqlstateOf(await b.readUntilReady()), '');
    }));

  it('a cancel with the wrong secret, or for nothing, does nothing', () =>
    withClients(proxy, 1, async (a) => {
      a.send(Q('SELECT pg_sleep(0.2)'));
      await sleep(30);
      await a.cancel(Buffer.from([1, 2, 3, 4]));
      await a.cancel(Buffer.alloc(32, 7));
      assert.equal(sqlstateOf(await a.readUntilReady()), '');
      await a.cancel();
      assert.equal(await firstValue(a, 'SELECT 1'), '1');
    }));

  it('a cancel takes a waiting statement out of the queue', async () => {
    const narrow = await startWireProxy(server, driver, { database: { pool_size: 1 } });
    try {
      await withClients(narrow, 2, async (a, b) => {
        await firstValue(a, 'SELECT 1');
        a.send(Q('BEGIN'));
        await a.readUntilReady();
        b.send(Q('SELECT 1'));
        await sleep(30);
        await b.cancel();
        const result = await b.readUntilReady();
        assert.equal(sqlstateOf(result), '57014');
        assert.equal(result.error?.['M'], 'canceling statement due to user request');
        await a.query('COMMIT');
        assert.equal(await firstValue(b, 'SELECT 2'), '2');
      });
    } finally {
      await narrow.stop();
    }
  });

  const versions: [name: string, version: number, parameters?: Record<string, string>][] = [
    ['3.0', 196608],
    ['3.1', 196609],
    ['3.2', 196610],
    ['3.3', 196611],
    ['3.9999', 196608 + 9999],
    ['3.0 and _pq_ options', 196608, { '_pq_.x': '1', '_pq_.other': 'y' }],
    ['3.2 and a _pq_ option', 196610, { '_pq_.x': '1' }],
  ];
  for (const [name, version, parameters] of versions) {
    it(`protocol ${name} is negotiated as by Postgres`, async () => {
      const told: string[][] = [];
      for (const to of [server, proxy]) {
        const options = { port: to.port, password: 'postgres', version, ...(parameters && { parameters }) };
        const client = await RawClient.open(options);
        const result = await client.login();
        assert.equal(result.error, null);
        assert.deepEqual((await client.query('SELECT 1')).rows, [['1']]);
        // 3.2 has secrets of up to 256 bytes, 3.0 of 4: how long exactly is the server's choice.
        const frames = result.frames.filter(({ type }) => !['R', 'K'].includes(type));
        told.push([...describeFrames(frames), client.secret.length > 4 ? 'long secret' : 'secret of 4']);
        client.send(Q('SELECT pg_sleep(100)'));
        await untilBusy(server);
        await client.cancel();
        assert.equal(sqlstateOf(await client.readUntilReady()), '57014');
        await client.end();
      }
      assert.deepEqual(told[1], told[0]);
    });
  }
  for (const version of [262144, 9 << 16]) {
    it(`protocol ${version >> 16}.${version & 0xffff} is refused`, async () => {
      const errors = [];
      for (const to of [server, proxy]) {
        const client = await RawClient.open({ port: to.port, version });
        const { error } = await client.login();
        errors.push([error?.['S'], error?.['C']]);
        await client.expectClosed();
        client.destroy();
      }
      assert.deepEqual(errors[1], errors[0]);
    });
  }
});
