import { type ConfigSnapshot, counted } from '@pgdog-cluster/core';
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
import { setDatabaseTls } from '../config/database-tls.js';
import { buildSnapshot } from '../config/publish-config.js';
import { checkServers } from './check-servers.js';
import { type CommandIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.js';
import { loadOrReport, readTlsOrReport } from './load-or-report.js';

export interface CheckOptions extends ConfigurationOptions {
  /** Log in to every server too. */
  connect: boolean;
}

function summary(loaded: LoadedConfig, snapshot: ConfigSnapshot): string {
  const { databases, users, sources } = loaded;
  const patterns =
    loaded.templates.length === 0 ? '' : `, ${counted(loaded.templates.length, 'pattern')} of names`;
  const counts = `${counted(databases.length, 'database')}${patterns}, ${counted(users.length, 'user')}, ${counted(snapshot.pools.length, 'pool')}`;
  return `configuration is valid (${sources.join(', ')}): ${counts}`;
}

/**
 * What the shards do not have in common, as warnings: the tables are refused, the rest works. False when they cannot be
 * read at all.
 */
async function checkShards(loaded: LoadedConfig, snapshot: ConfigSnapshot, io: CommandIo): Promise<boolean> {
  let areRead = true;
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
      io.out(
        `ok     "${name}": ${counted(shards.length, 'shard')}, ${counted(relations.length, 'relation')}, ${sharded} sharded`,
      );
    } catch (error) {
      areRead = false;
      io.out(`FAILED "${name}": ${error instanceof Error ? error.message : error}`);
    }
  }
  return areRead;
}

/** `pgdog-cluster check`: is the configuration valid and, with --connect, does every server let us in? */
export async function check(options: CheckOptions, io: CommandIo): Promise<ExitCode> {
  const loaded = await loadOrReport(options, io);
  if (loaded === null) return EXIT_USAGE;
  for (const warning of loaded.warnings) io.err(`warning: ${formatProblem(warning)}`);
  const tls = readTlsOrReport(loaded, io);
  if (tls === null) return EXIT_USAGE;
  setDatabaseTls(tls);
  const snapshot = await buildSnapshot(loaded, 0, tls);
  io.out(summary(loaded, snapshot));
  if (!options.connect) return EXIT_OK;
  const areServersWell = await checkServers(loaded, snapshot, io);
  const areShardsRead = await checkShards(loaded, snapshot, io);
  return areServersWell && areShardsRead ? EXIT_OK : EXIT_FAILED;
}
