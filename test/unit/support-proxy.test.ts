// startProxy against the real program: what every integration test stands on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { forEachDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { findProgram } from '../support/programs.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { toToml } from '../support/toml-text.js';

describe('toml text', () => {
  it('writes tables, lists and strings that need escapes', () => {
    const text = toToml(
      { general: { port: 1, host: 'a"b' } },
      { users: [{ name: 'u', databases: ['x', 'y'], gone: undefined }] },
    );
    assert.equal(
      text,
      '[general]\nport = 1\nhost = "a\\"b"\n\n[[users]]\nname = "u"\ndatabases = ["x","y"]\n',
    );
  });
});

describe('programs', () => {
  it('names the package of what is missing', () => {
    for (const name of ['psql', 'pgbench', 'pg_dump', 'pgbouncer'] as const) {
      const { path, skip } = findProgram(name);
      if (path === null) assert.match(String(skip), /not installed \(Debian: /);
      else assert.ok(skip === false && existsSync(path));
    }
  });
});

forEachDriver('startProxy', (ioDriver) => {
  let server: TestPostgres;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  it('starts, serves, answers admins, stops with exit code 0', async () => {
    const proxy = await startProxy({ databases: [databaseOf(server)], ioDriver, workers: 1, metrics: true });
    const client = await RawClient.connect({ port: proxy.port, password: 'postgres' });
    assert.deepEqual((await client.query("select 'through'")).rows, [['through']]);
    await client.end();
    assert.ok((await proxy.adminQuery('SHOW VERSION')).length > 0);
    assert.match(await proxy.metrics(), /^# (?:HELP|TYPE) /m);
    assert.match(proxy.output, /ready on/);
    assert.ok(existsSync(proxy.directory));
    assert.equal(await proxy.stop(), 0);
    assert.equal(await proxy.stop(), 0, 'stop is idempotent');
    assert.ok(!existsSync(proxy.directory));
  });
  it('takes -d instead of files, and says why a start failed', async () => {
    const proxy = await startProxy({ url: server.url(), ioDriver, workers: 1 });
    await assert.rejects(
      startProxy({ databases: [databaseOf(server)], general: { no_such_key: 1 } }),
      /the proxy ended \(2\)[\s\S]*no_such_key/,
    );
    proxy.kill();
    assert.equal(await proxy.exited, null);
  });
});

const psql = findProgram('psql');
it('psql goes through', { skip: psql.skip }, async () => {
  const server = await startPostgres();
  const proxy = await startProxy({ databases: [databaseOf(server)], workers: 1 });
  const output = execFileSync(psql.path ?? '', ['-Atc', 'select 6 * 7', proxy.url()], { encoding: 'utf8' });
  assert.equal(output.trim(), '42');
  await proxy.stop();
  await server.stop();
});
