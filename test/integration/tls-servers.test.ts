/** TLS towards servers: which certificates are believed, what is told when one is not, and what stays hidden. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, it } from 'node:test';
import { testAuthority } from '../support/certificates.js';
import { forEachDriver, forOneDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { TlsFolder } from '../support/tls-folder.js';
import { startTlsFront } from '../support/tls-front.js';
import { type Front, refusal, refuses } from '../support/tls-refusals.js';
import {
  clientOf,
  clientsOfAllWorkers,
  firstValue,
  sleep,
  spread,
  startWireProxy,
  untilBusy,
  WIRE_USER,
} from '../support/wire.js';

const authority = testAuthority('server authority');
const strangers = testAuthority('strangers');
const subject = (text: string) => ({ subject: [['CN', text]] as [kind: 'CN', text: string][] });
const good = authority.issue({ ...subject('db'), names: ['localhost'], addresses: ['127.0.0.1'] });
const otherName = authority.issue({ ...subject('elsewhere'), names: ['elsewhere.example'] });
const proxyCertificate = authority.issue(subject('postgres'));
const folder = new TlsFolder();
const CA = folder.write('ca.pem', authority.certificate);
const CLIENT = {
  tls_server_certificate: folder.write('proxy.pem', proxyCertificate.certificate),
  tls_server_private_key: folder.write('proxy.key', proxyCertificate.privateKey),
};

/** With TLS, and without. */
let secure: TestPostgres;
let plain: TestPostgres;
before(async () => {
  const hba = folder.write(
    'hba.conf',
    ['postgres', 'demanding']
      .map((database) => {
        const extra = database === 'demanding' ? ' clientcert=verify-full' : '';
        return `host${extra === '' ? '' : 'ssl'} ${database} all 127.0.0.1/32 scram-sha-256${extra}\n`;
      })
      .join(''),
  );
  [secure, plain] = await Promise.all([
    startPostgres({
      settings: { ...folder.forPostgres(good, authority.certificate), hba_file: hba },
      initSql: 'CREATE DATABASE demanding',
    }),
    startPostgres(),
  ]);
});
after(() => Promise.all([secure.stop(), plain.stop()]));

type Settings = Record<string, string | number | boolean>;
const start = (
  driver: TestDriver,
  to: { host: string; port: number },
  general: Settings,
  database: Settings = {},
): Promise<TestProxy> => startWireProxy(to, driver, { general, database });

async function serverTls(proxy: TestProxy): Promise<string> {
  const client = await clientOf(proxy);
  const value = await firstValue(
    client,
    "SELECT coalesce(version, 'none') FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
  );
  await client.end();
  return value ?? '';
}

async function check(proxy: TestProxy, wanted: string): Promise<void> {
  try {
    assert.equal(await serverTls(proxy), wanted);
    const [row] = await proxy.adminQuery<{ tls: string }>('SHOW SERVERS tls');
    assert.equal((row?.tls ?? '').split('/')[0], wanted === 'none' ? '' : wanted);
  } finally {
    await proxy.stop();
  }
}

