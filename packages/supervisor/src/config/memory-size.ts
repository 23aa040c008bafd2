import {
  CATALOG_AREA_BYTES,
  createSharedMemory,
  HOSTS_MAX_DEFAULT,
  POOLS_MAX_DEFAULT,
  ROUTING_AREA_BYTES_DEFAULT,
  type SharedMemory,
} from '@pgdog-cluster/core';
import { ConfigurationError, hasPlaceholder, type LoadedConfig, poolPairs } from '@pgdog-cluster/core/config';
import { dynamicPoolsMax } from '../auth/dynamic-pools.js';

/** A pool with its users packs to some 1,000 bytes; twice that and more for long names and many addresses. */
const PACKED_POOL_BYTES = 2048;
/** Tables for more are too large to be made in case they are needed. */
const TENANTS_ROOM_MAX = 100_000;

/**
 * Room for twice what is configured, and for users who are found elsewhere. Untouched rows cost address space alone, so
 * that a reload hardly ever finds too little.
 */
export function poolsMaxOf(loaded: LoadedConfig): number {
  const configured = Math.max(POOLS_MAX_DEFAULT, 2 * poolPairs(loaded).length);
  return configured + dynamicPoolsMax(loaded) + tenantPoolsMax(loaded);
}

/** One user in each tenant; more of them take of the room for reloads. */
function tenantPoolsMax({ templates, general }: LoadedConfig): number {
  const hostsMax = Math.max(0, ...templates.map(({ entries }) => entries.length));
  return Math.min(TENANTS_ROOM_MAX, general.tenants_max) * hostsMax;
}

/** Of tenants that are each on hosts of their own. */
function tenantHostsMax({ templates, general }: LoadedConfig): number {
  const counts = templates.map(({ entries }) => entries.filter(({ host }) => hasPlaceholder(host)).length);
  return Math.min(TENANTS_ROOM_MAX, general.tenants_max) * Math.max(0, ...counts);
}

/** @param fdMax descriptor numbers are below it */
export function memoryFor(loaded: LoadedConfig, poolsMax: number, fdMax: number): SharedMemory {
  return createSharedMemory({
    workers: loaded.workerCount,
    poolsMax,
    hostsMax: Math.max(HOSTS_MAX_DEFAULT, 2 * loaded.databases.length) + tenantHostsMax(loaded),
    fdMax,
    routingAreaBytes: ROUTING_AREA_BYTES_DEFAULT + poolsMax * PACKED_POOL_BYTES,
    // A reload may bring the first database with several shards.
    catalogAreaBytes: CATALOG_AREA_BYTES,
  });
}

/** A reload that needs more than was made at start. */
export function noRoom(loaded: LoadedConfig, what: string, wanted: number, room: number): ConfigurationError {
  const message = `${wanted} ${what} are configured, and there is room for ${room}: it is made at start, for twice what is configured then; restart to make more`;
  const source = loaded.configFile ?? 'pgdog-cluster';
  return new ConfigurationError([{ severity: 'error', source, line: 0, key: '', message }]);
}
