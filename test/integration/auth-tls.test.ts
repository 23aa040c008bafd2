/** Methods that need TLS or a Unix socket: channel binding on both sides, certificates, peers, passwords in clear. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import pg from 'pg';
import { userName } from 'pgdog-cluster';
import { testAuthority } from '../support/certificates.js';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { int32, p, sslRequest, startupPacket, text } from '../support/frames.js';
import { enter, tryLogin } from '../support/login.js';
import { findProgram, type Program } from '../support/programs.js';
import { databaseOf, type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { secret } from '../support/secrets.js';
import { TlsFolder } from '../support/tls-folder.js';
import { startTlsFront } from '../support/tls-front.js';

const exec = promisify(execFile);
const psql: Program = findProgram('psql');
const ALICE = secret('alice behind her TLS');
const TLS = { rejectUnauthorized: false };

const authority = testAuthority();
const own = authority.issue({ subject: [['CN', 'localhost']], names: ['localhost'] });
const serverOwn = authority.issue({ subject: [['CN', 'localhost']], names: ['localhost'], key: 'rsa' });
const folder = new TlsFolder();
const FILES = folder.forClients(own);
const CA = folder.write('ca.pem', authority.certificate);

/** What a client shows to be this person. */
function certificateOf(commonName: string, by = authority): { cert: string; key: string } {
  const made = by.issue({
    subject: [
      ['O', 'test'],
      ['CN', commonName],
    ],
  });
  return { cert: made.certificate, key: made.privateKey };
}

let plain: TestPostgres;
let tls: TestPostgres;
before(async () => {
  plain = await startPostgres({ auth: 'trust', users: [{ name: 'alice' }] });
  tls = await startPostgres({
    users: [{ name: 'alice', password: ALICE }],
    settings: folder.forPostgres(serverOwn),
  });
});
after(async () => {
  await plain.stop();
  await tls.stop();
});

