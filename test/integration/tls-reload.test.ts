/** Certificates read again while clients are connected, and what is shown of them. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { type TestCertificate, testAuthority } from '../support/certificates.js';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { Q } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { TlsFolder } from '../support/tls-folder.js';
import { clientOf, eventually, firstValue, startWireProxy } from '../support/wire.js';

const authority = testAuthority();
const issue = (commonName: string, extra = {}): TestCertificate =>
  authority.issue({
    subject: [['CN', commonName]],
    names: ['localhost'],
    addresses: ['127.0.0.1'],
    ...extra,
  });

let server: TestPostgres;
const folder = new TlsFolder();
const serverFolder = new TlsFolder();
before(async () => {
  server = await startPostgres({ settings: serverFolder.forPostgres(issue('database')) });
});
after(() => server.stop());

function subjectSeen(client: RawClient): string {
  return String((client.socket as TLSSocket).getPeerCertificate().subject.CN);
}

async function eventuallyShows(proxy: TestProxy, commonName: string): Promise<void> {
  await eventually(`${commonName} is shown`, async () => {
    const client = await clientOf(proxy, { tls: {} });
    const seen = subjectSeen(client);
    await client.end();
    return seen === commonName;
  });
}

/** RELOAD, taken up by every worker. */
async function reload(proxy: TestProxy): Promise<void> {
  const epochs = async () => {
    const rows = await proxy.adminQuery<{ epoch: string }>('SHOW WORKERS');
    return rows.map(({ epoch }) => Number(epoch));
  };
  const before = Math.max(...(await epochs()));
  await proxy.adminQuery('RELOAD');
  await eventually('the reload is taken up', async () => (await epochs()).every((epoch) => epoch > before));
}

forEachDriver('reload of certificates', (driver) => {
  it('new connections get the new certificate, old ones go on; what is broken changes nothing', async () => {
    const general = {
      ...folder.forClients(issue('first')),
      tls_verify: 'verify_full',
      tls_server_ca_certificate: folder.write('ca.pem', authority.certificate),
    };
    const proxy = await startWireProxy(server, driver, { workers: 2, general });
    try {
      const old = await clientOf(proxy, { tls: {} });
      await old.query('BEGIN');
      await old.query('CREATE TEMP TABLE kept (n int)');
      assert.equal(subjectSeen(old), 'first');

      folder.forClients(issue('second'));
      assert.equal((await proxy.adminQuery('RELOAD')).length, 0);
      await eventuallyShows(proxy, 'second');
      assert.equal(subjectSeen(old), 'first');
      assert.equal(await firstValue(old, 'SELECT count(*) FROM kept'), '0');

      folder.forClients(issue('third'));
      process.kill(proxy.pid, 'SIGHUP');
      await eventuallyShows(proxy, 'third');

      // A key that does not fit, then no file at all: the last good one stays.
      folder.write('own.key', issue('other').privateKey);
      await assert.rejects(
        proxy.adminQuery('RELOAD'),
        /old configuration stays in force: .*own\.key: is not the key/,
      );
      await eventuallyShows(proxy, 'third');
      folder.write('own.pem', '');
      process.kill(proxy.pid, 'SIGHUP');
      await proxy.waitForOutput('holds no certificate');
      await eventuallyShows(proxy, 'third');

      // Towards servers: an authority that did not sign the server's certificate.
      folder.forClients(issue('fourth'));
      folder.write('ca.pem', testAuthority('another').certificate);
      await reload(proxy);
      // A place is free: the idle server connection ends here, and none is made in its stead.
      await server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND pid <> pg_backend_pid()",
      );
      await eventually('it is gone', async () => {
        const rows = await proxy.adminQuery<{ state: string }>('SHOW SERVERS state');
        return rows.every(({ state }) => state === 'idle in transaction');
      });
      const refused = await RawClient.open({ port: proxy.port, password: 'postgres', tls: {} });
      // Where nobody has logged in yet the login itself needs a server connection.
      const asked = refused.login().then(() => refused.send(Q('SELECT 1')));
      asked.catch(() => undefined);
      await proxy.waitForOutput('unable to get local issuer certificate');
      refused.destroy();
      assert.equal(
        await firstValue(old, 'SELECT count(*) FROM kept'),
        '0',
        'the connection of before still works',
      );
      await old.end();
      assert.equal(proxy.output.includes('PRIVATE KEY'), false);
    } finally {
      await proxy.stop();
    }
  });

  it('a hundred reloads under load drop nobody', async () => {
    const general = folder.forClients(issue('busy'), 'busy');
    const proxy = await startWireProxy(server, driver, { general });
    try {
      let isOver = false;
      let count = 0;
      const clients = await Promise.all([1, 2, 3].map(() => clientOf(proxy, { tls: {} })));
      const work = clients.map(async (client) => {
        while (!isOver) {
          assert.equal(await firstValue(client, 'SELECT 1'), '1');
          count++;
        }
      });
      const connects = (async () => {
        while (!isOver) {
          const client = await clientOf(proxy, { tls: {} });
          await client.end();
        }
      })();
      for (let round = 0; round < 100; round++) {
        if (round % 2 === 0) folder.forClients(issue(`busy ${round}`), 'busy');
        await proxy.adminQuery('RELOAD');
      }
      isOver = true;
      await Promise.all([...work, connects]);
      assert.ok(count > 100);
      for (const client of clients) await client.end();
    } finally {
      await proxy.stop();
    }
  });

  it('SHOW TLS and the metrics tell what expires when', async () => {
    const soon = issue('soon', { toDays: 2 });
    const files = folder.forClients(soon, 'soon');
    const general = {
      ...files,
      tls_client_ca_certificate: folder.write('gone.pem', testAuthority('gone').certificate),
    };
    const proxy = await startWireProxy(server, driver, { general, metrics: true });
    try {
      const rows = await proxy.adminQuery<Record<string, string>>('SHOW TLS');
      assert.deepEqual(
        rows.map(({ usage, state }) => [usage, state]),
        [
          ['clients', 'valid'],
          ['client_ca', 'valid'],
        ],
      );
      const [own] = rows;
      assert.equal(own?.['subject'], 'CN=soon');
      assert.equal(own?.['issuer'], 'CN=test authority');
      assert.equal(own?.['file'], files['tls_certificate']);
      const left = Number(own?.['expires_in']);
      assert.ok(left > 1.9 * 86_400 && left <= 2 * 86_400, String(left));
      const client = await clientOf(proxy, { tls: {} });
      await client.end();
      const text = await proxy.metrics();
      const line = text
        .split('\n')
        .find((each) => each.startsWith('tls_certificate_expiry_seconds{usage="clients"'));
      assert.ok(line?.includes('subject="CN=soon"'), line);
      assert.ok(Math.abs(Number(line?.split(' ').at(-1)) - left) < 60, line);
      await eventually('a handshake is counted', async () => {
        const page = await proxy.metrics();
        return !page.includes('worker_tls_handshakes_total{worker="0"} 0');
      });
      for (const secret of [soon.privateKey.split('\n')[1] ?? '', 'PRIVATE KEY']) {
        assert.equal((text + proxy.output + JSON.stringify(rows)).includes(secret), false);
        const shown = await proxy.adminQuery('SHOW CONFIG');
        assert.equal(JSON.stringify(shown).includes(secret), false);
      }
    } finally {
      await proxy.stop();
    }
  });
});
