/** Client certificates: whose are accepted, whose are not, and that the log says why. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type TestCertificate, testAuthority } from '../support/certificates.js';
import { decisionsOn, forEachDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { TlsFolder } from '../support/tls-folder.js';
import { firstValue, startWireProxy } from '../support/wire.js';

const authority = testAuthority('client authority');
const middle = authority.issue({ subject: [['CN', 'in the middle']], isAuthority: true });
const strangers = testAuthority('strangers');
const named = (commonName: string, extra = {}) => ({
  subject: [
    ['O', 'Acme'],
    ['CN', commonName],
  ] as [kind: 'O' | 'CN', text: string][],
  ...extra,
});
const alice = authority.issue(named('alice'));
const byMiddle = middle.issue(named('bob'));
const revoked = authority.issue(named('revoked'));
const expired = authority.issue(named('expired', { fromDays: -9, toDays: -2 }));
const early = authority.issue(named('early', { fromDays: 2, toDays: 9 }));
const stranger = strangers.issue(named('mallory'));

const folder = new TlsFolder();
const own = testAuthority('us').issue({ names: ['localhost'] });
const FILES = {
  ...folder.forClients(own),
  tls_client_ca_certificate: folder.write('clients.pem', authority.certificate),
};

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const shown = (certificate: TestCertificate, chain = '') => ({
  cert: certificate.certificate + chain,
  key: certificate.privateKey,
});

/** Empty when it could log in and be answered. TLS 1.3 tells a refusal only after the client's handshake is done. */
async function attempt(proxy: TestProxy, tls: Record<string, unknown>): Promise<string> {
  try {
    const client = await RawClient.connect({ port: proxy.port, password: 'postgres', tls });
    const value = await firstValue(client, 'SELECT 1');
    await client.end();
    return value === '1' ? '' : 'no answer';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const start = (driver: TestDriver, general: Record<string, string>): Promise<TestProxy> =>
  startWireProxy(server, driver, { general: { ...FILES, ...general } });

forEachDriver('client certificates', (driver) => {
  const decides = decisionsOn(driver);
  for (const mode of ['verify-ca', 'verify-full']) {
    const test = mode === 'verify-full' ? it : decides;
    test(`${mode}: one of our authority enters, all others do not, and the log says which and why`, async () => {
      const proxy = await start(driver, { client_tls_sslmode: mode });
      try {
        for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
          assert.equal(await attempt(proxy, { ...shown(alice), maxVersion }), '', maxVersion);
          assert.equal(await attempt(proxy, { ...shown(byMiddle, middle.certificate), maxVersion }), '');
          const refused: [TestCertificate, string][] = [
            [stranger, 'certificate "CN=mallory,O=Acme" refused: unable to get local issuer certificate'],
            [expired, 'certificate "CN=expired,O=Acme" refused: certificate has expired'],
            [early, 'certificate "CN=early,O=Acme" refused: certificate is not yet valid'],
            [byMiddle, 'certificate "CN=bob,O=Acme" refused: unable to get local issuer certificate'],
          ];
          for (const [certificate, line] of refused) {
            assert.notEqual(await attempt(proxy, { ...shown(certificate), maxVersion }), '', line);
            await proxy.waitForOutput(line);
          }
          assert.notEqual(await attempt(proxy, { maxVersion }), '', 'none shown');
          await proxy.waitForOutput('peer did not return a certificate');
        }
        const plain = await RawClient.open({ port: proxy.port });
        assert.equal((await plain.login()).error?.['C'], '28000');
        plain.destroy();
      } finally {
        await proxy.stop();
      }
    });
  }

  decides('with an authority and no mode, a certificate may be shown and must then be right', async () => {
    const proxy = await start(driver, {});
    try {
      assert.equal(await attempt(proxy, {}), '');
      assert.equal(await attempt(proxy, shown(alice)), '');
      assert.notEqual(await attempt(proxy, shown(stranger)), '');
    } finally {
      await proxy.stop();
    }
  });

  decides('a revoked certificate is refused', async () => {
    const crl = folder.write('crl.pem', authority.revoke(revoked));
    const proxy = await start(driver, { client_tls_sslmode: 'verify-ca', tls_client_crl: crl });
    try {
      assert.equal(await attempt(proxy, shown(alice)), '');
      assert.notEqual(await attempt(proxy, shown(revoked)), '');
      await proxy.waitForOutput('certificate "CN=revoked,O=Acme" refused: certificate revoked');
    } finally {
      await proxy.stop();
    }
  });

  decides('our own chain is sent along', async () => {
    const root = testAuthority('root');
    const intermediate = root.issue({ subject: [['CN', 'intermediate']], isAuthority: true });
    const leaf = intermediate.issue({ names: ['localhost'] });
    const general = folder.forClients(leaf, 'chained', intermediate.certificate);
    const proxy = await startWireProxy(server, driver, { general });
    try {
      const tls = { ca: root.certificate, rejectUnauthorized: true, servername: 'localhost' };
      assert.equal(await attempt(proxy, tls), '');
    } finally {
      await proxy.stop();
    }
  });
});

describe('settings that cannot be used', () => {
  const cases: [what: string, general: Record<string, string | boolean>, message: RegExp][] = [
    [
      'a key with a passphrase',
      { ...folder.forClients(own, 'a'), tls_private_key: folder.write('enc.key', own.encryptedKey('pw')) },
      /enc\.key: is encrypted: keys with a passphrase are not supported/,
    ],
    [
      "somebody else's key",
      { ...folder.forClients(own, 'b'), tls_private_key: folder.write('other.key', alice.privateKey) },
      /other\.key: is not the key of the certificate/,
    ],
    [
      'a file that is not there',
      { ...FILES, tls_certificate: '/nowhere/cert.pem' },
      /cert\.pem: no such file/,
    ],
    [
      'a file without a certificate',
      { ...FILES, tls_certificate: folder.write('empty.pem', 'x') },
      /no certificate/,
    ],
    [
      'ciphers nobody knows',
      { ...FILES, client_tls_ciphers: 'NONSENSE' },
      /OpenSSL refuses these settings: no cipher match/,
    ],
    [
      'required without a certificate',
      { tls_client_required: true },
      /tls_client_required: needs tls_certificate/,
    ],
    [
      'a revocation list without lists',
      { ...FILES, tls_client_crl: folder.write('bad.crl', 'x') },
      /OpenSSL refuses/,
    ],
  ];
  for (const [what, general, message] of cases) {
    it(`${what}: no start, and a line that says so`, async () => {
      const proxy = await startProxy({
        databases: [databaseOf(server)],
        workers: 1,
        general,
        isUnready: true,
      });
      assert.notEqual(await proxy.exited, 0);
      assert.match(proxy.output, message);
      assert.equal(proxy.output.includes('PRIVATE'), false);
    });
  }
});
