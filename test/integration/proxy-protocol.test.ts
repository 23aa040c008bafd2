/** PROXY headers in front of clients: believed from trusted networks only, and then everywhere. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { userName } from 'pgdog-cluster';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { everySplit, sendInPieces } from '../support/every-split.js';
import { int32, Q, startupPacket } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { addresses4, addresses6, crcField, proxyV1, proxyV2, tlv } from '../support/proxy-header.js';
import { RawClient } from '../support/raw-client.js';
import { firstValue, sleep, sqlstateOf, startWireProxy, untilBusy } from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const SSL_REQUEST = Buffer.concat([int32(8), int32(80_877_103)]);
const V1 = proxyV1('TCP4 192.0.2.7 203.0.113.9 35646 6432');
const V2 = crcField(
  proxyV2({
    family: 0x21,
    body: Buffer.concat([addresses6('2001:db8::7', 4711), tlv(3, '\0\0\0\0'), tlv(0xea, 'x')]),
  }),
);

interface Row {
  addr: string;
  port: string;
  peer_user: string | null;
}

/** Of clients of database postgres. The admin connection has to get past the header as well. */
async function shownClients(proxy: TestProxy, header: Buffer | null, host?: string): Promise<Row[]> {
  const admin = await open(proxy, { user: 'admin', password: 'admin', database: 'admin', host });
  if (header !== null) admin.send(header);
  await admin.login();
  const { rows } = await admin.query('SHOW CLIENTS user, addr, port, peer_user');
  await admin.end();
  return rows
    .filter(([user]) => user === 'postgres')
    .map(([, addr, port, peer]) => ({ addr: addr ?? '', port: port ?? '', peer_user: peer }));
}

const open = (proxy: TestProxy, options = {}): Promise<RawClient> =>
  RawClient.open({ port: proxy.port, password: 'postgres', ...options });

/** Sends the header, logs in, and says what SHOW CLIENTS calls the client. */
async function seenAs(proxy: TestProxy, header: Buffer | null, host?: string): Promise<Row> {
  const client = await open(proxy, { host });
  if (header !== null) client.send(header);
  const { error } = await client.login();
  assert.equal(error, null);
  const [row] = await shownClients(proxy, header, host);
  assert.equal(await firstValue(client, 'SELECT 1'), '1');
  await client.end();
  return row;
}

/** A connection that ends without a byte of answer. */
async function assertSilentEnd(proxy: TestProxy, ...parts: Buffer[]): Promise<void> {
  const client = await open(proxy);
  client.send(...parts);
  await client.expectClosed();
  assert.equal(Buffer.concat(client.received).length, 0);
}

