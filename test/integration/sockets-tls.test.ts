/** TLS beside Unix sockets, which have none, and behind PROXY headers, which come before it. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { testAuthority } from '../support/certificates.js';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { proxyV1 } from '../support/proxy-header.js';
import { RawClient, type RawClientOptions } from '../support/raw-client.js';
import { TlsFolder } from '../support/tls-folder.js';
import { clientOf, firstValue, startWireProxy } from '../support/wire.js';

const authority = testAuthority();
const own = authority.issue({
  subject: [['CN', 'localhost']],
  names: ['localhost'],
  addresses: ['127.0.0.1'],
});
const folder = new TlsFolder();
const FILES = folder.forClients(own);
const HEADER = proxyV1('TCP4 192.0.2.7 203.0.113.9 35646 6432');

let server: TestPostgres;
let directory: string;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'pgdog-sockets-tls-'));
  chmodSync(directory, 0o777);
  server = await startPostgres({ settings: { unix_socket_directories: directory } });
});
after(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

forEachDriver('sockets and TLS', (driver) => {
  it('where TLS is required of clients, a Unix socket does without', async () => {
    const general = { ...FILES, tls_client_required: true, unix_socket_dir: directory };
    const proxy = await startWireProxy(server, driver, { general });
    try {
      await assert.rejects(clientOf(proxy), /28000/);
      const client = await clientOf(proxy, { host: directory });
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
      await client.end();
    } finally {
      await proxy.stop();
    }
  });

  it('where TLS is required of servers, a Unix socket does without', async () => {
    const general = {
      tls_verify: 'verify_full',
      tls_server_ca_certificate: folder.write('ca.pem', authority.certificate),
    };
    const proxy = await startWireProxy({ host: directory, port: server.port }, driver, { general });
    const byTcp = await startWireProxy(server, driver, { general });
    try {
      const client = await clientOf(proxy);
      assert.equal(await firstValue(client, 'SELECT 1'), '1');
      await client.end();
      await assert.rejects(clientOf(byTcp), /TLS/);
    } finally {
      await Promise.all([proxy.stop(), byTcp.stop()]);
    }
  });

  it('a PROXY header comes before TLS, asked for or direct; inside it there is none', async () => {
    const general = {
      ...FILES,
      tls_client_required: true,
      proxy_protocol_networks: ['127.0.0.0/8'],
      log_connections: true,
    };
    const proxy = await startWireProxy(server, driver, { general });
    const options = (more: Partial<RawClientOptions>): RawClientOptions => ({
      port: proxy.port,
      password: 'postgres',
      preamble: HEADER,
      tls: { ALPNProtocols: ['postgresql'] },
      ...more,
    });
    try {
      for (const isDirectTls of [false, true]) {
        const client = await RawClient.connect(options({ isDirectTls }));
        assert.equal(await firstValue(client, 'SELECT 1'), '1');
        await client.end();
      }
      await proxy.waitForOutput('addr=192.0.2.7 port=35646');
      await assert.rejects(RawClient.connect(options({ tls: undefined })), /28000/, 'the header is no TLS');
      const inside = await RawClient.open(options({}));
      inside.send(HEADER);
      await inside.expectClosed();
      const without = await RawClient.open(options({ preamble: undefined, tls: undefined }));
      const { error } = await without.login();
      assert.equal(error?.C, '08P01');
    } finally {
      await proxy.stop();
    }
  });
});
