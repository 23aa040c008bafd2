/** Files that pgdog.toml includes, changed under a running proxy the ways operators and Kubernetes change them. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { forOneDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { toToml } from '../support/toml-text.js';
import { clientOf, eventually, firstValue, run } from '../support/wire.js';

const PASSWORD = 'postgres';

forOneDriver('included files', (ioDriver) => {
  let server: TestPostgres;
  let proxy: TestProxy;
  const path = (name: string) => join(proxy.directory, name);
  const tenant = (name: string, more: Record<string, string> = {}) =>
    toToml(
      {},
      {
        databases: [databaseOf(server, { name, database_name: 'postgres', ...more })],
        users: [{ name: 'postgres', password: PASSWORD, database: name }],
      },
    );
  const status = async () => (await proxy.adminQuery('SHOW CONFIG_STATUS'))[0] ?? {};
  const serves = (database: string) =>
    eventually(`${database} is served`, async () => {
      const client = await clientOf(proxy, { database }).catch(() => null);
      await client?.end();
      return client !== null;
    });
  const isGone = (database: string) =>
    eventually(`${database} is gone`, async () => {
      const client = await clientOf(proxy, { database }).catch(() => null);
      await client?.end();
      return client === null;
    });

  before(async () => {
    server = await startPostgres();
    const head = 'include = ["conf.d/*.toml", "tenants/*.toml"]\n';
    const general = toToml({ general: { io_driver: ioDriver }, admin: { password: 'admin' } });
    const main = toToml({}, { databases: [databaseOf(server, { name: 'main', database_name: 'postgres' })] });
    proxy = await startProxy({
      toml: head + general + main,
      users: [{ name: 'postgres', password: PASSWORD, database: 'main' }],
      workers: 1,
    });
  });
  after(async () => {
    await proxy.stop();
    await server.stop();
  });

  it('a tenant comes and goes as one file; who is connected elsewhere notices nothing', async () => {
    const client = await clientOf(proxy, { database: 'main' });
    await run(client, 'BEGIN');
    mkdirSync(path('tenants'));
    writeFileSync(path('tenants/.acme'), tenant('acme'));
    renameSync(path('tenants/.acme'), path('tenants/acme.toml'));
    await serves('acme');
    rmSync(path('tenants/acme.toml'));
    await isGone('acme');
    assert.equal(await firstValue(client, 'SELECT 1'), '1');
    await run(client, 'COMMIT');
    await client.end();
  });

  it('the target of a directory is swapped, as Kubernetes does', async () => {
    for (const version of ['1', '2']) {
      mkdirSync(path(`..${version}`));
      writeFileSync(path(`..${version}/map.toml`), tenant(`mapped${version}`));
    }
    symlinkSync('..1', path('conf.d'));
    await serves('mapped1');
    symlinkSync('..2', path('conf.tmp'));
    renameSync(path('conf.tmp'), path('conf.d'));
    await serves('mapped2');
    await isGone('mapped1');
  });

  it('one bad file changes nothing, and is told with its line and that of what it contradicts', async () => {
    writeFileSync(path('tenants/good.toml'), tenant('good'));
    await serves('good');
    writeFileSync(path('tenants/main.toml'), tenant('main'));
    writeFileSync(path('tenants/other.toml'), tenant('other'));
    await eventually('it is told', async () => (await status())['result'] === 'failed');
    const { error = '' } = await status();
    assert.match(
      error,
      /tenants\/main\.toml:\d+: databases\[0\]\.host: "main" has an entry .*pgdog\.toml:\d+\)/,
    );
    await serves('main');
    await serves('good');
    await assert.rejects(clientOf(proxy, { database: 'other' }));
    rmSync(path('tenants/main.toml'));
    await serves('other');
    assert.equal((await status())['result'], 'ok');
  });
});