forEachDriver('PROXY protocol', (driver) => {
  const decides = decisionsOn(driver);
  it('the address in the header is the client’s, in SHOW and in the log; SSLRequest and cancel work behind it', async () => {
    const proxy = await startWireProxy(server, driver, {
      workers: 2,
      general: { proxy_protocol_networks: '127.0.0.0/8', log_connections: true },
    });
    try {
      assert.deepEqual(await seenAs(proxy, V1), { addr: '192.0.2.7', port: '35646', peer_user: null });
      assert.deepEqual(await seenAs(proxy, V2), { addr: '2001:db8::7', port: '4711', peer_user: null });
      await proxy.waitForOutput('addr=192.0.2.7 port=35646');
      await proxy.waitForOutput('addr=2001:db8::7 port=4711');
      for (const header of [
        proxyV1('UNKNOWN x'),
        proxyV2({ command: 0, family: 0 }),
        proxyV2({ family: 0x31, body: Buffer.alloc(216) }),
      ]) {
        assert.equal((await seenAs(proxy, header)).addr, '127.0.0.1');
      }
      const client = await open(proxy);
      client.send(V1, SSL_REQUEST);
      while (client.received.length === 0) await sleep(5);
      assert.equal(Buffer.concat(client.received).toString(), 'N');
      client.destroy();
      const whole = await open(proxy);
      whole.send(V2, startupPacket({ user: 'postgres', database: 'postgres' }));
      assert.equal((await whole.readFrame()).type, 'R', 'header and start-up packet in one piece');
      whole.destroy();
      const slow = await open(proxy);
      slow.send(V1);
      await slow.login();
      slow.send(Q('SELECT pg_sleep(200)'));
      await untilBusy(server);
      for (let attempt = 0; attempt < 2; attempt++) {
        const cancelling = await open(proxy);
        cancelling.send(V2, int32(16), int32(80_877_102), int32(slow.pid), slow.secret);
        await cancelling.expectClosed();
      }
      assert.equal(sqlstateOf(await slow.readUntilReady()), '57014');
      await slow.end();
      // Names in refusals as well: a wrong password is logged with the client's address.
      const wrong = await open(proxy, { password: 'wrong' });
      wrong.send(proxyV1('TCP4 198.51.100.5 203.0.113.9 1 2'));
      assert.equal(sqlstateOf(await wrong.login()), '28P01');
      await proxy.waitForOutput('addr=198.51.100.5');
    } finally {
      await proxy.stop();
    }
  });

  it('cut at every offset, in single bytes and with the login behind it', async () => {
    const proxy = await startWireProxy(server, driver, {
      general: { proxy_protocol_networks: ['127.0.0.1', '::1'], auth_type: 'trust' },
    });
    try {
      const startup = startupPacket({ user: 'postgres', database: 'postgres' });
      for (const header of [
        proxyV1('TCP4 192.0.2.7 203.0.113.9 1 2'),
        proxyV2({ body: addresses4('192.0.2.7', 9) }),
      ]) {
        await everySplit(Buffer.concat([header, startup.subarray(0, 9)]), async (pieces) => {
          const client = await open(proxy);
          await sendInPieces(client, [...pieces, startup.subarray(9)]);
          await client.readUntilReady();
          await client.end();
        });
        const client = await open(proxy);
        await sendInPieces(
          client,
          Array.from(Buffer.concat([header, startup]), (byte) => Buffer.from([byte])),
        );
        await client.readUntilReady();
        await client.end();
      }
    } finally {
      await proxy.stop();
    }
  });

  it('refused: malformed headers and two of them end without a word, with a line in the log', async () => {
    const proxy = await startWireProxy(server, driver, {
      general: { proxy_protocol_networks: ['127.0.0.0/8'] },
    });
    try {
      await assertSilentEnd(proxy, proxyV1('TCP4 192.0.2.7 203.0.113.9 99999 1'));
      await proxy.waitForOutput('PROXY header refused: version 1: a port');
      await assertSilentEnd(proxy, Buffer.alloc(200, 0x50));
      const wrong = Buffer.from(V2);
      wrong[20] ^= 1;
      await assertSilentEnd(proxy, wrong);
      await proxy.waitForOutput('version 2: wrong checksum');
      const long = proxyV2({});
      long.writeUInt16BE(60_000, 14);
      await assertSilentEnd(proxy, long);
      await assertSilentEnd(proxy, V1, V1);
      await proxy.waitForOutput('or has sent one already worker=0 addr=192.0.2.7');
      assert.equal((await seenAs(proxy, V1)).addr, '192.0.2.7', 'others are served');
    } finally {
      await proxy.stop();
    }
  });

  decides('from anywhere else the header is no start-up packet', async () => {
    const proxy = await startWireProxy(server, driver, {
      general: { proxy_protocol_networks: ['192.0.2.0/24', 'unix'] },
    });
    const without = await startWireProxy(server, driver);
    try {
      for (const one of [proxy, without]) {
        await assertSilentEnd(one, V1);
        await assertSilentEnd(one, V2);
        await one.waitForOutput('PROXY header refused: the address is in none of proxy_protocol_networks');
        assert.equal((await seenAs(one, null)).addr, '127.0.0.1', 'without a header nothing is different');
      }
    } finally {
      await Promise.all([proxy.stop(), without.stop()]);
    }
  });

  decides(
    'no header from a trusted address: refused with a reason, unless it is optional; a silent one times out',
    async () => {
      const general = { proxy_protocol_networks: ['127.0.0.0/8'], client_login_timeout: 10_000 };
      const strict = await startWireProxy(server, driver, { general });
      const lenient = await startWireProxy(server, driver, {
        general: { ...general, proxy_protocol: 'optional' },
      });
      try {
        const client = await open(strict);
        const { error } = await client.login();
        assert.deepEqual([error?.S, error?.C], ['FATAL', '08P01']);
        assert.match(error?.M ?? '', /must begin with a PROXY header/);
        await strict.waitForOutput('no PROXY header, which is required');
        const ssl = await open(strict);
        ssl.send(SSL_REQUEST);
        assert.equal(sqlstateOf(await ssl.expectClosed()), '08P01');
        assert.equal((await seenAs(lenient, null)).addr, '127.0.0.1');
        assert.equal((await seenAs(lenient, V2)).addr, '2001:db8::7');
        const admin = await open(strict, { user: 'admin', password: 'admin', database: 'admin' });
        admin.send(V1);
        await admin.login();
        assert.equal((await admin.query('SET client_login_timeout = 500')).error, null);
        const silent = await open(strict);
        silent.send(V1.subarray(0, 10));
        assert.equal(sqlstateOf(await silent.expectClosed()), '57P05');
      } finally {
        await Promise.all([strict.stop(), lenient.stop()]);
      }
    },
  );

  it('by a Unix socket: the balancer’s user is not taken for the client’s', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pgdog-proxy-protocol-'));
    const proxy = await startWireProxy(server, driver, {
      general: { unix_socket_dir: directory, proxy_protocol_networks: ['unix'], proxy_protocol: 'optional' },
    });
    try {
      assert.notEqual((await seenAs(proxy, null, directory)).peer_user, null);
      const own = await seenAs(proxy, proxyV2({ command: 0, family: 0 }), directory);
      assert.ok(own.addr === 'unix' && own.peer_user !== null, 'LOCAL is the balancer itself');
      assert.deepEqual(await seenAs(proxy, V1, directory), {
        addr: '192.0.2.7',
        port: '35646',
        peer_user: null,
      });
      const unknown = await seenAs(proxy, proxyV1('UNKNOWN'), directory);
      assert.deepEqual([unknown.addr, unknown.peer_user], ['unknown', null]);
      assert.equal((await seenAs(proxy, null)).addr, '127.0.0.1', 'TCP is not trusted');
    } finally {
      await proxy.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  decides(
    'rules see who is meant: peers by Unix sockets, addresses of headers, and nobody local behind a balancer',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'pgdog-proxy-rules-'));
      const me = (await userName(process.getuid?.() ?? 0)) ?? 'root';
      const rules = 'local all all peer\nhost all all 192.0.2.0/24 trust\nhost all all 2001:db8::/32 trust\n';
      writeFileSync(join(directory, 'hba'), rules);
      const proxy = await startProxy({
        workers: 2,
        ioDriver: driver,
        databases: [databaseOf(server, { user: 'postgres', password: 'postgres' })],
        users: [{ name: me }, { name: 'somebody', password: 'x' }],
        general: {
          auth_type: 'hba',
          auth_hba_file: join(directory, 'hba'),
          unix_socket_dir: directory,
          proxy_protocol_networks: ['127.0.0.0/8', 'unix'],
          proxy_protocol: 'optional',
          min_pool_size: 0,
        },
      });
      const login = async (user: string, host: string, header: Buffer | null): Promise<string> => {
        const client = await open(proxy, { user, host });
        if (header !== null) client.send(header);
        const { error } = await client.login();
        client.destroy();
        return error === null ? 'in' : `${error.C} ${error.M.split(' ')[0]}`;
      };
      try {
        assert.equal(await login(me, directory, null), 'in');
        assert.equal(
          await login(me, directory, proxyV2({ command: 0, family: 0 })),
          'in',
          'LOCAL is who connected',
        );
        assert.equal(await login('somebody', directory, null), '28000 Peer');
        assert.equal(await login('somebody', directory, V1), 'in');
        assert.equal(await login('somebody', '127.0.0.1', V2), 'in');
        for (const header of [
          proxyV1('UNKNOWN'),
          proxyV2({ family: 0x31, body: Buffer.alloc(216) }),
          proxyV1('TCP4 198.51.100.5 203.0.113.9 1 2'),
        ]) {
          assert.equal(await login(me, directory, header), '28000 no', 'no rule fits');
        }
        assert.equal(await login(me, '127.0.0.1', null), '28000 no');
      } finally {
        await proxy.stop();
        rmSync(directory, { recursive: true, force: true });
      }
    },
  );
});
