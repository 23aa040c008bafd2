/**
 * Messages of any size stream through with flat memory, and one slow reader holds up nobody.
 * PGDOG_TEST_COPY_MB sets the size of the COPY tests (default 256; the full size is 1024).
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { discardAnswer, growthDuring, sendPaced } from '../support/bulk.js';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, c, d, E, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import {
  clientOf,
  eventually,
  firstValue,
  run,
  sleep,
  startWireProxy,
  withClients,
} from '../support/wire.js';

const MB = 1024 * 1024;
const COPY_BYTES = Number(process.env['PGDOG_TEST_COPY_MB'] ?? 256) * MB;
const GROWTH_BYTES_MAX = 64 * MB;
const LINE = 8 * 1024;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ initSql: 'CREATE TABLE sink (x text)' });
});
after(() => server.stop());

forEachDriver('large messages', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startWireProxy(server, driver, { database: { pool_size: 4 } });
    // The first requests load code and buffers: not part of what is measured.
    await withClients(proxy, 3, async (a, b) => {
      for (const client of [a, b]) {
        client.send(Q("SELECT repeat('x', 3000000)"));
        await client.readUntilReady();
      }
    });
  });
  after(() => proxy.stop());

  const flat = async (what: string, body: () => Promise<unknown>): Promise<void> => {
    const growth = await growthDuring(proxy.pid, body);
    assert.ok(growth < GROWTH_BYTES_MAX, `${what}: the proxy grew by ${Math.round(growth / MB)} MB`);
  };

  it('a row of 200 MB', async () => {
    const client = await clientOf(proxy);
    await flat('row', async () => {
      const answer = discardAnswer(client);
      client.send(Q(`SELECT repeat('x', ${200 * MB})`));
      const { bytes } = await answer;
      assert.ok(bytes > 200 * MB && bytes < 200 * MB + 200, `${bytes} bytes`);
    });
    client.destroy();
  });

  it('a bound value and a text of 60 MB', async () => {
    const client = await clientOf(proxy);
    const value = Buffer.alloc(60 * MB, 0x79);
    client.send(P('', 'SELECT length($1::text)'), B('', '', { values: [value] }), E(''), S());
    assert.deepEqual((await client.readUntilReady()).rows, [[String(60 * MB)]]);
    client.send(Q(`SELECT length('${value.toString('latin1')}')`));
    assert.deepEqual((await client.readUntilReady()).rows, [[String(60 * MB)]]);
    await client.end();
  });

  it(`COPY out of ${COPY_BYTES / MB} MB`, async () => {
    const client = await clientOf(proxy);
    await flat('COPY out', async () => {
      const answer = discardAnswer(client, 120_000);
      client.send(
        Q(`COPY (SELECT repeat('x', ${LINE - 1}) FROM generate_series(1, ${COPY_BYTES / LINE})) TO STDOUT`),
      );
      const { bytes } = await answer;
      assert.ok(bytes > COPY_BYTES, `${bytes} bytes`);
    });
    client.destroy();
  });

  it(`COPY in of ${COPY_BYTES / MB} MB`, async () => {
    const client = await clientOf(proxy);
    const chunk = Buffer.concat(Array.from({ length: 8 }, () => d(`${'x'.repeat(LINE - 1)}\n`)));
    await flat('COPY in', async () => {
      client.send(Q('COPY sink FROM STDIN WHERE x IS NULL'));
      await client.readUntil('G');
      await sendPaced(client, chunk, COPY_BYTES / LINE / 8);
      client.send(c());
      const { tags } = await client.readUntilReady(1, 120_000);
      assert.deepEqual(tags, ['COPY 0']);
    });
    await client.end();
  });

  it('a slow reader of a large result holds up nobody and costs no memory', () =>
    withClients(proxy, 2, async (...fast) => {
      const slow = await clientOf(proxy);
      const rows = 100 * (MB / LINE);
      slow.socket.pause();
      slow.send(Q(`SELECT repeat('x', ${LINE}) FROM generate_series(1, ${rows})`));
      await sleep(200);
      await flat('slow reader', async () => {
        let figures = '';
        const isQuick = async (): Promise<boolean> => {
          const tookMs: number[] = [];
          const ask = async (client: (typeof fast)[number]): Promise<void> => {
            for (let round = 0; round < 150; round++) {
              const since = performance.now();
              await run(client, 'SELECT 1');
              tookMs.push(performance.now() - since);
            }
          };
          await Promise.all(fast.map(ask));
          tookMs.sort((a, b) => a - b);
          const median = tookMs[tookMs.length >> 1] ?? 0;
          const p99 = tookMs[Math.floor(tookMs.length * 0.99)] ?? 0;
          figures = `median ${median.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
          return median < 20 && p99 < 200;
        };
        // Others share the machine: once is enough, for whom the slow one holds up is held up each time.
        await eventually('quick answers', isQuick).catch((error: Error) =>
          assert.fail(`${error.message}: ${figures}`),
        );
        const answer = discardAnswer(slow);
        slow.socket.resume();
        const { bytes } = await answer;
        assert.ok(bytes > rows * LINE, `${bytes} bytes`);
      });
      slow.destroy();
    }));

  it('a client that floods without reading is held back', () =>
    withClients(proxy, 1, async (other) => {
      const flood = await clientOf(proxy);
      flood.socket.pause();
      await flat('flood', async () => {
        const one = Q("SELECT repeat('x', 20000)");
        const many = Buffer.concat(Array.from({ length: 100 }, () => one));
        for (let round = 0; round < 30; round++) flood.send(many);
        for (let round = 0; round < 20; round++) {
          assert.equal(await firstValue(other, 'SELECT 1'), '1');
          await sleep(20);
        }
      });
      flood.destroy(true);
      assert.equal(await firstValue(other, 'SELECT 1'), '1');
    }));

  it('a slow reader that vanishes leaves a clean server', () =>
    withClients(proxy, 1, async (other) => {
      for (let round = 0; round < 4; round++) {
        const slow = await clientOf(proxy);
        slow.socket.pause();
        slow.send(Q("SELECT repeat('x', 10000) FROM generate_series(1, 5000)"));
        await sleep(50);
        slow.destroy(true);
        assert.equal(await firstValue(other, `SELECT ${round}`), String(round));
      }
    }));
});
