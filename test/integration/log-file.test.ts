// log_file and pid_file: what logrotate and an init script do with them.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { eventually } from '../support/wire.js';

// Not the proxy's own folder, which goes with it.
const directory = mkdtempSync(join(tmpdir(), 'pgdog-log-file-'));
let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true });
});

const start = (general: Record<string, string>) =>
  startProxy({ databases: [databaseOf(server)], workers: 1, general, isUnready: true });

it('the log is appended to a file, and to a new one after it was moved and SIGHUP or RELOAD came', async () => {
  const proxy = await start({ log_file: 'proxy.log', pid_file: join(directory, 'pid') });
  const path = (name: string): string => join(proxy.directory, name);
  const read = (name: string): string => (existsSync(path(name)) ? readFileSync(path(name), 'utf8') : '');
  await eventually('ready', async () => read('proxy.log').includes(' ready '));
  const pidFile = join(directory, 'pid');
  await eventually('its pid', async () => existsSync(pidFile));
  assert.equal(readFileSync(pidFile, 'utf8'), `${proxy.pid}\n`);
  renameSync(path('proxy.log'), path('proxy.log.1'));
  proxy.kill('SIGHUP');
  await eventually('a new file', async () => read('proxy.log').includes('INFO'));
  assert.match(read('proxy.log.1'), / ready /);
  assert.doesNotMatch(read('proxy.log'), / ready /);
  renameSync(path('proxy.log'), path('proxy.log.2'));
  await proxy.adminQuery('RELOAD');
  await eventually('another one', async () => read('proxy.log').includes('INFO'));
  proxy.kill('SIGTERM');
  assert.equal(await proxy.exited, 0);
  assert.ok(!existsSync(pidFile), 'the pid file goes with its process');
  assert.equal(proxy.output, '', 'nothing on standard output');
});

it('a full disk: it starts, reloads, serves and ends all the same', async () => {
  const path = join(directory, 'full');
  symlinkSync('/dev/full', path);
  const pidFile = join(directory, 'pid-full');
  const proxy = await start({ log_file: path, pid_file: pidFile });
  await eventually('its pid', async () => existsSync(pidFile));
  proxy.kill('SIGHUP');
  await proxy.adminQuery('RELOAD');
  assert.equal((await proxy.adminQuery('SHOW VERSION')).length, 1);
  proxy.kill('SIGTERM');
  assert.equal(await proxy.exited, 0);
});

it('files that cannot be written: one line, exit code 1', async () => {
  const log = await start({ log_file: '/nowhere/proxy.log' });
  assert.equal(await log.exited, 1);
  assert.match(log.output, /^error: cannot write log_file: ENOENT.*\/nowhere\/proxy\.log/m);
  const pid = await start({ pid_file: '/nowhere/proxy.pid' });
  assert.equal(await pid.exited, 1);
  assert.match(pid.output, /error: cannot write pid_file \/nowhere\/proxy\.pid: ENOENT \(Its directory must/);
});