forEachDriver('TLS towards servers', (driver) => {
  it('prefer takes what the server has, disabled takes none', async () => {
    await check(await start(driver, secure, {}), 'TLSv1.3');
    await check(await start(driver, plain, {}), 'none');
    await check(await start(driver, secure, { tls_verify: 'disabled' }), 'none');
  });

  it('a server without TLS is refused where it is required', async () => {
    const proxy = await start(driver, plain, { tls_verify: 'require' });
    try {
      const error = await refusal(proxy);
      assert.equal(error['C'], '08001');
      assert.match(error['M'] ?? '', /the server has no TLS, but tls_verify is "require"/);
    } finally {
      await proxy.stop();
    }
  });

  const answers: Front[] = [
    [
      'CVE-2021-23222: bytes behind the answer',
      { answer: Buffer.from('SE\0\0\0\x08forged') },
      { tls_verify: 'require' },
      /the server sends more than its answer/,
    ],
    [
      'bytes behind a no',
      { answer: Buffer.from('NR\0\0\0\x08\0\0\0\0') },
      {},
      /the server sends more than its answer/,
    ],
    [
      'an error instead of an answer',
      { answer: Buffer.from('E') },
      {},
      /answers the request for TLS with an error/,
    ],
    [
      'an unknown answer',
      { answer: Buffer.from('X') },
      {},
      /answers the request for TLS with an unknown byte/,
    ],
  ];
  refuses(driver, () => plain, 'answers to the request', answers);

  it('a server that says S and then nonsense, or nothing, holds nobody up for ever', async () => {
    for (const nonsense of [Buffer.from('this is no TLS at all, not even nearly'), null]) {
      const sockets = new Set<import('node:net').Socket>();
      const liar = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('data', () => {
          socket.write('S');
          socket.once('data', () => nonsense !== null && socket.write(nonsense));
        });
      });
      await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
      const { port } = liar.address() as import('node:net').AddressInfo;
      const proxy = await start(
        driver,
        { host: '127.0.0.1', port },
        nonsense === null ? { connect_timeout: 300, checkout_timeout: 1500 } : {},
      );
      try {
        const error = await refusal(proxy);
        assert.match(`${error['C']} ${error['M']}`, nonsense === null ? /timed out/ : /08001 .*TLS towards/);
      } finally {
        await proxy.stop();
        for (const socket of sockets) socket.destroy();
        liar.close();
      }
    }
  });

  it('our certificate is shown to a server that wants one; without one its refusal is told', async () => {
    const entry = databaseOf(secure, { name: 'demanding' });
    for (const general of [CLIENT, {}]) {
      const proxy = await startProxy({
        workers: 1,
        ioDriver: driver,
        databases: [{ ...entry }],
        users: [{ ...WIRE_USER, database: 'demanding' }],
        general: { min_pool_size: 0, ...general },
      });
      try {
        const error = await refusal(proxy, 'demanding');
        if (general === CLIENT) assert.deepEqual(error, {});
        else assert.match(error['M'] ?? '', /valid client certificate|certificate required/);
      } finally {
        await proxy.stop();
      }
    }
  });

  it('a database may differ from [general], both ways', async () => {
    const front = await startTlsFront(plain, { cert: otherName.certificate, key: otherName.privateKey });
    const general = { min_pool_size: 0, tls_verify: 'verify_full', tls_server_ca_certificate: CA };
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      general,
      users: [{ name: 'postgres', password: 'postgres' }],
      databases: [
        databaseOf(secure, { name: 'postgres' }),
        databaseOf(plain, { name: 'clear', database_name: 'postgres', tls_verify: 'disabled' }),
        databaseOf(front, { name: 'lax', database_name: 'postgres', tls_verify: 'verify_ca' }),
        databaseOf(front, { name: 'strict', database_name: 'postgres' }),
      ],
    });
    try {
      assert.deepEqual(await refusal(proxy, 'postgres'), {});
      assert.deepEqual(await refusal(proxy, 'clear'), {});
      assert.deepEqual(await refusal(proxy, 'lax'), {});
      assert.match((await refusal(proxy, 'strict'))['M'] ?? '', /elsewhere/);
      const shown = await proxy.adminQuery<{ database: string; tls: string }>('SHOW SERVERS database, tls');
      // One that is tried again may be under way.
      const rows = shown.filter(({ database }) => database !== 'strict');
      assert.deepEqual(Object.fromEntries(rows.map(({ database, tls }) => [database, tls.split('/')[0]])), {
        postgres: 'TLSv1.3',
        clear: '',
        lax: 'TLSv1.3',
      });
    } finally {
      await proxy.stop();
      await front.stop();
    }
  });

  it('a cancel request towards a server with TLS is encrypted too', async () => {
    const front = await startTlsFront(plain, { cert: good.certificate, key: good.privateKey });
    const proxy = await start(driver, front, { tls_verify: 'require' });
    try {
      const client = await clientOf(proxy);
      const running = client.query('SELECT pg_sleep(200)');
      await untilBusy(plain);
      await client.cancel();
      assert.equal((await running).error?.['C'], '57014');
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
      await client.end();
      const cancels = front.connections.filter(({ isCancel }) => isCancel);
      assert.equal(cancels.length, 1);
      assert.ok(
        front.connections.every(({ isEncrypted }) => isEncrypted),
        'nothing in the clear',
      );
    } finally {
      await proxy.stop();
      await front.stop();
    }
  });

  it('two workers and one place: everybody is served, and the server never sees two', async () => {
    const proxy = await startWireProxy(secure, driver, {
      workers: 2,
      general: { tls_verify: 'require', ...spread(2, 1).general },
      database: spread(2, 1).database,
    });
    try {
      const clients = await clientsOfAllWorkers(proxy, 2, 6);
      let seenMax = 0;
      let isOver = false;
      const watch = (async () => {
        while (!isOver) {
          const [row] = await secure.query<{ count: string }>(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
          );
          seenMax = Math.max(seenMax, Number(row?.count));
          await sleep(5);
        }
      })();
      await Promise.all(
        clients.map(async (client) => {
          for (let round = 0; round < 10; round++) {
            assert.equal((await client.query('SELECT 1')).error, null);
            await sleep(10);
          }
        }),
      );
      isOver = true;
      await watch;
      assert.equal(seenMax, 1);
      for (const client of clients) await client.end();
    } finally {
      await proxy.stop();
    }
  });
});

