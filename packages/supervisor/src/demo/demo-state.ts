/**
 * Where the demo keeps its three data directories between starts, and the lock that keeps two demos apart.
 * Everything below this directory can be deleted at any time while no demo runs.
 */
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandLine, lockedBy } from './leftovers.js';

const NAME = 'pgdog-cluster-demo';

/**
 * The user's cache. Root's own may not be entered by the user the servers run as, so root gets the temporary
 * directory.
 */
function candidates(): string[] {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return [join(tmpdir(), NAME)];
  return [
    join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), NAME),
    join(tmpdir(), `${NAME}-${uid}`),
  ];
}

/** True when the directory is there, ours, and no link somebody planted in the temporary directory. */
function isUsable(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const status = lstatSync(directory);
    if (!status.isDirectory() || status.uid !== (process.getuid?.() ?? status.uid)) return false;
    chmodSync(directory, 0o755);
    return true;
  } catch {
    return false;
  }
}

/** State of the demo on one port. Falls back to a fresh directory, which only costs the fast second start. */
export function demoDirectory(port: number): string {
  const base = candidates().find(isUsable) ?? mkdtempSync(join(tmpdir(), `${NAME}-`));
  const directory = join(base, String(port));
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  // The umask may have been stricter, and the servers' user must get through.
  for (const path of [base, directory]) chmodSync(path, 0o755);
  return directory;
}

/**
 * Takes the directory for this process. Throws when a live demo has it; a lock of a dead process, or of one
 * that is something else by now, is taken over. Returns the function that gives it back.
 */
export function lockDemo(directory: string): () => void {
  const file = join(directory, 'demo.pid');
  const holder = lockedBy(file);
  if (holder !== process.pid && commandLine(holder).split(' ').includes('demo')) {
    throw new Error(
      `another demo (process ${holder}) is using ${directory}; stop it, or choose another port`,
    );
  }
  writeFileSync(file, `${process.pid}\n`);
  return () => rmSync(file, { force: true });
}
