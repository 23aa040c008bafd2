/** A streaming standby of the embedded server, for what needs a host that only reads. */
import { execFileSync } from 'node:child_process';
import { chownSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PostgresServer as StandbyServer } from 'pgdog-cluster/demo/postgres-server';
import { sleep } from './child.js';
import { onCleanUp } from './clean-up.js';
import { type PostgresServer, SERVER_SETTINGS, withClient } from './postgres-server.js';

const START_TIMEOUT_MS = 30_000;

/** Copied while nobody writes; it streams from then on. */
export async function startStandby(server: PostgresServer): Promise<{ host: string; port: number }> {
  const { dataDirectory, owner } = server;
  if (dataDirectory === null) throw new Error('a standby can be made of the embedded server only');
  // Beside the primary's: whoever the server runs as passes through there.
  const standbyDirectory = join(dirname(dataDirectory), 'standby');
  await withClient(owner, async (client) => {
    await client.query("SELECT pg_backup_start('bench', fast => true)");
    execFileSync('cp', ['-a', dataDirectory, standbyDirectory]);
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
    rmSync(join(standbyDirectory, 'postmaster.pid'), { force: true });
    const { uid, gid } = statSync(dataDirectory);
    for (const [name, text] of [
      ['backup_label', rows[0].labelfile],
      ['standby.signal', ''],
    ]) {
      writeFileSync(join(standbyDirectory, name), text);
      chownSync(join(standbyDirectory, name), uid, gid);
    }
  });
  const standby = await StandbyServer.start({
    dataDirectory: standbyDirectory,
    auth: 'scram-sha-256',
    password: owner.password,
    settings: {
      ...SERVER_SETTINGS,
      primary_conninfo: `host=${owner.host} port=${owner.port} user=${owner.user} password=${owner.password}`,
    },
    isTemporary: true,
  });
  onCleanUp(() => standby.stop());
  const { port } = standby;
  await untilCaughtUp(server, port);
  return { host: owner.host, port };
}

async function untilCaughtUp({ owner }: PostgresServer, port: number): Promise<void> {
  const position = await withClient(owner, async (client) => {
    const { rows } = await client.query<{ position: string }>('SELECT pg_current_wal_lsn() AS position');
    return rows[0].position;
  });
  const endMs = performance.now() + START_TIMEOUT_MS;
  await withClient({ ...owner, port }, async (client) => {
    for (;;) {
      const sql = 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS is_there';
      const { rows } = await client.query<{ is_there: boolean | null }>(sql, [position]);
      if (rows[0].is_there === true) return;
      if (performance.now() > endMs) throw new Error('the standby does not catch up');
      await sleep(50);
    }
  });
}
