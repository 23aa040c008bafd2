/**
 * What a killed run leaves behind: a lock file naming a dead process, or a Postgres that still runs in our data
 * directory. Decided from /proc (or ps), because a process id in a file may long belong to somebody else.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Command line of a live process, arguments joined by spaces; empty when there is none (or only a zombie). */
export function commandLine(pid: number): string {
  if (!Number.isInteger(pid) || pid <= 0) return '';
  try {
    if (existsSync('/proc/self/cmdline')) {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
    }
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } catch {
    return '';
  }
}

/** Process id in the first line of a lock file; 0 when the file is missing or holds something else. */
export function lockedBy(file: string): number {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return Number.isInteger(pid) && pid > 0 ? pid : 0;
  } catch {
    return 0;
  }
}

/**
 * Makes a data directory startable: ends a server that still runs in it and removes its lock file.
 * The server is recognised by its command line naming the directory; any other holder of the id is left alone.
 */
export async function clearLeftovers(dataDirectory: string): Promise<void> {
  const lock = join(dataDirectory, 'postmaster.pid');
  const pid = lockedBy(lock);
  const isOurs = (): boolean => commandLine(pid).split(' ').includes(dataDirectory);
  // SIGINT is Postgres's fast shutdown; SIGQUIT when that is not quick enough. Its backends follow either.
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (!isOurs()) break;
    process.kill(pid, signal);
    for (let waitedMs = 0; waitedMs < 1500 && isOurs(); waitedMs += 20) await sleep(20);
  }
  rmSync(lock, { force: true });
}