/** What OpenSSL decides from bytes that have arrived: the drivers differ only in how they arrive. */
forOneDriver('certificates of servers', (driver) => {
  it('verify_ca and verify_full believe the right ones; names as PgBouncer writes them', async () => {
    await check(await start(driver, secure, { tls_verify: 'require' }), 'TLSv1.3');
    for (const mode of ['verify_ca', 'verify_full', 'verify-full']) {
      const general = { tls_verify: mode, tls_server_ca_certificate: CA };
      await check(await start(driver, secure, general), 'TLSv1.3');
    }
    const byName = { tls_verify: 'verify_full', tls_server_ca_certificate: CA };
    await check(await start(driver, { host: 'localhost', port: secure.port }, byName), 'TLSv1.3');
    await check(await start(driver, secure, { ...byName, server_tls_protocols: 'tlsv1.2' }), 'TLSv1.2');
  });

  const certificates: Front[] = [
    [
      'a wrong name',
      { cert: otherName.certificate, key: otherName.privateKey },
      { tls_verify: 'verify_full', tls_server_ca_certificate: CA },
      /certificate "CN=elsewhere" refused, wanted for "127\.0\.0\.1": IP address mismatch/,
    ],
    [
      'an unknown authority',
      { cert: good.certificate, key: good.privateKey },
      {
        tls_verify: 'verify_ca',
        tls_server_ca_certificate: folder.write('strangers.pem', strangers.certificate),
      },
      /certificate "CN=db" refused: unable to get local issuer certificate/,
    ],
    ...(['fromDays', 'toDays'] as const).map((end): Front => {
      const off = authority.issue({ ...subject('off'), [end]: end === 'fromDays' ? 3 : -0.5 });
      return [
        end === 'fromDays' ? 'a certificate of the future' : 'an expired certificate',
        { cert: off.certificate, key: off.privateKey },
        { tls_verify: 'verify_ca', tls_server_ca_certificate: CA },
        end === 'fromDays'
          ? /"CN=off" refused: certificate is not yet valid/
          : /"CN=off" refused: certificate has expired/,
      ];
    }),
  ];
  refuses(driver, () => plain, 'certificates', certificates);
  refuses(
    driver,
    () => plain,
    'a revocation list',
    [
      [
        'a revoked certificate',
        { cert: good.certificate, key: good.privateKey },
        { tls_verify: 'verify_ca' },
        /certificate "CN=db" refused: certificate revoked/,
      ],
    ],
    { tls_server_ca_certificate: CA, tls_server_crl: folder.write('crl', authority.revoke(good)) },
  );

  it('names are sent for names only, ours for the protocol, and sessions are resumed', async () => {
    const front = await startTlsFront(plain, { cert: good.certificate, key: good.privateKey });
    for (const [host, name] of [
      ['localhost', 'localhost'],
      ['127.0.0.1', ''],
    ] as const) {
      const verified = { tls_verify: 'verify_full', tls_server_ca_certificate: CA };
      for (const protocols of ['tlsv1.3', 'tlsv1.2']) {
        front.connections.length = 0;
        const proxy = await start(
          driver,
          { host, port: front.port },
          { ...verified, server_tls_protocols: protocols },
          { pool_size: 3 },
        );
        try {
          const clients = [await clientOf(proxy)];
          for (let count = 0; count < 2; count++) {
            // The next one needs a server connection of its own.
            await clients[count]?.query('BEGIN');
            clients.push(await clientOf(proxy));
          }
          await clients[2]?.query('BEGIN');
          for (const client of clients) client.destroy();
          // More where a busy machine had one given up.
          const [first, ...others] = front.connections.filter(({ isCancel }) => !isCancel);
          assert.ok(others.length >= 2);
          // Node asks for the certificate by name only where no session is resumed.
          assert.equal(first.serverName, name);
          assert.equal(first.isReused, false, protocols);
          assert.ok(
            others.every(({ isReused }) => isReused),
            protocols,
          );
          assert.equal(first.protocol, 'postgresql');
        } finally {
          await proxy.stop();
        }
      }
    }
    await front.stop();
  });
});
