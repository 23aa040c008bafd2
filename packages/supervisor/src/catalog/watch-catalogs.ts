import type { ConfigSnapshot, SharedMemory } from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import type { Fleet } from '../fleet/fleet.js';
import type { HostMonitor } from '../health/host-monitor.js';
import type { Logger } from '../log/logger.js';
import { TwoPhaseRecovery } from '../two-phase/recovery.js';
import { ShardSession } from '../two-phase/shard-session.js';
import { CatalogWatch } from './catalog-watch.js';
import { openShard } from './read-catalog.js';
import type { ShardSources } from './shard-login.js';

/** What of the supervisor it takes. */
export interface WatchedProgram {
  memory: SharedMemory;
  logger: Logger;
  fleet: Fleet;
  health: HostMonitor;
  loaded: () => LoadedConfig;
  snapshot: () => ConfigSnapshot;
  republish: (change: () => Partial<ConfigSnapshot>) => Promise<number>;
}

/** Reads from the servers, publishes in shared memory, tells the workers. */
export function watchCatalogs(program: WatchedProgram): CatalogWatch {
  const { memory, logger, fleet, snapshot, republish } = program;
  const watch: CatalogWatch = new CatalogWatch({
    logger,
    open: (database, shard) => openShard(database, shard, sourcesOf(program)),
    // Before the snapshot whose epoch tells of them.
    publish: (catalogs) =>
      republish(() => {
        memory.catalogs.publish(catalogs);
        return { databases: watch.annotate(snapshot().databases) };
      }),
    tell: (message, except) => {
      for (const worker of fleet.servingWorkers()) if (!except.has(worker)) fleet.order(worker, message);
    },
  });
  return watch;
}

/** Ends what is left prepared on them. */
export function watchTransactions(program: WatchedProgram): TwoPhaseRecovery {
  return new TwoPhaseRecovery({
    logger: program.logger,
    open: (database, shard, user) => ShardSession.open(database, shard, sourcesOf(program), user),
  });
}

function sourcesOf({ loaded, snapshot, health }: WatchedProgram): ShardSources {
  return { loaded: loaded(), snapshot: snapshot(), inOrder: (hosts) => health.inOrder(hosts) };
}
