/** Finding the programs that are measured or do the measuring, and saying what to install where one is missing. */
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runToEnd } from './child.js';

export interface Program {
  path: string;
  /** First number with dots in what `--version` prints. */
  version: string;
}

/** Debian's and Red Hat's names of the package to install. */
export const PACKAGES = {
  pgbench: 'apt-get install postgresql (or postgresql-contrib: dnf install postgresql-contrib)',
  pgbouncer: 'apt-get install pgbouncer (dnf install pgbouncer)',
} as const;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Newest major version first: /usr/lib/postgresql/<major>/bin. */
function debianBinFolders(): string[] {
  try {
    const majors = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a));
    return majors.map((major) => join('/usr/lib/postgresql', major, 'bin'));
  } catch {
    return [];
  }
}

/** Full path of a program, or null. /usr/sbin is looked at too: daemons live there and a user's PATH lacks it. */
export function findProgram(name: string): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  for (const folder of [...folders, '/usr/sbin', '/usr/local/sbin', ...debianBinFolders()]) {
    const path = join(folder, name);
    if (folder !== '' && isExecutable(path)) return path;
  }
  return null;
}

export async function identify(path: string): Promise<Program> {
  const output = await runToEnd(path, ['--version'], { timeoutMs: 5000 });
  return { path, version: parseVersion(output.stdout + output.stderr) };
}

export function parseVersion(text: string): string {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? 'unknown';
}

/** Compares as numbers, part by part: 1.9 is older than 1.18. An unknown version is older than any. */
export function isVersionAtLeast(version: string, least: string): boolean {
  const have = version.split('.').map(Number);
  const want = least.split('.').map(Number);
  for (let part = 0; part < want.length; part++) {
    const difference = (have[part] ?? 0) - want[part];
    if (Number.isNaN(difference)) return false;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
