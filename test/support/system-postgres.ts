/** The Postgres that is installed on the machine: pg_dump refuses servers newer than itself, as the embedded one may be. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chownSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from 'pgdog-cluster/demo/free-port';

const exec = promisify(execFile);
const START_ATTEMPTS_MAX = 100;

/** Major version of `program --version`: "pg_dump (PostgreSQL) 15.18". */
export function majorVersion(path: string): number {
  const words = execFileSync(path, ['--version'], { encoding: 'utf8' }).split(' ');
  return Number.parseInt(words.find((word) => Number.parseInt(word, 10) > 0) ?? '', 10);
}

function serverDirectory(major: number): string | null {
  const directory = `/usr/lib/postgresql/${major}/bin`;
  try {
    accessSync(join(directory, 'initdb'), constants.X_OK);
    return directory;
  } catch {
    return null;
  }
}

/** False when a server of that version can be started, else why not. */
export function systemPostgresProblem(major: number): string | false {
  return serverDirectory(major) === null
    ? `no server of version ${major} is installed beside pg_dump ${major}`
    : false;
}

/** Postgres does not run as root: then it gets the system's user for it. */
function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

export interface SystemPostgres {
  host: string;
  port: number;
  stop(): Promise<void>;
}

/** With trust for everybody on the loopback. Throws when it does not start within 5 s. */
export async function startSystemPostgres(major: number): Promise<SystemPostgres> {
  const binaries = serverDirectory(major) ?? '';
  const directory = mkdtempSync(join(tmpdir(), 'pgdog-system-postgres-'));
  const runAs = owner();
  if (runAs.uid !== undefined && runAs.gid !== undefined) chownSync(directory, runAs.uid, runAs.gid);
  await exec(
    join(binaries, 'initdb'),
    ['-D', directory, '-U', 'postgres', '-A', 'trust', '--no-sync'],
    runAs,
  );
  const port = await freePort();
  const settings = ['-c', 'fsync=off', '-c', 'unix_socket_directories=', '-c', 'listen_addresses=127.0.0.1'];
  const child = spawn(join(binaries, 'postgres'), ['-D', directory, '-p', String(port), ...settings], {
    ...runAs,
    stdio: 'ignore',
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.kill('SIGINT')) await once(child, 'exit');
    rmSync(directory, { recursive: true, force: true });
  };
  for (let attempt = 0; ; attempt++) {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
    try {
      await client.connect();
      await client.end();
      return { host: '127.0.0.1', port, stop };
    } catch (error) {
      if (attempt >= START_ATTEMPTS_MAX) {
        await stop();
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
