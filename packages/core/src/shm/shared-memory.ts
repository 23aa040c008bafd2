import { randomInt } from 'node:crypto';
import { systemClock } from '../base/clock.js';
import { CapacityTable } from './capacity-table.js';
import { CatalogTable } from './catalog-table.js';
import { CounterTable } from './counter-table.js';
import { DefinitionTable } from './definition-table.js';
import { FailureTable } from './failure-table.js';
import { FdTable } from './fd-table.js';
import { HeldTable } from './held-table.js';
import { HomeTable } from './home-table.js';
import { HostTable } from './host-table.js';
import { IdTable } from './id-table.js';
import {
  assertMemoryMap,
  LINE_BYTES,
  type MemoryDimensions,
  REGION_KEYS,
  type RegionKey,
  ROUTING_AREA_BYTES_DEFAULT,
  regionBytes,
} from './layout.js';
import { LoadTable } from './load-table.js';
import { Mailboxes } from './mailbox.js';
import { RoutingTable } from './routing-table.js';
import { WorkerTable } from './worker-table.js';

export const WORKERS_MAX = 512;
export const POOLS_MAX_DEFAULT = 4096;
export const HOSTS_MAX_DEFAULT = 4096;
export const FD_MAX_DEFAULT = 1024 * 1024;

/** Plain data, to be sent to a worker with its task: it maps the same memory there. */
export interface SharedMemoryHandles {
  dimensions: MemoryDimensions;
  regions: Record<RegionKey, SharedArrayBuffer>;
}

export interface SharedMemoryOptions {
  workers: number;
  /** Pool numbers are below this. */
  poolsMax?: number;
  /** Host numbers are below this. */
  hostsMax?: number;
  /** Descriptor numbers are below this: at least RLIMIT_NOFILE. */
  fdMax?: number;
  routingAreaBytes?: number;
  /** Default: no room, for nothing is sharded. */
  catalogAreaBytes?: number;
}

/** All tables over one set of regions. See layout.ts for the map. */
export interface SharedMemory {
  readonly handles: SharedMemoryHandles;
  readonly capacity: CapacityTable;
  readonly load: LoadTable;
  readonly held: HeldTable;
  readonly hosts: HostTable;
  readonly counters: CounterTable;
  readonly workers: WorkerTable;
  readonly failures: FailureTable;
  readonly homes: HomeTable;
  readonly definitions: DefinitionTable;
  readonly ids: IdTable;
  readonly fds: FdTable;
  readonly mailboxes: Mailboxes;
  readonly routing: RoutingTable;
  readonly catalogs: CatalogTable;
}

/**
 * Supervisor only. Regions are sized for the maxima at once, because a SharedArrayBuffer cannot move under its
 * readers; the kernel gives pages only when they are first written, so unused rows cost address space alone
 * (64 workers x 4096 pools: 235 MB of counters, of which a page per pool in use).
 */
export function createSharedMemory(options: SharedMemoryOptions): SharedMemory {
  const dimensions: MemoryDimensions = {
    workers: options.workers,
    poolsMax: options.poolsMax ?? POOLS_MAX_DEFAULT,
    hostsMax: options.hostsMax ?? HOSTS_MAX_DEFAULT,
    fdMax: options.fdMax ?? FD_MAX_DEFAULT,
    routingAreaBytes: options.routingAreaBytes ?? ROUTING_AREA_BYTES_DEFAULT,
    catalogAreaBytes: options.catalogAreaBytes ?? LINE_BYTES,
  };
  const { workers, poolsMax } = dimensions;
  if (!Number.isInteger(workers) || workers < 1 || workers > WORKERS_MAX) {
    throw new RangeError(`the number of workers must be 1 to ${WORKERS_MAX}, not ${workers}`);
  }
  if (!Number.isInteger(poolsMax) || poolsMax < 1)
    throw new RangeError(`poolsMax must be at least 1, not ${poolsMax}`);
  if (dimensions.routingAreaBytes % 64 !== 0)
    throw new RangeError('routingAreaBytes must be a multiple of 64');
  assertMemoryMap(dimensions);
  const regions = {} as Record<RegionKey, SharedArrayBuffer>;
  for (const key of REGION_KEYS) regions[key] = new SharedArrayBuffer(regionBytes(key, dimensions));
  const memory = openSharedMemory({ dimensions, regions });
  memory.failures.setSeed(randomInt(0, 2 ** 32));
  memory.ids.start(Date.now(), systemClock.nowMs());
  return memory;
}

/** The same memory, seen from another thread. */
export function openSharedMemory(handles: SharedMemoryHandles): SharedMemory {
  const { dimensions, regions } = handles;
  const { workers, poolsMax, hostsMax, fdMax, routingAreaBytes, catalogAreaBytes } = dimensions;
  const catalogs = new CatalogTable(regions.catalogs, catalogAreaBytes);
  const fds = new FdTable(regions.fds, fdMax);
  return {
    handles,
    capacity: new CapacityTable(regions.capacity, regions.claims, workers, poolsMax),
    load: new LoadTable(regions.load, regions.poolWaiting, workers, poolsMax),
    held: new HeldTable(regions.capacity, regions.claims, regions.load, workers, poolsMax),
    hosts: new HostTable(regions.hostChanges, regions.hosts, regions.hostLoad, workers, hostsMax),
    counters: new CounterTable(regions.counters, workers, poolsMax),
    workers: new WorkerTable(regions.workers),
    failures: new FailureTable(regions.failures),
    homes: new HomeTable(regions.homes, workers),
    definitions: new DefinitionTable(regions.definitions),
    ids: new IdTable(regions.ids),
    fds,
    mailboxes: new Mailboxes(regions.mailboxes, workers, fds),
    routing: new RoutingTable(regions.routing, routingAreaBytes, catalogs),
    catalogs,
  };
}
