import {
  CATALOG_AREA_BYTES,
  createSharedMemory,
  HOSTS_MAX_DEFAULT,
  POOLS_MAX_DEFAULT,
  type SharedMemory,
} from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { dynamicPoolsMax } from '../auth/dynamic-pools.js';

/** Room for twice what is configured, and for users who are found elsewhere. */
export function poolsMaxOf(loaded: LoadedConfig): number {
  const configuredMax = Math.max(POOLS_MAX_DEFAULT, 2 * loaded.databases.length * loaded.users.length);
  return configuredMax + dynamicPoolsMax(loaded);
}

/** @param fdMax descriptor numbers are below it */
export function memoryFor(loaded: LoadedConfig, poolsMax: number, fdMax: number): SharedMemory {
  return createSharedMemory({
    workers: loaded.workerCount,
    poolsMax,
    hostsMax: Math.max(HOSTS_MAX_DEFAULT, 2 * loaded.databases.length),
    fdMax,
    catalogAreaBytes: loaded.sharding.size > 0 ? CATALOG_AREA_BYTES : undefined,
  });
}
