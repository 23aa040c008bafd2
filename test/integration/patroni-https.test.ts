// Patroni over https: its certificate is checked, by the authority that servers are checked by.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type TestCertificate, testAuthority } from '../support/certificates.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { FakePatroni } from '../support/fake-patroni.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { TlsFolder } from '../support/tls-folder.js';
import { eventually } from '../support/wire.js';

describe('patroni_url with https', () => {
  const folder = new TlsFolder();
  const authority = testAuthority();
  let server: TestPostgres;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  async function withPatroni(
    certificate: TestCertificate,
    check: (proxy: TestProxy, patroni: FakePatroni) => Promise<void>,
  ): Promise<void> {
    const patroni = await FakePatroni.open({ cert: certificate.certificate, key: certificate.privateKey });
    patroni.members = [{ name: 'one', role: 'leader', host: server.host, port: server.port }];
    const proxy = await startProxy({
      databases: [
        { name: 'postgres', host: server.host, port: server.port, role: 'auto' },
        { name: 'postgres', host: server.host, port: 1, role: 'auto' },
      ],
      workers: 1,
      general: {
        patroni_url: patroni.url,
        tls_server_ca_certificate: folder.write('ca.pem', authority.certificate),
        lsn_check_delay: 0,
        lsn_check_interval: 100,
      },
    });
    try {
      await check(proxy, patroni);
    } finally {
      await proxy.stop();
      patroni.close();
    }
  }

  it('a member with a certificate of that authority is believed', async () => {
    const right = authority.issue({ addresses: ['127.0.0.1'] });
    await withPatroni(right, async (proxy, patroni) => {
      await proxy.waitForOutput('Patroni says who is the primary');
      assert.ok(patroni.asked > 0);
      await eventually('the leader is the primary', async () => {
        const rows = await proxy.adminQuery<{ port: string; role: string }>('SHOW REPLICAS');
        return rows.some(({ port, role }) => Number(port) === server.port && role === 'primary');
      });
    });
  });

  for (const [what, wrong, why] of [
    [
      'of another authority',
      testAuthority('others').issue({ addresses: ['127.0.0.1'] }),
      /verif|unable|signature/i,
    ],
    ['of another host', authority.issue({ addresses: ['127.0.0.2'] }), /altnames|127\.0\.0\.1/i],
  ] as const) {
    it(`one with a certificate ${what} is told nothing and not believed; the log says why`, async () => {
      await withPatroni(wrong, async (proxy, patroni) => {
        await proxy.waitForOutput('Patroni does not answer');
        assert.match(proxy.output, why);
        assert.equal(patroni.asked, 0);
      });
    });
  }
});
