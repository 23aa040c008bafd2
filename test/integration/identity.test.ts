/** users.toml: `identity` and `tls_client_certificate_required`: certificates in place of passwords, and beside them. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { type CertificateOptions, testAuthority } from '../support/certificates.js';
import { decisionsOn, forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { enter, tryLogin } from '../support/login.js';
import { databaseOf, type StartProxyOptions, startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import { TlsFolder } from '../support/tls-folder.js';

const ALICE = secret('alice with a certificate');
const TLS = { rejectUnauthorized: false };
const authority = testAuthority();
const folder = new TlsFolder();
const FILES = folder.forClients(authority.issue({ subject: [['CN', 'localhost']], names: ['localhost'] }));
const CA = folder.write('ca.pem', authority.certificate);

/** TLS of a client that shows a certificate. */
function showing(options: CertificateOptions, by = authority) {
  const { certificate, privateKey } = by.issue(options);
  return { tls: { ...TLS, cert: certificate, key: privateKey } };
}

let server: TestPostgres;
before(async () => {
  server = await startPostgres({
    auth: 'trust',
    users: [{ name: 'alice' }, { name: 'bob' }, { name: 'carl' }],
  });
});
after(() => server.stop());

/** By identity only; by identity or password; by password with any certificate. */
const USERS = [
  { name: 'alice', identity: 'spiffe://shop/alice', tls_client_certificate_required: true },
  { name: 'bob', identity: 'bob.example', password: ALICE },
  { name: 'carl', tls_client_certificate_required: true, password: ALICE },
];

forEachDriver('certificates of users', (driver) => {
  const decides = decisionsOn(driver);
  async function withProxy(
    options: StartProxyOptions,
    body: (proxy: TestProxy) => Promise<void>,
  ): Promise<void> {
    const proxy = await startProxy({
      workers: 1,
      ioDriver: driver,
      databases: [databaseOf(server)],
      users: USERS,
      ...options,
      general: {
        min_pool_size: 0,
        log_level: 'trace',
        auth_failures_max: 0,
        tls_client_ca_certificate: CA,
        ...FILES,
        ...options.general,
      },
    });
    try {
      await body(proxy);
    } finally {
      await proxy.stop();
    }
  }

  it('the common name, a DNS name or a URI of a verified certificate lets in without a password', async () => {
    await withProxy({}, async (proxy) => {
      const uri = showing({
        subject: [['CN', 'whoever']],
        uris: ['spiffe://shop/other', 'spiffe://shop/alice'],
      });
      assert.deepEqual((await tryLogin(proxy, 'alice', '', uri)).asked, [0]);
      assert.equal(await enter(proxy, 'alice', '', uri), '');
      const shown: CertificateOptions[] = [
        { subject: [['CN', 'bob.example']] },
        { names: ['x', 'bob.example'] },
      ];
      for (const options of shown) assert.equal(await enter(proxy, 'bob', '', showing(options)), '');
      // It is the certificate of one user only.
      assert.equal((await tryLogin(proxy, 'bob', '', uri)).sqlstate, '28P01');
    });
  });

  decides(
    'required: nothing else lets in, whatever is known; not required: the password does as well',
    async () => {
      await withProxy({}, async (proxy) => {
        const others: [title: string, options: object, message: RegExp][] = [
          ['in the clear', {}, /^connection requires a valid client certificate$/],
          ['none shown', { tls: TLS }, /^connection requires a valid client certificate$/],
          [
            'the user as name',
            showing({ subject: [['CN', 'alice']] }),
            /^certificate authentication failed for user "alice"$/,
          ],
          ['part of it', showing({ uris: ['spiffe://shop/alice/'] }), /^certificate authentication failed/],
          [
            'two in one',
            showing({ names: ['x, URI:spiffe://shop/alice'] }),
            /^certificate authentication failed/,
          ],
          [
            'cut by NUL',
            showing({ uris: ['spiffe://shop/alice\0.evil'] }),
            /^certificate authentication failed/,
          ],
        ];
        for (const [title, options, message] of others) {
          const result = await tryLogin(proxy, 'alice', ALICE, options);
          assert.deepEqual([result.asked, result.sqlstate], [[], '28000'], title);
          assert.match(result.message, message, title);
        }
        const forged = showing({ uris: ['spiffe://shop/alice'] }, testAuthority('stranger'));
        await assert.rejects(
          async () => {
            const { sqlstate } = await tryLogin(proxy, 'alice', '', forged);
            throw new Error(sqlstate === '' ? 'entered' : 'refused');
          },
          (error: Error) => error.message !== 'entered',
        );

        assert.equal(await enter(proxy, 'bob', ALICE), '');
        assert.equal(await enter(proxy, 'bob', ALICE, { tls: TLS }), '');
        assert.equal((await tryLogin(proxy, 'bob', 'wrong', { tls: TLS })).sqlstate, '28P01');

        const any = showing({ subject: [['CN', 'whoever']] });
        assert.equal(await enter(proxy, 'carl', ALICE, any), '');
        assert.equal((await tryLogin(proxy, 'carl', 'wrong', any)).sqlstate, '28P01');
        assert.equal((await tryLogin(proxy, 'carl', ALICE, { tls: TLS })).sqlstate, '28000');
      });
    },
  );

  decides(
    'rules: one that asks for a password means it, cert compares the identity, a requirement holds under trust',
    async () => {
      const rules = [
        'hostssl postgres bob all scram-sha-256',
        'hostssl other bob all cert',
        'host all all all trust',
      ];
      const databases = ['postgres', 'other'].map((name) => ({
        ...databaseOf(server),
        name,
        database_name: 'postgres',
      }));
      const general = { auth_type: 'hba', auth_hba_file: 'rules' };
      await withProxy({ general, databases, files: { rules: rules.join('\n') } }, async (proxy) => {
        const bob = showing({ names: ['bob.example'] });
        assert.deepEqual((await tryLogin(proxy, 'bob', ALICE, bob)).asked.slice(0, 2), [10, 11]);
        assert.equal(await enter(proxy, 'bob', '', { ...bob, database: 'other' }), '');
        const named = showing({ subject: [['CN', 'bob']] });
        assert.equal((await tryLogin(proxy, 'bob', '', { ...named, database: 'other' })).sqlstate, '28000');
        assert.equal((await tryLogin(proxy, 'carl', '')).sqlstate, '28000');
        assert.equal(await enter(proxy, 'carl', '', named), '');
      });
    },
  );

  decides('a user without a password of its own is looked up when its certificate is another', async () => {
    const users = [{ name: 'bob', identity: 'bob.example' }];
    const general = { auth_user: 'postgres', auth_password: 'postgres' };
    await server.query(`ALTER ROLE bob PASSWORD '${ALICE}'`);
    await withProxy({ general, users }, async (proxy) => {
      assert.equal(await enter(proxy, 'bob', '', showing({ names: ['bob.example'] })), '');
      assert.equal(await enter(proxy, 'bob', ALICE), '');
      assert.equal((await tryLogin(proxy, 'bob', 'wrong')).sqlstate, '28P01');
    });
  });
});
