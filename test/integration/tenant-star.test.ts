// A pattern as PgBouncer writes it: `*` in its [databases].
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { enter } from '../support/login.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { secret } from '../support/secrets.js';
import { clientOf, firstValue } from '../support/wire.js';

const APP = secret('password of the app');
const NAMES = ['tenant_a', 'tenant_c'];

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ users: [{ name: 'app', password: APP }] });
  for (const name of NAMES) await server.query(`CREATE DATABASE ${name}`);
});
after(() => server?.stop());

const app = (proxy: TestProxy, database: string) => clientOf(proxy, { user: 'app', password: APP, database });

forOneDriver('tenants by pgbouncer.ini', (driver) => {
  it('the star of pgbouncer.ini is the same', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tenants-'));
    writeFileSync(join(directory, 'userlist.txt'), `"app" "${APP}"\n`);
    const ini = `[databases]\nother = host=${server.host} port=${server.port} dbname=tenant_c\n* = host=${server.host} port=${server.port}\n[pgbouncer]\nlisten_port = 6432\nauth_type = plain\nauth_file = ${directory}/userlist.txt\nautodb_idle_timeout = 1\nserver_idle_timeout = 1\nunix_socket_dir =\nadmin_users = app\n`;
    const proxy = await startProxy({
      workers: 2,
      ioDriver: driver,
      ini,
      env: { PGDOG_PLAIN_AUTH_WITHOUT_TLS: 'true' },
    });
    try {
      for (const name of NAMES) {
        const client = await app(proxy, name);
        assert.equal(await firstValue(client, 'SELECT current_database()'), name);
        await client.end();
      }
      const client = await app(proxy, 'other');
      assert.equal(await firstValue(client, 'SELECT current_database()'), 'tenant_c');
      await client.end();
      assert.equal(await enter(proxy, 'app', APP, { database: 'nowhere' }), '3D000');
    } finally {
      await proxy.stop();
      rmSync(directory, { recursive: true });
    }
  });
});
