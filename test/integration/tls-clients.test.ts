/** TLS of clients: who gets in, by which rules, and what is refused before anybody is asked who it is. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import postgres from 'postgres';
import { testAuthority } from '../support/certificates.js';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { Q, sslRequest, startupPacket } from '../support/frames.js';
import { PATIENCE_MS } from '../support/patience.js';
import { findProgram } from '../support/programs.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { TlsFolder } from '../support/tls-folder.js';
import {
  clientOf,
  clientsOfAllWorkers,
  eventually,
  firstValue,
  spread,
  startWireProxy,
  untilBusy,
} from '../support/wire.js';

const psql = findProgram('psql');
const authority = testAuthority();
const strangers = testAuthority('somebody else');
const own = authority.issue({
  subject: [
    ['O', 'test'],
    ['CN', 'localhost'],
  ],
  names: ['localhost'],
  addresses: ['127.0.0.1'],
});
const folder = new TlsFolder();
const FILES = folder.forClients(own);
const CA = folder.write('ca.pem', authority.certificate);

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

type Settings = Record<string, string | number | boolean>;
const start = (driver: 'io_uring' | 'epoll', general: Settings = {}, workers = 1): Promise<TestProxy> =>
  startWireProxy(server, driver, { workers, general: { ...FILES, ...general } });

async function withProxy(
  driver: 'io_uring' | 'epoll',
  general: Settings,
  body: (proxy: TestProxy) => Promise<void>,
  workers = 1,
): Promise<void> {
  const proxy = await start(driver, general, workers);
  try {
    await body(proxy);
  } finally {
    await proxy.stop();
  }
}

async function refusalOf(
  proxy: TestProxy,
  tls: Record<string, unknown>,
  isDirectTls = false,
): Promise<string> {
  try {
    const client = await RawClient.connect({ port: proxy.port, password: 'postgres', tls, isDirectTls });
    client.destroy();
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What comes back, until the proxy closes. */
function exchangeRaw(port: number, ...chunks: Buffer[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1');
    const received: Buffer[] = [];
    socket.setTimeout(PATIENCE_MS, () => reject(new Error('still open')));
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(received)));
    socket.on('connect', () => {
      socket.setNoDelay(true);
      for (const chunk of chunks) socket.write(chunk);
    });
  });
}

