// A tenant's server connections are encrypted as its pattern says, also after the files have been read again.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { testAuthority } from '../support/certificates.js';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { TlsFolder } from '../support/tls-folder.js';
import { clientOf, eventually, firstValue } from '../support/wire.js';

const authority = testAuthority('server authority');
const certificate = authority.issue({
  subject: [['CN', 'db']],
  names: ['localhost'],
  addresses: ['127.0.0.1'],
});
const folder = new TlsFolder();
const CA = folder.write('ca.pem', authority.certificate);

let server: TestPostgres;
before(async () => {
  const hba_file = folder.write(
    'hba.conf',
    'hostssl all all 127.0.0.1/32 scram-sha-256\nhost postgres all 127.0.0.1/32 scram-sha-256\n',
  );
  server = await startPostgres({
    settings: { ...folder.forPostgres(certificate, authority.certificate), hba_file },
  });
  for (const name of ['tenant_a', 'plain_a']) await server.query(`CREATE DATABASE ${name}`);
});
after(() => server?.stop());

forOneDriver('TLS of tenants', (driver) => {
  for (const general of [{}, { passthrough_auth: 'enabled_plain' }]) {
    it(`with ${JSON.stringify(general)}`, async () => {
      const isListed = Object.keys(general).length === 0;
      const proxy = await startProxy({
        workers: 2,
        ioDriver: driver,
        databases: [
          databaseOf(server, { name: 'unused', tls_verify: 'disabled' }),
          databaseOf(server, { name: 'tenant_*', tls_verify: 'verify_full', tls_server_ca_certificate: CA }),
          databaseOf(server, { name: 'plain_*', tls_verify: 'disabled' }),
        ],
        users: isListed ? [{ name: 'postgres', password: 'postgres', all_databases: true }] : [],
        general: { min_pool_size: 0, tenant_idle_timeout: 300, idle_timeout: 100, ...general },
      });
      try {
        for (let round = 0; round < 2; round++) {
          const client = await clientOf(proxy, { database: 'tenant_a' });
          const isSsl = () => firstValue(client, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
          assert.equal(await isSsl(), 't');
          await proxy.adminQuery('RELOAD');
          await proxy.adminQuery('RECONNECT');
          assert.equal(await isSsl(), 't');
          // In the clear the server lets nobody in there.
          await assert.rejects(clientOf(proxy, { database: 'plain_a' }), /28000|28P01|58000|08/);
          await client.end();
          await eventually('they are forgotten', async () => {
            const rows = await proxy.adminQuery('SHOW TENANTS');
            return rows.every(({ tenants }) => tenants === '0');
          });
        }
      } finally {
        await proxy.stop();
      }
    });
  }
});
