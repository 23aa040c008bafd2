import { randomUUID } from 'node:crypto';
import type { ConfigSnapshot } from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { primariesFirst } from '../catalog/shard-login.js';
import type { ConfigurationOptions } from '../config/config-file.js';
import { setDatabaseTls } from '../config/database-tls.js';
import { buildSnapshot } from '../config/publish-config.js';
import type { ShardIdentity } from '../two-phase/ending.js';
import { SetupSession } from '../two-phase/setup-shard.js';
import { type CommandIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.js';
import { loadOrReport, readTlsOrReport } from './load-or-report.js';

export interface SetupOptions extends ConfigurationOptions {
  /** null: all with several shards. */
  database: string | null;
}

/** `pgdog-cluster setup`: what commits over several shards need on each of them. Again and again, as often as one likes. */
export async function setup(options: SetupOptions, io: CommandIo): Promise<ExitCode> {
  const loaded = await loadOrReport(options, io);
  if (loaded === null) return EXIT_USAGE;
  const tls = readTlsOrReport(loaded, io);
  if (tls === null) return EXIT_USAGE;
  const names = [...loaded.sharding.keys()].filter(
    (name) => options.database === null || name === options.database,
  );
  if (names.length === 0) {
    io.err(
      options.database === null
        ? 'error: no database has several shards: nothing to set up'
        : `error: there is no database "${options.database}" with several shards`,
    );
    return EXIT_USAGE;
  }
  setDatabaseTls(tls);
  const snapshot = await buildSnapshot(loaded, 0, tls);
  let exit: ExitCode = EXIT_OK;
  for (const name of names) {
    try {
      await setUp(name, loaded, snapshot, io);
    } catch (error) {
      io.err(`error: "${name}": ${error instanceof Error ? error.message : error}`);
      exit = EXIT_FAILED;
    }
  }
  return exit;
}

/** Rejects with what stood in the way. */
export async function setUp(
  name: string,
  loaded: LoadedConfig,
  snapshot: ConfigSnapshot,
  io: CommandIo,
): Promise<void> {
  const count = loaded.sharding.get(name)?.shardCount ?? 0;
  const sources = { loaded, snapshot, inOrder: primariesFirst };
  const sessions: SetupSession[] = [];
  try {
    // All of them first: nothing is written anywhere while one cannot be reached, or says that it is another.
    for (let shard = 0; shard < count; shard++) sessions.push(await SetupSession.open(name, shard, sources));
    const cluster = clusterOf(sessions);
    for (const session of sessions) {
      const done = await session.apply({ cluster, number: session.shard, count });
      const what = done.length === 0 ? 'nothing to do' : `made ${done.join(', ')}`;
      io.out(`ok     "${name}" shard ${session.shard} (${session.place}): ${what}`);
    }
    for (const warning of warningsOf(name, sessions, snapshot)) io.err(`warning: "${name}": ${warning}`);
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}

/** That of the shards that have one. */
function clusterOf(sessions: readonly SetupSession[]): string {
  const known = sessions.filter((session): session is SetupSession & { identity: ShardIdentity } => {
    return session.identity !== null;
  });
  for (const { identity, shard, place } of known) {
    const { number, count, cluster } = identity;
    if (number === shard && count <= sessions.length && cluster === known[0].identity.cluster) continue;
    const says = `shard ${number} of ${count} of cluster ${cluster}`;
    const remedy =
      'if the configuration is right and nothing is prepared, DELETE FROM pgdog.shard on every shard';
    throw new Error(`shard ${shard} (${place}) takes itself for ${says}: ${remedy}`);
  }
  return known[0]?.identity.cluster ?? randomUUID();
}

function warningsOf(
  name: string,
  sessions: readonly SetupSession[],
  { pools }: Pick<ConfigSnapshot, 'pools'>,
): string[] {
  return sessions.flatMap(({ shard, place, state }) => {
    const warnings: string[] = [];
    if (state.prepared_max === 0) {
      warnings.push(
        `max_prepared_transactions is 0 on shard ${shard} (${place}), and writes on several shards are refused: ALTER SYSTEM SET max_prepared_transactions = 100 (as many as there are server connections) and restart the server`,
      );
    }
    const [user] = place.split('@');
    const others = pools.filter(
      (pool) =>
        pool.database === name &&
        pool.shard === shard &&
        pool.serverUser !== user &&
        pool.serverPasswords.length === 0,
    );
    if (!state.is_superuser && others.length > 0) {
      const names = [...new Set(others.map(({ serverUser }) => serverUser))].join(', ');
      warnings.push(
        `${user} cannot end what ${names} leaves prepared on shard ${shard}: mark a superuser with schema_admin = true, or give users.toml their passwords`,
      );
    }
    return warnings;
  });
}