forEachDriver('TLS of clients', (driver) => {
  const decides = decisionsOn(driver);
  /** With nothing but a certificate: for all tests that set nothing else and look for no line that another one causes. */
  let plain: TestProxy;
  before(async () => {
    plain = await start(driver);
  });
  after(() => plain.stop());

  it('psql connects in every sslmode', { skip: psql.skip }, async () => {
    for (const mode of ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']) {
      const target = `host=localhost hostaddr=127.0.0.1 port=${plain.port} user=postgres password=postgres dbname=postgres sslmode=${mode} sslrootcert=${CA}`;
      const { stdout } = await promisify(execFile)(psql.path ?? '', [
        target,
        '-Atc',
        "select repeat('x', 100000)",
        '-c',
        '\\conninfo',
      ]);
      assert.equal(stdout.split('\n')[0], 'x'.repeat(100_000), mode);
      assert.equal(stdout.includes('TLSv1.3'), mode !== 'disable' && mode !== 'allow', mode);
    }
    const wrong = `host=127.0.0.1 port=${plain.port} user=postgres password=postgres dbname=postgres sslmode=verify-ca sslrootcert=${folder.write('strangers.pem', strangers.certificate)}`;
    await assert.rejects(promisify(execFile)(psql.path ?? '', [wrong, '-c', 'select 1']), /verify failed/);
  });

  it('node-postgres and postgres.js verify our certificate and run', async () => {
    await withProxy(driver, { tls_client_required: true }, async (proxy) => {
      const ssl = { ca: authority.certificate, servername: 'localhost' };
      const client = new pg.Client({ connectionString: proxy.url(), ssl });
      await client.connect();
      const { rows } = await client.query('SELECT $1::int + 1 AS n', [41]);
      assert.equal(rows[0].n, 42);
      await client.end();
      const sql = postgres(proxy.url(), { ssl, max: 3 });
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => sql`SELECT ${n}::int AS n`));
      assert.deepEqual(
        answers.map(([row]) => row.n),
        Array.from({ length: 20 }, (_, n) => n),
      );
      await sql.end();
    });
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    decides(`${version}: what is shown, and the other version refused where it is not allowed`, async () => {
      const other = version === 'TLSv1.2' ? 'TLSv1.3' : 'TLSv1.2';
      await withProxy(driver, { client_tls_protocols: version.toLowerCase() }, async (proxy) => {
        const client = await clientOf(proxy, { tls: { ca: authority.certificate } });
        const [row] = await proxy.adminQuery<{ tls: string; user: string }>('SHOW CLIENTS user, tls');
        assert.equal(row?.tls.split('/')[0], version);
        await client.end();
        const refusal = await refusalOf(proxy, { minVersion: other, maxVersion: other });
        assert.notEqual(refusal, '');
        await proxy.waitForOutput('TLS handshake failed');
      });
    });
  }

  decides('ciphers and groups are those of the settings', async () => {
    const settings = {
      client_tls_ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305',
      client_tls13_ciphers: 'TLS_AES_128_GCM_SHA256',
      client_tls_ecdhcurve: 'P-384',
    };
    await withProxy(driver, settings, async (proxy) => {
      const seen: string[] = [];
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const client = await clientOf(proxy, { tls: { maxVersion } });
        const [row] = await proxy.adminQuery<{ tls: string }>('SHOW CLIENTS tls');
        seen.push(row?.tls ?? '');
        await client.end();
      }
      assert.deepEqual(seen, ['TLSv1.2/ECDHE-ECDSA-CHACHA20-POLY1305', 'TLSv1.3/TLS_AES_128_GCM_SHA256']);
      assert.notEqual(await refusalOf(proxy, { ecdhCurve: 'X25519' }), '', 'another group');
    });
  });

  it('direct TLS: with our protocol named, and not otherwise', async () => {
    const named = { ALPNProtocols: ['postgresql'] };
    const client = await clientOf(plain, { tls: named, isDirectTls: true });
    assert.equal(await firstValue(client, 'SELECT 7'), '7');
    await client.end();
    assert.notEqual(await refusalOf(plain, {}, true), '', 'no protocol named');
    await plain.waitForOutput('direct TLS without naming the protocol');
    assert.notEqual(await refusalOf(plain, { ALPNProtocols: ['http/1.1'] }, true), '', 'another protocol');
    // After SSLRequest it may be named, and must then be ours.
    assert.equal(await refusalOf(plain, named), '');
    assert.notEqual(await refusalOf(plain, { ALPNProtocols: ['h2'] }), '');
  });

  decides('a client without TLS is refused where it is required, with 28000', async () => {
    const settings: Settings[] = [{ tls_client_required: true }, { client_tls_sslmode: 'require' }];
    for (const general of settings) {
      await withProxy(driver, general, async (proxy) => {
        const client = await RawClient.open({ port: proxy.port, password: 'postgres' });
        const { error, frames } = await client.login();
        assert.equal(error?.['C'], '28000');
        assert.match(error?.['M'] ?? '', /only TLS connections are allowed/);
        assert.deepEqual(
          frames.map(({ type }) => type),
          ['E'],
          'nothing was asked before',
        );
        await client.expectClosed();
        client.destroy();
        assert.equal(await refusalOf(proxy, {}), '');
      });
    }
  });

  decides('without a certificate clients are told that there is no TLS', async () => {
    const proxy = await startWireProxy(server, driver);
    try {
      assert.equal((await firstAnswer(proxy.port, sslRequest())).toString(), 'N');
      // Direct TLS: a close, nothing else.
      const hello = Buffer.concat([Buffer.from([0x16, 3, 1, 0, 64]), randomBytes(64)]);
      assert.equal((await exchangeRaw(proxy.port, hello)).length, 0);
    } finally {
      await proxy.stop();
    }
  });

  it('plain bytes behind SSLRequest or GSSENCRequest are refused, whenever they arrive', async () => {
    await withProxy(driver, {}, async (proxy) => {
      const startup = startupPacket({ user: 'postgres', database: 'postgres' });
      const gss = Buffer.from(sslRequest());
      gss.writeInt32BE(80877104, 4);
      for (const request of [sslRequest(), gss]) {
        const together = await exchangeRaw(proxy.port, Buffer.concat([request, startup, Q('SELECT 1')]));
        assert.match(together.toString('latin1'), /08P01.*unencrypted data after an encryption request/s);
        assert.notEqual(together[0], 0x53);
      }
      // A moment later they are taken for what they are not: TLS.
      const later = await new Promise<Buffer>((resolve) => {
        const socket = connectTcp(proxy.port, '127.0.0.1');
        const received: Buffer[] = [];
        socket.on('error', () => undefined);
        socket.on('data', (chunk) => {
          received.push(chunk);
          if (received.length === 1) socket.write(Buffer.concat([startup, Q('SELECT 1')]));
        });
        socket.on('close', () => resolve(Buffer.concat(received)));
        socket.write(sslRequest());
      });
      assert.equal(later[0], 0x53);
      // An alert at most; no frame of Postgres.
      assert.ok(later.length <= 1 + 7, `${later.length} bytes`);
      assert.equal(later.length === 1 || later[1] === 0x15, true);
      await proxy.waitForOutput('TLS handshake failed');
    });
  });

  it('an encryption request inside TLS is a protocol violation', async () => {
    const client = await RawClient.open({ port: plain.port, tls: {} });
    client.send(sslRequest());
    const { error } = await client.expectClosed();
    assert.equal(error?.['C'], '08P01');
    client.destroy();
  });

  it('garbage in the handshake ends that connection and nothing else', async () => {
    const bystander = await clientOf(plain, { tls: {} });
    const heads = [[0x16, 3, 1, 0x02, 0x00], [0x16, 3, 3, 0xff, 0xff], [0x17, 3, 3, 0, 5], [0x80, 0x2e], []];
    for (const head of heads) {
      const bytes = Buffer.concat([Buffer.from(head), randomBytes(700)]);
      const answer = await afterAccepted(plain.port, bytes);
      assert.ok(answer.length <= 7, `${answer.length} bytes of answer`);
    }
    assert.equal(await firstValue(bystander, 'SELECT 1'), '1');
    await bystander.end();
  });

  it('half a handshake and silence: the login time-out closes it', async () => {
    await withProxy(driver, { client_login_timeout: 400 }, async (proxy) => {
      const startedMs = performance.now();
      const head = Buffer.from([0x16, 3, 1, 1, 0, 1, 0, 0, 252]);
      const answer = await afterAccepted(proxy.port, head);
      assert.equal(answer.length, 0, 'nothing in the clear');
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs >= 300, `${tookMs} ms`);
    });
  });

  it('a client that ends TLS in the middle of its login leaves nothing', async () => {
    for (let round = 0; round < 20; round++) {
      const client = await RawClient.open({ port: plain.port, tls: {} });
      if (round % 2 === 0) client.send(startupPacket({ user: 'postgres', database: 'postgres' }));
      client.destroy();
    }
    await eventually('no client left', async () => {
      const [row] = await plain.adminQuery<{ used_clients: string }>('SHOW LISTS');
      // The one that asks.
      return Number(row?.used_clients) <= 1;
    });
  });

  it('renegotiation is refused and harms nobody', async () => {
    const client = await clientOf(plain, { tls: { maxVersion: 'TLSv1.2' } });
    const socket = client.socket as import('node:tls').TLSSocket;
    const error = await new Promise<Error | null>((resolve) => {
      socket.once('error', resolve);
      socket.once('close', () => resolve(new Error('closed')));
      socket.renegotiate({ rejectUnauthorized: false }, (failure) => resolve(failure));
    });
    assert.notEqual(error, null, 'there was a second handshake');
    client.destroy();
    const other = await clientOf(plain, { tls: {} });
    assert.equal(await firstValue(other, 'SELECT 1'), '1');
    await other.end();
  });

  it('cancel requests come through TLS, to this worker and to the other', async () => {
    // A small pool's clients would be where the kernel has them accepted, all in one worker perhaps: TLS keeps them there.
    const { database, general } = spread(2, 2);
    const proxy = await startWireProxy(server, driver, {
      workers: 2,
      database,
      general: { ...FILES, tls_client_required: true, ...general },
    });
    try {
      const clients = await clientsOfAllWorkers(proxy, 2, 4, { tls: {} });
      for (const client of clients.slice(-6)) {
        const running = client.query('SELECT pg_sleep(200)');
        await untilBusy(server);
        for (let attempt = 0; attempt < 2; attempt++) {
          const before = performance.now();
          await client.cancel();
          // By default it would be 10 s.
          assert.ok(performance.now() - before < 9000, 'the cancelling connection was let go');
        }
        assert.equal((await running).error?.['C'], '57014');
        assert.equal(await firstValue(client, 'SELECT 1'), '1');
      }
      // A wrong key: closed, without a word.
      await clients[0]?.cancel(Buffer.from([1, 2, 3, 4]));
      for (const client of clients) await client.end();
    } finally {
      await proxy.stop();
    }
  });

  it('pipelined batches come back in order', async () => {
    const client = await clientOf(plain, { tls: {} });
    const count = 3000;
    client.send(...Array.from({ length: count }, (_, n) => Q(`SELECT ${n}`)));
    const { rows } = await client.readUntilReady(count);
    assert.deepEqual(
      rows.map(([value]) => Number(value)),
      Array.from({ length: count }, (_, n) => n),
    );
    await client.end();
  });
});

/** Bytes of one exchange, with the client closing once it has its answer. */
function firstAnswer(port: number, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('data', (chunk) => {
      socket.destroy();
      resolve(chunk);
    });
    socket.write(request);
  });
}

/** SSLRequest, its answer, then these bytes: what comes back until the close. */
function afterAccepted(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1');
    const received: Buffer[] = [];
    socket.setTimeout(PATIENCE_MS, () => reject(new Error('still open')));
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received.push(chunk);
      if (received.length === 1) {
        assert.equal(chunk.toString('latin1'), 'S');
        socket.write(bytes);
      }
    });
    socket.on('close', () => resolve(Buffer.concat(received).subarray(1)));
    socket.write(sslRequest());
  });
}
