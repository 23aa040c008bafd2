import { BOUNCER_CONFIG, BOUNCER_LISTS } from './bouncer/bouncer-lists.js';
import { BOUNCER_POOLS } from './bouncer/bouncer-pools.js';
import {
  BOUNCER_CLIENTS,
  BOUNCER_SERVERS,
  SHOW_ACTIVE_SOCKETS,
  SHOW_SOCKETS,
} from './bouncer/bouncer-sockets.js';
import {
  BOUNCER_STATS,
  SHOW_STATS_AVERAGES,
  SHOW_STATS_TOTALS,
  SHOW_TOTALS,
} from './bouncer/bouncer-stats.js';
import { SHOW_DATABASES, SHOW_USERS } from './bouncer/show-databases.js';
import { SHOW_FDS } from './bouncer/show-fds.js';
import {
  BOUNCER_PEERS,
  SHOW_DNS_HOSTS,
  SHOW_DNS_ZONES,
  SHOW_INSTANCE_ID,
  SHOW_MEM,
  SHOW_PEER_POOLS,
  SHOW_PEERS,
  SHOW_SERVER_VERSION,
  SHOW_STATE,
} from './bouncer/show-process.js';
import type { Show } from './show.js';
import { SHOW_ADDRESSES } from './show-addresses.js';
import { SHOW_BANS } from './show-bans.js';
import { SHOW_CHANGES } from './show-changes.js';
import { SHOW_CLIENTS } from './show-clients.js';
import { SHOW_CONFIG } from './show-config.js';
import { SHOW_CONFIG_STATUS } from './show-config-status.js';
import { SHOW_LISTENERS } from './show-listeners.js';
import { SHOW_LISTS } from './show-lists.js';
import { SHOW_MAINTENANCE } from './show-maintenance.js';
import { SHOW_CLIENT_MEMORY, SHOW_SERVER_MEMORY } from './show-memory.js';
import { SHOW_MIRRORS } from './show-mirrors.js';
import { SHOW_OMNI_DRIFT } from './show-omni-drift.js';
import { SHOW_POOLS } from './show-pools.js';
import { SHOW_PREPARED } from './show-prepared.js';
import { SHOW_QUERIES, SHOW_QUERY_CACHE } from './show-queries.js';
import { SHOW_REPLICAS } from './show-replicas.js';
import { SHOW_REPLICATION } from './show-replication.js';
import { SHOW_SERVERS } from './show-servers.js';
import { SHOW_SHARDED_TABLES } from './show-sharded-tables.js';
import { SHOW_SHARDS } from './show-shards.js';
import { SHOW_SHARED_MEMORY } from './show-shared-memory.js';
import { SHOW_STATS } from './show-stats.js';
import { SHOW_TENANTS } from './show-tenants.js';
import { SHOW_TLS } from './show-tls.js';
import { SHOW_TRANSACTIONS } from './show-transactions.js';
import { SHOW_VERSION } from './show-version.js';
import { SHOW_WORKERS } from './show-workers.js';

/** In this database the tables that PgBouncer has as well have its columns. */
export const BOUNCER_DATABASE = 'pgbouncer';

export const SHOWS: readonly Show[] = [
  SHOW_POOLS,
  SHOW_CLIENTS,
  SHOW_SERVERS,
  SHOW_STATS,
  SHOW_QUERIES,
  SHOW_QUERY_CACHE,
  SHOW_PREPARED,
  SHOW_CLIENT_MEMORY,
  SHOW_SERVER_MEMORY,
  SHOW_LISTS,
  SHOW_LISTENERS,
  SHOW_MAINTENANCE,
  SHOW_MIRRORS,
  SHOW_WORKERS,
  SHOW_SHARED_MEMORY,
  SHOW_CONFIG,
  SHOW_CONFIG_STATUS,
  SHOW_CHANGES,
  SHOW_SHARDS,
  SHOW_SHARDED_TABLES,
  SHOW_TRANSACTIONS,
  SHOW_OMNI_DRIFT,
  SHOW_BANS,
  SHOW_REPLICATION,
  SHOW_REPLICAS,
  SHOW_ADDRESSES,
  SHOW_TENANTS,
  SHOW_TLS,
  SHOW_VERSION,
  SHOW_DATABASES,
  SHOW_USERS,
  SHOW_SOCKETS,
  SHOW_ACTIVE_SOCKETS,
  SHOW_STATS_TOTALS,
  SHOW_STATS_AVERAGES,
  SHOW_TOTALS,
  SHOW_STATE,
  SHOW_FDS,
  SHOW_MEM,
  SHOW_DNS_HOSTS,
  SHOW_DNS_ZONES,
  SHOW_PEERS,
  SHOW_PEER_POOLS,
  SHOW_INSTANCE_ID,
  SHOW_SERVER_VERSION,
];

/** In place of those of the same name, in database pgbouncer. */
export const BOUNCER_SHOWS: readonly Show[] = [
  BOUNCER_POOLS,
  BOUNCER_CLIENTS,
  BOUNCER_SERVERS,
  BOUNCER_STATS,
  BOUNCER_LISTS,
  BOUNCER_CONFIG,
  BOUNCER_PEERS,
];

/** As asked for in that admin database; undefined: there is none of this name. */
export function findShow(database: string, name: string): Show | undefined {
  const own = database === BOUNCER_DATABASE ? BOUNCER_SHOWS : [];
  return own.find((show) => show.name === name) ?? SHOWS.find((show) => show.name === name);
}
