/** Programs some tests need and few machines have all of. Missing ones skip their tests, by name. */
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian's package for each. */
const PACKAGES = {
  psql: 'postgresql-client',
  pg_basebackup: 'postgresql-client',
  pg_receivewal: 'postgresql-client',
  pg_recvlogical: 'postgresql-client',
  pg_dump: 'postgresql-client',
  pgbench: 'postgresql-contrib (or postgresql on newer Debian)',
  pgbouncer: 'pgbouncer',
  chromium: 'chromium',
  'systemd-socket-activate': 'systemd',
  'systemd-analyze': 'systemd',
  helm: 'helm (https://helm.sh)',
  hadolint: 'hadolint (https://github.com/hadolint/hadolint)',
  python3: 'python3',
} as const;
export type ProgramName = keyof typeof PACKAGES;

export interface Program {
  /** Absolute path; null when it is not installed. */
  path: string | null;
  /** For node:test's `skip`: false when the program is there. */
  skip: string | false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Debian keeps server programs apart, a directory per major version: newest first. */
function debianDirectories(): string[] {
  try {
    const versions = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a));
    return versions.map((version) => join('/usr/lib/postgresql', version, 'bin'));
  } catch {
    return [];
  }
}

export function findProgram(name: ProgramName): Program {
  const named = process.env[name.toUpperCase()];
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', ...debianDirectories()];
  const candidates = [
    ...(named === undefined ? [] : [named]),
    ...directories.map((directory) => join(directory, name)),
  ];
  const path = candidates.find(isExecutable) ?? null;
  return { path, skip: path === null ? `${name} is not installed (Debian: ${PACKAGES[name]})` : false };
}
