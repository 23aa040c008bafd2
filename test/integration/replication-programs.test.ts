/** Replication through the programs that people use for it. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import { forEachDriver, type TestDriver } from '../support/drivers.js';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { findProgram } from '../support/programs.js';
import type { TestProxy } from '../support/proxy.js';
import { nothingLeft, serverRows, startReplicationServer } from '../support/replication.js';
import { majorVersion, startSystemPostgres, systemPostgresProblem } from '../support/system-postgres.js';
import { eventually, startWireProxy } from '../support/wire.js';

const exec = promisify(execFile);
const [basebackup, receivewal, recvlogical] = (
  ['pg_basebackup', 'pg_receivewal', 'pg_recvlogical'] as const
).map(findProgram);

let server: TestPostgres;
before(async () => {
  server = await startReplicationServer();
});
after(() => server.stop());

/** Runs a program of Postgres until `isDone`, then ends it as its user would. Gives what it said. */
async function runUntil(path: string, args: string[], isDone: () => boolean): Promise<string> {
  const child = spawn(path, args, {
    env: { ...process.env, PGPASSWORD: 'postgres' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)));
  const ended = once(child, 'exit');
  try {
    await eventually(`${path} has done its work: ${said}`, async () => isDone() || child.exitCode !== null);
  } finally {
    child.kill('SIGINT');
    await ended;
  }
  return said;
}

function programs(driver: TestDriver): void {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'pgdog-replication-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const system = async (body: (proxy: TestProxy) => Promise<void>): Promise<void> => {
    // These two refuse servers newer than themselves.
    const own = await startSystemPostgres(majorVersion(basebackup.path ?? ''));
    const proxy = await startWireProxy(own, driver);
    try {
      await body(proxy);
      await eventually('every place is free', async () =>
        (await serverRows(proxy)).every(({ state }) => state === 'idle'),
      );
    } finally {
      await proxy.stop();
      await own.stop();
    }
  };
  const problem = basebackup.skip || systemPostgresProblem(majorVersion(basebackup.path ?? ''));
  const login = (proxy: TestProxy): string[] => [
    '-h',
    '127.0.0.1',
    '-p',
    String(proxy.port),
    '-U',
    'postgres',
    '-w',
  ];

  it('pg_basebackup with its WAL stream beside it', { skip: problem }, () =>
    system(async (proxy) => {
      const target = join(directory, 'backup');
      await exec(
        basebackup.path ?? '',
        [...login(proxy), '-D', target, '-X', 'stream', '-c', 'fast', '--no-sync', '--no-slot'],
        { env: { ...process.env, PGPASSWORD: 'postgres' } },
      );
      assert.ok(existsSync(join(target, 'PG_VERSION')) && existsSync(join(target, 'backup_manifest')));
      assert.ok(readdirSync(join(target, 'pg_wal')).some((name) => name.length === 24));
    }),
  );

  it('pg_receivewal', { skip: problem || receivewal.skip }, () =>
    system(async (proxy) => {
      const target = join(directory, 'backup', '..');
      const hasWal = (): boolean => readdirSync(target).some((name) => name.endsWith('.partial'));
      const said = await runUntil(
        receivewal.path ?? '',
        [...login(proxy), '-D', target, '--no-sync', '-n'],
        hasWal,
      );
      assert.ok(hasWal(), said);
    }),
  );

  it('pg_recvlogical', { skip: recvlogical.skip }, async () => {
    const proxy = await startWireProxy(server, driver);
    const slot = `recv_${driver}`;
    const file = join(directory, 'changes');
    const own = [...login(proxy), '-d', 'postgres', '--slot', slot];
    const env = { ...process.env, PGPASSWORD: 'postgres' };
    try {
      await exec(recvlogical.path ?? '', [...own, '--create-slot', '-P', 'test_decoding'], { env });
      await server.query("INSERT INTO item VALUES ('by program')");
      const read = (): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
      const said = await runUntil(
        recvlogical.path ?? '',
        [...own, '--start', '-f', file, '-F', '0', '-n'],
        () => read().includes("'by program'"),
      );
      assert.match(read(), /table public.item: INSERT: name\[text\]:'by program'/, said);
      await exec(recvlogical.path ?? '', [...own, '--drop-slot'], { env });
      await nothingLeft(server, proxy);
    } finally {
      await proxy.stop();
    }
  });
}

forEachDriver('replication by Postgres programs', programs);
