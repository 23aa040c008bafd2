import { type ConfigSnapshot, type PoolSnapshot, serverName, type TlsSnapshot } from '@pgdog-cluster/core';
import { formatProblem, type LoadedConfig } from '@pgdog-cluster/core/config';
import { differenceText } from '../catalog/catalog-watch.js';
import {
  compareCatalogs,
  looseUniqueTexts,
  missingSetup,
  OWN_ROWS,
  shardList,
} from '../catalog/compare-catalogs.js';
import { openShard, openShards } from '../catalog/read-catalog.js';
import { primariesFirst } from '../catalog/shard-login.js';
import type { ConfigurationOptions } from '../config/config-file.js';
import { pgTlsOf, setDatabaseTls } from '../config/database-tls.js';
import { connectByPg } from '../config/pg-connect.js';
import { buildSnapshot } from '../config/publish-config.js';
import { type CommandIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.js';
import { loadOrReport, readTlsOrReport } from './load-or-report.js';

export interface CheckOptions extends ConfigurationOptions {
  /** Log in to every server too. */
  connect: boolean;
}

/** Without connect_timeout a dead host must still not hang the check. */
const CONNECT_TIMEOUT_MS_DEFAULT = 5_000;
/** Servers tried at once: a check must not look like an attack. */
const PARALLEL_MAX = 8;

function summary(loaded: LoadedConfig, snapshot: ConfigSnapshot): string {
  const { databases, users, sources } = loaded;
  const counts = `${databases.length} databases, ${users.length} users, ${snapshot.pools.length} pools`;
  return `configuration is valid (${sources.join(', ')}): ${counts}`;
}

function placeOf(pool: PoolSnapshot): string {
  return `${pool.serverUser}@${serverName(pool)}/${pool.serverDatabase}`;
}

/** Logs in once per known password, as a pool would; the server's version, or why not. */
async function tryServer(
  pool: PoolSnapshot,
  timeoutMs: number,
  tls: TlsSnapshot,
): Promise<{ isReached: boolean; text: string }> {
  if (pool.serverPasswords.length === 0 && pool.serverMd5Hashes.length + pool.serverVerifiers.length > 0) {
    return { isReached: true, text: 'not tried: only a hash of the password is known' };
  }
  if (pool.addresses.length === 0) return { isReached: false, text: 'the host name does not resolve' };
  let text = '';
  for (const password of pool.serverPasswords.length > 0 ? pool.serverPasswords : ['']) {
    try {
      const client = await connectByPg(
        {
          host: pool.addresses[0].text,
          tls: pgTlsOf(pool.host, tls.servers[pool.tls]),
          requirePeer: pool.requirePeer,
        },
        {
          port: pool.port,
          database: pool.serverDatabase,
          user: pool.serverUser,
          password,
          connectionTimeoutMillis: timeoutMs,
          query_timeout: timeoutMs,
          application_name: 'pgdog-cluster check',
        },
      );
      try {
        const result = await client.query('SHOW server_version');
        return { isReached: true, text: `PostgreSQL ${result.rows[0].server_version}` };
      } finally {
        await client.end().catch(() => {});
      }
    } catch (error) {
      const isEmpty = !(error instanceof Error) || error.message === '';
      text = isEmpty ? 'no connection' : (error as Error).message;
      if (isEmpty && error instanceof Error && 'code' in error) text = String(error.code);
    }
  }
  return { isReached: false, text };
}

/** One line per distinct server login; true when all worked. */
async function checkServers(snapshot: ConfigSnapshot, io: CommandIo): Promise<boolean> {
  const pools = new Map(
    snapshot.pools.map((pool) => [placeOf(pool) + JSON.stringify(pool.serverPasswords), pool]),
  );
  const timeoutMs = snapshot.general.connectTimeoutMs || CONNECT_TIMEOUT_MS_DEFAULT;
  const queue = [...pools.values()];
  let areAllReached = true;
  const work = async () => {
    for (let pool = queue.shift(); pool !== undefined; pool = queue.shift()) {
      const { isReached, text } = await tryServer(pool, timeoutMs, snapshot.tls);
      areAllReached &&= isReached;
      io.out(`${isReached ? 'ok    ' : 'FAILED'} ${placeOf(pool)}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_MAX }, work));
  return areAllReached;
}

/** What the shards do not have in common, as warnings: the tables are refused, the rest works. */
async function checkShards(loaded: LoadedConfig, snapshot: ConfigSnapshot, io: CommandIo): Promise<void> {
  for (const [name, sharding] of loaded.sharding) {
    const numbers = Array.from({ length: sharding.shardCount }, (_, shard) => shard);
    try {
      const sources = { loaded, snapshot, inOrder: primariesFirst };
      const opened = await openShards(sharding.shardCount, (shard) => openShard(name, shard, sources));
      const shards = await Promise.all(opened.map((connection) => connection.read())).finally(() =>
        Promise.all(opened.map((connection) => connection.close())),
      );
      const { differences, relations, unmatchedRules } = compareCatalogs(name, shards, sharding);
      for (const difference of differences) {
        if (difference.text !== OWN_ROWS) io.err(`warning: "${name}": ${differenceText(difference)}`);
      }
      for (const table of unmatchedRules) {
        io.err(`warning: "${name}": there is no table ${table}, which [[sharded_tables]] has a rule for`);
      }
      for (const text of looseUniqueTexts({ relations }, sharding)) io.err(`warning: "${name}": ${text}`);
      const without = numbers.filter((shard) => shards[shard].preparedMax === 0);
      if (without.length > 0 && sharding.commit !== 'plain') {
        io.err(
          `warning: "${name}": max_prepared_transactions is 0 on ${shardList(without)}: writes on several shards are refused`,
        );
      }
      const lack = sharding.commit === 'plain' ? null : missingSetup(differences);
      if (lack !== null) io.err(`warning: "${name}": ${lack}`);
      const sharded = relations.filter(({ placement }) => placement === 'sharded').length;
      io.out(`ok     "${name}": ${shards.length} shards, ${relations.length} relations, ${sharded} sharded`);
    } catch (error) {
      io.err(`warning: "${name}": ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** `pgdog-cluster check`: is the configuration valid and, with --connect, does every server let us in? */
export async function check(options: CheckOptions, io: CommandIo): Promise<ExitCode> {
  const loaded = loadOrReport(options, io);
  if (loaded === null) return EXIT_USAGE;
  for (const warning of loaded.warnings) io.err(`warning: ${formatProblem(warning)}`);
  const tls = readTlsOrReport(loaded, io);
  if (tls === null) return EXIT_USAGE;
  setDatabaseTls(tls);
  const snapshot = await buildSnapshot(loaded, 0, tls);
  io.out(summary(loaded, snapshot));
  if (!options.connect) return EXIT_OK;
  const areAllReached = await checkServers(snapshot, io);
  await checkShards(loaded, snapshot, io);
  return areAllReached ? EXIT_OK : EXIT_FAILED;
}
