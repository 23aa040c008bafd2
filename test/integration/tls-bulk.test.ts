/** Much of everything through TLS: large messages with slow readers, many handshakes, and a storm of them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, it } from 'node:test';
import { testAuthority } from '../support/certificates.js';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { c, d, Q } from '../support/frames.js';
import { RawClient } from '../support/raw-client.js';
import { TlsFolder } from '../support/tls-folder.js';
import { clientOf, eventually, firstValue, sleep, startWireProxy } from '../support/wire.js';

const own = testAuthority().issue({ names: ['localhost'] });
const folder = new TlsFolder();
const MEGABYTE = 1024 * 1024;

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    settings: folder.forPostgres(own),
    initSql: 'CREATE UNLOGGED TABLE sink (line text)',
  });
});
after(() => server.stop());

forEachDriver('TLS in bulk, both sides', (driver) => {
  const settings = { ...folder.forClients(own), tls_verify: 'require' };

  it('40 MB to a reader that pauses, and back', async () => {
    const proxy = await startWireProxy(server, driver, { general: settings });
    try {
      const client = await clientOf(proxy, { tls: {}, timeoutMs: 60_000 });
      const { socket } = client;
      const rows = 40;
      client.send(Q(`SELECT repeat(chr(65 + n % 26), ${MEGABYTE}) FROM generate_series(0, ${rows - 1}) n`));
      const pauses = setInterval(() => {
        socket.pause();
        setTimeout(() => socket.resume(), 30);
      }, 60);
      let seen = 0;
      for (;;) {
        const { type, body } = await client.readFrame();
        client.received.length = 0;
        if (type === 'D') {
          assert.equal(body.length, 6 + MEGABYTE);
          const letter = 65 + (seen++ % 26);
          assert.ok(body[6] === letter && body[body.length - 1] === letter && body[MEGABYTE >> 1] === letter);
        }
        if (type === 'Z') break;
      }
      clearInterval(pauses);
      assert.equal(seen, rows);

      client.send(Q('TRUNCATE sink; COPY sink FROM STDIN'));
      await client.readUntil('G');
      const hash = createHash('md5');
      const line = Buffer.alloc(MEGABYTE - 1, 'y');
      for (let round = 0; round < rows; round++) {
        line[0] = 65 + (round % 26);
        hash.update(line);
        client.send(d(`${line.toString('latin1')}\n`));
        if (socket.writableNeedDrain) await new Promise((resolve) => socket.once('drain', resolve));
      }
      client.send(c());
      const result = await client.readUntilReady(1, 60_000);
      assert.deepEqual(result.tags.at(-1), `COPY ${rows}`);
      const [row] = await server.query<{ bytes: string; letters: string }>(
        'SELECT sum(length(line)) AS bytes, count(DISTINCT left(line, 1)) AS letters FROM sink',
      );
      assert.deepEqual({ ...row }, { bytes: String(rows * (MEGABYTE - 1)), letters: '26' });
      await client.end();
    } finally {
      await proxy.stop();
    }
  });

  it('a reader that never reads holds up itself and no other', async () => {
    const proxy = await startWireProxy(server, driver, { general: settings });
    try {
      const stuck = await clientOf(proxy, { tls: {} });
      stuck.socket.pause();
      stuck.send(Q(`SELECT repeat('x', ${MEGABYTE}) FROM generate_series(1, 60)`));
      await sleep(300);
      const other = await clientOf(proxy, { tls: {} });
      for (let round = 0; round < 50; round++) assert.equal(await firstValue(other, 'SELECT 1'), '1');
      await other.end();
      stuck.destroy();
      await eventually('its server connection is clean again', async () => {
        const rows = await proxy.adminQuery<{ state: string }>('SHOW SERVERS state');
        return rows.every(({ state }) => state === 'idle');
      });
    } finally {
      await proxy.stop();
    }
  });

  it('a thousand handshakes, some cut short, leave no client and no server connection behind', async () => {
    const proxy = await startWireProxy(server, driver, { general: settings });
    try {
      const total = 1000;
      let done = 0;
      const one = async (number: number): Promise<void> => {
        if (number % 10 === 9) {
          const client = await RawClient.open({ port: proxy.port });
          client.send(Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]));
          await sleep(1);
          client.send(Buffer.from([0x16, 3, 1, 0, 200, 1]));
          client.destroy(number % 20 === 19);
        } else if (number % 3 === 0) {
          const client = await clientOf(proxy, { tls: {} });
          await client.end();
        } else (await RawClient.open({ port: proxy.port, tls: {} })).destroy();
        done++;
      };
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < total) await one(next++);
      };
      await Promise.all(Array.from({ length: 25 }, work));
      assert.equal(done, total);
      await eventually('nobody is left', async () => {
        const [row] = await proxy.adminQuery<{ used_clients: string }>('SHOW LISTS');
        return Number(row?.used_clients) <= 1;
      });
      const client = await clientOf(proxy, { tls: {} });
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
      await client.end();
    } finally {
      await proxy.stop();
    }
  });

  it('a storm of connects: all get in, and running clients are answered meanwhile', async () => {
    const proxy = await startWireProxy(server, driver, { general: settings });
    try {
      const running = await clientOf(proxy, { tls: {} });
      let isOver = false;
      let answered = 0;
      const work = (async () => {
        while (!isOver) {
          assert.equal(await firstValue(running, 'SELECT 1'), '1');
          answered++;
        }
      })();
      const clients = await Promise.all(
        Array.from({ length: 150 }, () => clientOf(proxy, { tls: {}, timeoutMs: 30_000 })),
      );
      isOver = true;
      await work;
      // Few, because all 150 clients share this process with it; how turns are rationed is a unit test.
      assert.ok(answered > 0);
      await Promise.all(clients.map((client) => client.end()));
      await running.end();
    } finally {
      await proxy.stop();
    }
  });
});
