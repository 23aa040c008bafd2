/** A standby's data directory, copied from a running primary: what pg_basebackup does, which the embedded package lacks. */
import {
  appendFileSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { postgresBinaries } from 'pgdog-cluster/demo/postgres-binaries';

/** Made anew by the copy, or streamed to it: the directories stay, empty. */
const EMPTY_DIRECTORIES = new Set(['pg_wal', 'pg_replslot', 'pg_stat_tmp', 'pg_dynshmem', 'pg_notify']);
const LEFT_OUT = new Set(['postmaster.pid', 'postmaster.opts', 'standby.signal', 'backup_label']);

function give(path: string): void {
  const { uid, gid } = postgresBinaries().runAs;
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

/** Files that vanish while we look are the server's temporary ones. */
function copyTree(source: string, target: string): void {
  mkdirSync(target, { mode: 0o700 });
  give(target);
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    if (LEFT_OUT.has(entry.name)) continue;
    if (EMPTY_DIRECTORIES.has(entry.name)) {
      mkdirSync(to, { mode: 0o700 });
      give(to);
    } else if (entry.isDirectory()) copyTree(from, to);
    else copyFile(from, to);
  }
}

function copyFile(from: string, to: string): void {
  try {
    copyFileSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  give(to);
}

function writeOwned(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  give(path);
}

/** Where a standby streams from; read at start and on reload. The last line of a name wins. */
export function writePrimaryConninfo(directory: string, conninfo: string): void {
  appendFileSync(join(directory, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
}

/**
 * Copies the data directory `source` of the server that `client` (a superuser) is connected to. The session must be
 * the same from start to stop of the backup.
 */
export async function copyAsStandby(
  client: pg.Client,
  source: string,
  target: string,
  conninfo: string,
): Promise<void> {
  await client.query("SELECT pg_backup_start('standby', fast => true)");
  rmSync(target, { recursive: true, force: true });
  copyTree(source, target);
  const { rows } = await client.query<{ labelfile: string }>(
    'SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)',
  );
  writeOwned(join(target, 'backup_label'), rows[0].labelfile);
  writeOwned(join(target, 'standby.signal'), '');
  writePrimaryConninfo(target, conninfo);
}