/** TLS towards `target` for whoever speaks in the clear: the far half of somebody who stands in between. */
async function startTlsTail(target: { host: string; port: number }) {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target.port, target.host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pause();
    far.write(sslRequest());
    far.once('data', () => {
      const secure = connectTls({ socket: far, rejectUnauthorized: false });
      secure.on('error', () => near.destroy());
      near.pipe(secure);
      secure.pipe(near);
      near.resume();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A client that could bind and did not see our offer says so: somebody between us took it away. */
async function assertDowngradeRefused(proxy: TestProxy): Promise<void> {
  const client = await RawClient.open({ port: proxy.port, tls: TLS });
  client.send(startupPacket({ user: 'alice', database: 'postgres' }));
  assert.ok((await client.readFrame()).body.includes('SCRAM-SHA-256-PLUS'));
  const first = Buffer.from('y,,n=,r=abcdefgh');
  client.send(p(text('SCRAM-SHA-256'), int32(first.length), first));
  const { error } = await client.expectClosed();
  assert.equal(error?.['C'], '28000');
  assert.match(error?.['M'] ?? '', /channel binding was taken out of the negotiation/);
  client.destroy();
}

forEachDriver('authentication over TLS', (driver) => {
  const decides = decisionsOn(driver);
  async function withProxy(
    options: StartProxyOptions,
    body: (proxy: TestProxy) => Promise<void>,
  ): Promise<void> {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(plain)],
      users: [{ name: 'alice', password: ALICE, database: 'postgres' }],
      ...options,
      general: { min_pool_size: 0, log_level: 'trace', auth_failures_max: 0, ...FILES, ...options.general },
    });
    try {
      await body(proxy);
    } finally {
      await proxy.stop();
    }
  }

  it('CVE-2025-49146: clients bind to our certificate: node-postgres and libpq demand it, a client that sees no offer is refused', async () => {
    await withProxy({}, async (proxy) => {
      const { asked } = await tryLogin(proxy, 'alice', ALICE, { tls: TLS });
      assert.deepEqual(asked, [10, 11, 12, 0]);
      const settings = { host: '127.0.0.1', port: proxy.port, user: 'alice', database: 'postgres' };
      const client = new pg.Client({
        ...settings,
        password: ALICE,
        ssl: TLS,
        enableChannelBinding: true,
      });
      await client.connect();
      assert.equal((await client.query('SELECT current_user AS me')).rows[0].me, 'alice');
      await client.end();
      await assertDowngradeRefused(proxy);
      const wrong = new pg.Client({ ...settings, password: 'x', ssl: TLS, enableChannelBinding: true });
      await assert.rejects(wrong.connect(), { code: '28P01' });
      if (psql.path === null) return;
      const run = (parameters: string): Promise<{ stdout: string }> =>
        exec(
          psql.path ?? '',
          [
            '-Atc',
            'SELECT current_user',
            `host=127.0.0.1 port=${proxy.port} user=alice dbname=postgres ${parameters}`,
          ],
          { env: { ...process.env, PGPASSWORD: ALICE } },
        );
      assert.equal((await run('sslmode=require channel_binding=require')).stdout.trim(), 'alice');
      assert.equal((await run('sslmode=require channel_binding=disable')).stdout.trim(), 'alice');
      await assert.rejects(run('sslmode=disable channel_binding=require'), /channel binding required/);
      // A man in between with a certificate of his own: the passwords are right, and the channels are two.
      const tail = await startTlsTail(proxy);
      const stranger = testAuthority('stranger').issue({ subject: [['CN', 'localhost']] });
      const front = await startTlsFront(tail, { cert: stranger.certificate, key: stranger.privateKey });
      try {
        const between = `host=127.0.0.1 port=${front.port} sslmode=require`;
        const bound = ['-Atc', 'SELECT 1', `${between} user=alice dbname=postgres`];
        await assert.rejects(
          exec(psql.path, bound, { env: { ...process.env, PGPASSWORD: ALICE } }),
          /SCRAM channel binding check failed/,
        );
      } finally {
        await front.stop();
        await tail.stop();
      }
    });
  });

  decides("we bind to the server's certificate, and a man in between does not get through", async () => {
    const general = { tls_verify: 'prefer' };
    await withProxy({ databases: [databaseOf(tls)], general }, async (proxy) => {
      assert.equal(await enter(proxy, 'alice', ALICE), '');
    });
    const tail = await startTlsTail(tls);
    const stranger = testAuthority('stranger').issue({ subject: [['CN', 'localhost']] });
    const front = await startTlsFront(tail, { cert: stranger.certificate, key: stranger.privateKey });
    try {
      await withProxy({ databases: [databaseOf(front)], general }, async (proxy) => {
        const { sqlstate, message } = await tryLogin(proxy, 'alice', ALICE);
        assert.equal(sqlstate, '58000');
        assert.match(message, /channel binding/);
      });
    } finally {
      await front.stop();
      await tail.stop();
    }
  });

  const CERTIFICATES = { tls_client_ca_certificate: CA };
  decides('cert: the common name of a verified certificate, by name or by map', async () => {
    await withProxy({ general: { ...CERTIFICATES, auth_type: 'cert' } }, async (proxy) => {
      assert.equal(await enter(proxy, 'alice', '', { tls: { ...TLS, ...certificateOf('alice') } }), '');
      for (const tlsOptions of [
        TLS,
        { ...TLS, ...certificateOf('bob') },
        { ...TLS, ...certificateOf('Alice') },
      ]) {
        const { asked, sqlstate, message } = await tryLogin(proxy, 'alice', ALICE, { tls: tlsOptions });
        assert.deepEqual([asked, sqlstate], [[], '28000']);
        assert.equal(message, 'certificate authentication failed for user "alice"');
      }
      // A certificate for somebody who does not exist here.
      const { sqlstate } = await tryLogin(proxy, 'nobody', '', {
        tls: { ...TLS, ...certificateOf('nobody') },
      });
      assert.equal(sqlstate, '28000');
    });
    const files = {
      rules: 'hostssl all all all cert map=people\n',
      maps: 'people "Alice Liddell" alice\npeople operator all\n',
    };
    const general = { ...CERTIFICATES, auth_type: 'hba', auth_hba_file: 'rules', auth_ident_file: 'maps' };
    await withProxy({ general, files }, async (proxy) => {
      const as = (name: string) => ({ tls: { ...TLS, ...certificateOf(name) } });
      assert.equal(await enter(proxy, 'alice', '', as('Alice Liddell')), '');
      assert.equal(await enter(proxy, 'alice', '', as('operator')), '');
      assert.equal((await tryLogin(proxy, 'alice', '', as('alice'))).sqlstate, '28000');
      const { message } = await tryLogin(proxy, 'alice', '');
      assert.match(message, /^no pg_hba.conf entry for host "127.0.0.1", user "alice", .*, no encryption$/);
    });
  });

  decides('hba: hostssl and hostnossl, certificates beside passwords, clientname=DN', async () => {
    const rules = [
      'hostnossl postgres alice all scram-sha-256',
      'hostssl   postgres alice all scram-sha-256 clientcert=verify-full',
      'hostssl   other    alice all scram-sha-256 clientcert=verify-ca',
      'hostssl   third    alice all cert clientname=DN map=dn',
    ].join('\n');
    const databases = ['postgres', 'other', 'third'].map((name) => ({
      ...databaseOf(plain),
      name,
      database_name: 'postgres',
    }));
    const general = { ...CERTIFICATES, auth_type: 'hba', auth_hba_file: 'rules', auth_ident_file: 'maps' };
    const users = [{ name: 'alice', password: ALICE }];
    const files = { rules, maps: 'dn "CN=alice,O=test" alice\n' };
    await withProxy({ databases, users, general, files }, async (proxy) => {
      assert.equal(await enter(proxy, 'alice', ALICE), '');
      const alice = { ...TLS, ...certificateOf('alice') };
      const bob = { ...TLS, ...certificateOf('bob') };
      const outcomes: [database: string, tls: object, password: string, sqlstate: string][] = [
        ['postgres', alice, ALICE, ''],
        ['postgres', alice, 'wrong', '28P01'],
        ['postgres', bob, ALICE, '28000'],
        ['postgres', TLS, ALICE, '28000'],
        ['other', bob, ALICE, ''],
        ['other', TLS, ALICE, '28000'],
        ['third', alice, '', ''],
        ['third', bob, '', '28000'],
      ];
      for (const [database, options, password, sqlstate] of outcomes) {
        const result = await tryLogin(proxy, 'alice', password, { database, tls: options });
        assert.equal(result.sqlstate, sqlstate, `${database} ${password} ${result.message}`);
        result.client.destroy();
      }
      const { message } = await tryLogin(proxy, 'alice', ALICE, { tls: TLS });
      assert.equal(message, 'connection requires a valid client certificate');
      const { message: refused } = await tryLogin(proxy, 'bob', ALICE, { tls: TLS });
      assert.match(refused, /^no pg_hba.conf entry for .*, SSL encryption$/);
    });
  });

  decides('passwords in clear are asked for over TLS without further ado: plain, passthrough', async () => {
    await withProxy({ general: { auth_type: 'plain' } }, async (proxy) => {
      assert.deepEqual((await tryLogin(proxy, 'alice', ALICE, { tls: TLS })).asked, [3, 0]);
      assert.equal((await tryLogin(proxy, 'alice', ALICE)).sqlstate, '28000');
    });
    const general = { passthrough_auth: 'enabled', tls_verify: 'prefer' };
    await withProxy({ databases: [databaseOf(tls)], users: [], general }, async (proxy) => {
      assert.equal(await enter(proxy, 'alice', ALICE, { tls: TLS }), '');
      assert.equal((await tryLogin(proxy, 'alice', 'wrong', { tls: TLS })).sqlstate, '28P01');
      assert.equal((await tryLogin(proxy, 'alice', ALICE)).sqlstate, '28000');
    });
  });

  decides('auth_query over TLS, with a key that the client proves by channel binding', async () => {
    const general = { auth_user: 'postgres', auth_password: 'postgres', tls_verify: 'prefer' };
    await withProxy({ databases: [databaseOf(tls)], users: [], general }, async (proxy) => {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: proxy.port,
        user: 'alice',
        password: ALICE,
        database: 'postgres',
        ssl: TLS,
        enableChannelBinding: true,
      });
      await client.connect();
      assert.equal((await client.query('SELECT current_user AS me')).rows[0].me, 'alice');
      await client.end();
    });
  });

  decides(
    'servers that take TLS only are asked over TLS, also where it is not demanded: auth_query, passthrough, check',
    async () => {
      const strict = await startPostgres({
        users: [{ name: 'alice', password: ALICE }],
        settings: folder.forPostgres(serverOwn),
      });
      const rules = join(mkdtempSync(join(tmpdir(), 'pgdog-rules-')), 'hba');
      try {
        writeFileSync(rules, 'hostssl all all all scram-sha-256\n');
        chmodSync(rules, 0o644);
        chmodSync(dirname(rules), 0o755);
        await strict.query(`ALTER SYSTEM SET hba_file = '${rules}'`);
        await strict.kill('SIGTERM');
        await strict.restart();
        const databases = [databaseOf(strict)];
        for (const general of [
          { auth_user: 'postgres', auth_password: 'postgres' },
          { passthrough_auth: 'enabled' },
        ]) {
          await withProxy(
            { databases, users: [], general: { tls_verify: 'prefer', ...general } },
            async (proxy) => {
              assert.equal(await enter(proxy, 'alice', ALICE, { tls: TLS }), '', JSON.stringify(general));
              assert.equal((await tryLogin(proxy, 'alice', 'wrong', { tls: TLS })).sqlstate, '28P01');
            },
          );
        }
        const check = await startProxy({
          databases,
          general: { tls_verify: 'prefer' },
          args: ['check', '--connect'],
          isUnready: true,
        });
        assert.equal(await check.exited, 0, check.output);
        assert.match(check.output, /ok {5}postgres@.*PostgreSQL/);
      } finally {
        await strict.stop();
        rmSync(dirname(rules), { recursive: true });
      }
    },
  );

  decides(
    'peer: the system user at the other end of a Unix socket, by name or by map; nobody over TCP',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'pgdog-peer-'));
      const me = (await userName(process.getuid?.() ?? 0)) ?? 'root';
      const files = {
        rules: 'local postgres alice peer map=m\nlocal all all peer\nhost all all all scram-sha-256\n',
        maps: `m ${me} alice\n`,
      };
      const general = {
        auth_type: 'hba',
        auth_hba_file: 'rules',
        auth_ident_file: 'maps',
        unix_socket_dir: directory,
      };
      const users = [
        { name: 'alice', password: ALICE },
        { name: me === 'bob' ? 'carl' : 'bob', password: ALICE },
      ];
      try {
        await withProxy({ users, general, files }, async (proxy) => {
          assert.equal(await enter(proxy, 'alice', '', { host: directory }), '');
          const other = await tryLogin(proxy, users[1]?.name ?? '', ALICE, { host: directory });
          assert.deepEqual([other.asked, other.sqlstate], [[], '28000']);
          assert.equal(other.message, `Peer authentication failed for user "${users[1]?.name}"`);
          assert.deepEqual((await tryLogin(proxy, 'alice', ALICE)).asked, [10, 11, 12, 0]);
        });
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  );
});
