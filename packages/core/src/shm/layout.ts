/**
 * The map of the shared memory (over 400 lines, because one file owns all of it): every region, row and cell, its unit, who writes and who reads it.
 *
 * Nothing else knows an offset. Rows are whole 64-byte cache lines, because two writers on one line cost each
 * other twice the time of a write. A cell has one writer unless it says "all, atomically". 32-bit cells are
 * plain Int32; the few 64-bit cells (counters, sums of microseconds) are read only for statistics, where a torn
 * value on an exotic machine would cost one wrong sample and no decision.
 *
 * docs/internals/shared-memory.md is printed from MEMORY_MAP by scripts/print-memory-map.mjs.
 */

export const LINE_BYTES = 64;
export const LINE_CELLS = LINE_BYTES / 4;

/** Bumped when a cell moves or changes its meaning. */
export const MEMORY_MAP_VERSION = 8;

export interface MemoryDimensions {
  workers: number;
  poolsMax: number;
  hostsMax: number;
  fdMax: number;
  /** Size of each of the two snapshot areas. */
  routingAreaBytes: number;
  /** The same for catalogs of sharded databases. */
  catalogAreaBytes: number;
}

export type Party = 'supervisor' | 'worker' | 'all, atomically' | 'owner';

export interface CellDescription {
  name: string;
  /** From the start of the row. */
  offsetBytes: number;
  type: 'int32' | 'int64' | 'float64' | 'bytes';
  unit: string;
  writer: Party;
  readers: string;
}

export interface RegionDescription {
  name: string;
  /** What one row stands for. */
  row: string;
  rowBytes: (dimensions: MemoryDimensions) => number;
  rowCount: (dimensions: MemoryDimensions) => number;
  cells: readonly CellDescription[];
}

/** Rounds up to whole cache lines. */
export function lineAligned(bytes: number): number {
  return Math.ceil(bytes / LINE_BYTES) * LINE_BYTES;
}

// Routing: one header line, then two areas. Offsets are cells.
export const ROUTING_SEQUENCE = 0;
export const ROUTING_AREA = 1;
export const ROUTING_LENGTH = 2;
export const ROUTING_EPOCH = 3;
export const ROUTING_HEADER_BYTES = LINE_BYTES;
export const ROUTING_AREA_BYTES_DEFAULT = 8 * 1024 * 1024;
/** The same header and areas. A column takes about 60 bytes: room for half a million of them. */
export const CATALOG_AREA_BYTES = 32 * 1024 * 1024;

// Capacity: one line per bounded thing. Offsets are cells.
export const CAPACITY_LIMIT = 0;
export const CAPACITY_CLAIMED = 1;
export const CAPACITY_DATABASE_GROUP = 2;
export const CAPACITY_USER_GROUP = 3;
export const CAPACITY_RESERVE = 4;
export const CAPACITY_CLIENT_LIMIT = 5;
export const CAPACITY_CLIENTS = 6;
export const CAPACITY_QUEUED = 7;
export const CAPACITY_HELD_CHANGES = 8;
/** Rows: total, clients, admin clients, then a row per pool, per database group and per user group. */
export const CAPACITY_TOTAL_ROW = 0;
export const CAPACITY_CLIENTS_ROW = 1;
export const CAPACITY_ADMINS_ROW = 2;
export const CAPACITY_FIRST_POOL_ROW = 3;

// Claims: one row per worker: its clients, its admin clients, then three cells per pool, kind by kind.
export const CLAIMS_CLIENTS = 0;
export const CLAIMS_ADMINS = 1;
export const CLAIMS_FIRST_POOL = 2;
/** Order of the kinds: server connections, clients, sessions in the queue. */
export const CLAIM_KINDS = 3;

// Load: one line per worker and pool; one line per pool.
export const LOAD_IDLE = 0;
export const LOAD_ACTIVE = 1;
export const LOAD_WAITING = 2;
export const LOAD_OLDEST_WAIT_SINCE = 3;
export const LOAD_IS_MARKED_WAITING = 4;
export const LOAD_CONNECTING = 5;
export const LOAD_HELD_WAITING = 6;
export const LOAD_HELD_GIVABLE = 7;
export const POOL_WORKERS_WAITING = 0;
export const POOL_PROBER = 1;
export const POOL_READS_SEQUENCES = 2;

// Hosts: a line for all, then two lines per host. Offsets are 32-bit cells, `_F64` 64-bit ones, from the row's start.
export const HOSTS_GENERATION = 0;
export const HOST_ROW_BYTES = 2 * LINE_BYTES;
export const HOST_ROLE = 0;
export const HOST_HEALTH = 1;
export const HOST_BAN_REASON = 2;
export const HOST_ORDERS = 3;
export const HOST_LAG_MS = 4;
export const HOST_LATENCY_US = 5;
export const HOST_TIMELINE = 6;
/** Of the two positions in the write-ahead log, which must be seen whole. */
export const HOST_LSN_SEQUENCE = 7;
export const HOST_REPLAYED_HIGH = 8;
export const HOST_REPLAYED_LOW = 9;
export const HOST_CURRENT_HIGH = 10;
export const HOST_CURRENT_LOW = 11;
export const HOST_BANS = 12;
export const HOST_ROLE_CHANGES = 13;
export const HOST_FAILED_CHECKS = 14;
export const HOST_BAN_UNTIL_MS_F64 = 8;
export const HOST_LAG_BYTES_F64 = 9;
export const HOST_MEASURED_MS_F64 = 10;
export const HOST_SHOWN_MS_F64 = 11;

// Host load: one line per worker and host.
export const HOST_LOAD_IN_FLIGHT = 0;
export const HOST_LOAD_CONNECT_FAILURES = 1;
export const HOST_LOAD_RESETS = 2;
export const HOST_LOAD_SHUTDOWNS = 3;
export const HOST_LOAD_STATEMENTS = 4;
export const HOST_LOAD_LATENCY_US = 5;

// Workers: a line written by the worker, one by the supervisor, one more by the worker. Offsets are 32-bit cells, `_F64` 64-bit ones.
export const WORKER_STATE = 0;
export const WORKER_HEARTBEAT_MS = 1;
export const WORKER_CLIENTS = 2;
export const WORKER_EPOCH = 3;
export const WORKER_IO_DRIVER = 4;
export const WORKER_LOOP_DELAY_MAX_US = 5;
export const WORKER_TLS_HANDSHAKES = 6;
export const WORKER_TLS_FAILURES = 7;
export const WORKER_BUSY_US_F64 = 4;
export const WORKER_TURNS_F64 = 5;
export const WORKER_KERNEL_MEMORY_ADDRESS_F64 = 6;
export const WORKER_KERNEL_MEMORY_BYTES_F64 = 7;
export const WORKER_RESTARTS = LINE_CELLS;
/** The first line is full: a third, written by the worker. */
export const WORKER_SPREAD_CLIENTS = 2 * LINE_CELLS;
export const WORKER_SETTLED_EPOCH = 2 * LINE_CELLS + 1;
/** A line of its own, written together. */
export const WORKER_QUERY_CACHE_HITS_F64 = (3 * LINE_CELLS) / 2;
export const WORKER_QUERY_CACHE_MISSES_F64 = WORKER_QUERY_CACHE_HITS_F64 + 1;
export const WORKER_QUERY_CACHE_EVICTIONS_F64 = WORKER_QUERY_CACHE_HITS_F64 + 2;
export const WORKER_QUERY_CACHE_SIZE_F64 = WORKER_QUERY_CACHE_HITS_F64 + 3;
export const WORKER_QUERY_CACHE_BYTES_F64 = WORKER_QUERY_CACHE_HITS_F64 + 4;
export const WORKER_IO_EVENTS_F64 = WORKER_QUERY_CACHE_HITS_F64 + 5;
export const WORKER_ROW_BYTES = 4 * LINE_BYTES;

// Mailboxes: header lines (kept apart by writer), then the ring of bytes.
export const MAILBOX_LOCK = 0;
export const MAILBOX_WRITTEN = 1;
export const MAILBOX_IS_CLOSED = 2;
export const MAILBOX_READ = LINE_CELLS;
export const MAILBOX_WAKE = 2 * LINE_CELLS;
export const MAILBOX_EVENT_FD = 3 * LINE_CELLS;
export const MAILBOX_HEADER_BYTES = 4 * LINE_BYTES;
/** A power of two, so that positions may wrap at 2^32. */
export const MAILBOX_RING_BYTES = 256 * 1024;
/** Largest packed message. Four of them fit the ring, so a full ring always drains into progress. */
export const MAILBOX_MESSAGE_BYTES_MAX = 64 * 1024;

// Failed logins: a line with the seed, then lines of pairs (tag, forgotten at).
export const FAILURE_SEED = 0;
export const FAILURE_LINES = 4096;

// Homes of small pools: a line with the next one to give out, then a cell per hash of a name.
export const HOMES_NEXT = 0;
export const HOMES_FIRST_SLOT = LINE_CELLS;
/** A power of two. */
export const HOME_SLOTS = 1024;

// Definitions: a cell per hash of a name. A power of two.
export const DEFINITION_SLOTS = 1024;

// Unique ids: one line per row. Offsets are 64-bit cells.
export const IDS_LAST = 0;
export const IDS_CLOCK = 1;
export const IDS_LIMIT = 2;
export const IDS_NODE = 3;
export const IDS_ROW_CELLS = LINE_BYTES / 8;
/** Of databases with one shard, and of as many as can have several. */
export const ID_ROWS = 64;

/** Room for counters before the latency buckets would have to move; counter-table.ts has the names. */
export const COUNTER_CELLS_MAX = 40;
/** Bucket i counts durations below 2^i microseconds (and not below 2^(i-1)); the last one takes the rest. */
export const LATENCY_BUCKETS = 24;
export const LATENCY_HISTOGRAMS = 4;
export const COUNTER_ROW_CELLS = COUNTER_CELLS_MAX + LATENCY_HISTOGRAMS * LATENCY_BUCKETS;

type CellRow = readonly [
  name: string,
  offsetBytes: number,
  unit: string,
  writer: Party,
  readers: string,
  type?: CellDescription['type'],
];

function cells(...rows: CellRow[]): CellDescription[] {
  return rows.map(([name, offsetBytes, unit, writer, readers, type = 'int32']) => ({
    name,
    offsetBytes,
    type,
    unit,
    writer,
    readers,
  }));
}

function hostCell(name: string, cell: number, unit: string): CellRow {
  return [name, cell * 4, unit, 'supervisor', 'workers'];
}

function hostFloat(name: string, cell: number, unit: string): CellRow {
  return [name, cell * 8, unit, 'supervisor', 'workers', 'float64'];
}

export const MEMORY_MAP = {
  routing: {
    name: 'routing table',
    row: 'header, area 0, area 1',
    rowBytes: (d) => ROUTING_HEADER_BYTES + 2 * d.routingAreaBytes,
    rowCount: () => 1,
    cells: cells(
      ['sequence', ROUTING_SEQUENCE * 4, 'odd while the header changes', 'supervisor', 'workers'],
      ['area', ROUTING_AREA * 4, '0 or 1', 'supervisor', 'workers'],
      ['length', ROUTING_LENGTH * 4, 'bytes', 'supervisor', 'workers'],
      ['epoch', ROUTING_EPOCH * 4, 'snapshot number', 'supervisor', 'workers'],
      ['areas', ROUTING_HEADER_BYTES, 'ConfigSnapshot, msgpackr', 'supervisor', 'workers', 'bytes'],
    ),
  },
  catalogs: {
    name: 'catalogs of sharded databases',
    row: 'header, area 0, area 1',
    rowBytes: (d) => ROUTING_HEADER_BYTES + 2 * d.catalogAreaBytes,
    rowCount: () => 1,
    cells: cells(
      ['sequence', ROUTING_SEQUENCE * 4, 'odd while the header changes', 'supervisor', 'workers'],
      ['area', ROUTING_AREA * 4, '0 or 1', 'supervisor', 'workers'],
      ['length', ROUTING_LENGTH * 4, 'bytes', 'supervisor', 'workers'],
      ['edition', ROUTING_EPOCH * 4, 'counts publications; 0 = none yet', 'supervisor', 'workers'],
      ['areas', ROUTING_HEADER_BYTES, 'ShardCatalogData[], msgpackr', 'supervisor', 'workers', 'bytes'],
    ),
  },
  capacity: {
    name: 'capacity',
    row: 'total, clients, admin clients, then per pool, per database, per user',
    rowBytes: () => LINE_BYTES,
    rowCount: (d) => CAPACITY_FIRST_POOL_ROW + 3 * d.poolsMax,
    cells: cells(
      ['limit', CAPACITY_LIMIT * 4, 'connections; 0 = unlimited (a pool: none)', 'supervisor', 'all'],
      ['claimed', CAPACITY_CLAIMED * 4, 'connections', 'all, atomically', 'all'],
      ['database group', CAPACITY_DATABASE_GROUP * 4, 'group, pools only', 'supervisor', 'workers'],
      ['user group', CAPACITY_USER_GROUP * 4, 'group, pools only', 'supervisor', 'workers'],
      ['reserve', CAPACITY_RESERVE * 4, 'connections beyond the limit, pools only', 'supervisor', 'workers'],
      [
        'client limit',
        CAPACITY_CLIENT_LIMIT * 4,
        'clients of a database or user; 0 = unlimited. Of a pool: 1 = takes no clients',
        'supervisor',
        'workers',
      ],
      ['clients', CAPACITY_CLIENTS * 4, 'clients logged in', 'all, atomically', 'all'],
      ['queued', CAPACITY_QUEUED * 4, 'sessions in the queue, while it is limited', 'all, atomically', 'all'],
      [
        'held changes',
        CAPACITY_HELD_CHANGES * 4,
        'how often `held waiting` has changed under a limit; not of pools',
        'all, atomically',
        'workers',
      ],
    ),
  },
  claims: {
    name: 'claims',
    row: 'worker',
    rowBytes: (d) => lineAligned((CLAIMS_FIRST_POOL + CLAIM_KINDS * d.poolsMax) * 4),
    rowCount: (d) => d.workers,
    cells: cells(
      ['clients', CLAIMS_CLIENTS * 4, 'clients', 'worker', 'supervisor'],
      ['admin clients', CLAIMS_ADMINS * 4, 'clients', 'worker', 'supervisor'],
      [
        'per pool',
        CLAIMS_FIRST_POOL * 4,
        'connections, then clients, then queued sessions',
        'all, atomically',
        'supervisor',
      ],
    ),
  },
  load: {
    name: 'load',
    row: 'worker x pool',
    rowBytes: () => LINE_BYTES,
    rowCount: (d) => d.workers * d.poolsMax,
    cells: cells(
      ['idle', LOAD_IDLE * 4, 'server connections', 'worker', 'all'],
      ['active', LOAD_ACTIVE * 4, 'server connections', 'worker', 'supervisor'],
      ['waiting', LOAD_WAITING * 4, 'sessions', 'worker', 'all'],
      ['oldest wait since', LOAD_OLDEST_WAIT_SINCE * 4, 'low 32 bits of epoch ms; 0 = none', 'worker', 'all'],
      ['is marked waiting', LOAD_IS_MARKED_WAITING * 4, '0 or 1', 'worker', 'supervisor'],
      ['connecting', LOAD_CONNECTING * 4, 'of the active ones, not logged in yet', 'worker', 'all'],
      [
        'held waiting',
        LOAD_HELD_WAITING * 4,
        'server connections of sessions that wait here for one more',
        'worker',
        'workers',
      ],
      ['held givable', LOAD_HELD_GIVABLE * 4, 'of those, given back without a word', 'worker', 'workers'],
    ),
  },
  poolWaiting: {
    name: 'pool waiting',
    row: 'pool',
    rowBytes: () => LINE_BYTES,
    rowCount: (d) => d.poolsMax,
    cells: cells(
      ['workers waiting', POOL_WORKERS_WAITING * 4, 'workers', 'all, atomically', 'workers'],
      [
        'prober',
        POOL_PROBER * 4,
        'worker + 1 that tries a failing server; 0 = none',
        'all, atomically',
        'workers',
      ],
      [
        'reads sequences',
        POOL_READS_SEQUENCES * 4,
        '1: a client has asked for currval() or lastval()',
        'all, atomically',
        'workers',
      ],
    ),
  },
  hostChanges: {
    name: 'host changes',
    row: 'all hosts',
    rowBytes: () => LINE_BYTES,
    rowCount: () => 1,
    cells: cells(['generation', HOSTS_GENERATION * 4, 'changes that decide routes', 'supervisor', 'workers']),
  },
  hosts: {
    name: 'hosts',
    row: 'host',
    rowBytes: () => HOST_ROW_BYTES,
    rowCount: (d) => d.hostsMax,
    cells: cells(
      hostCell('role', HOST_ROLE, '0 unknown, 1 primary, 2 replica'),
      hostCell('health', HOST_HEALTH, '0 unknown, 1 healthy, 2 failing'),
      hostCell('ban reason', HOST_BAN_REASON, 'BanReason; 0 = not banned'),
      hostCell('orders', HOST_ORDERS, "bits: the operator's orders"),
      hostCell('lag', HOST_LAG_MS, 'milliseconds; -1 = unknown'),
      hostCell('latency', HOST_LATENCY_US, 'microseconds of the last probe; 0 = unknown'),
      hostCell('timeline', HOST_TIMELINE, 'number; 0 = unknown'),
      hostCell('LSN sequence', HOST_LSN_SEQUENCE, 'odd while the LSNs change'),
      hostCell('replayed LSN, high', HOST_REPLAYED_HIGH, 'upper 32 bits'),
      hostCell('replayed LSN, low', HOST_REPLAYED_LOW, 'lower 32 bits'),
      hostCell('current LSN, high', HOST_CURRENT_HIGH, 'upper 32 bits'),
      hostCell('current LSN, low', HOST_CURRENT_LOW, 'lower 32 bits'),
      hostCell('bans', HOST_BANS, 'how often'),
      hostCell('role changes', HOST_ROLE_CHANGES, 'how often'),
      hostCell('failed checks', HOST_FAILED_CHECKS, 'count'),
      hostFloat('ban until', HOST_BAN_UNTIL_MS_F64, 'epoch ms; 0 = as long as it is measured'),
      hostFloat('lag in bytes', HOST_LAG_BYTES_F64, 'bytes; -1 = unknown'),
      hostFloat('measured', HOST_MEASURED_MS_F64, 'epoch ms'),
      hostFloat('shown', HOST_SHOWN_MS_F64, 'ms of the monotonic clock; 0 = unknown'),
    ),
  },
  hostLoad: {
    name: 'host load',
    row: 'worker x host',
    rowBytes: () => LINE_BYTES,
    rowCount: (d) => d.workers * d.hostsMax,
    cells: cells(
      ['in flight', HOST_LOAD_IN_FLIGHT * 4, 'server connections that serve a session', 'worker', 'all'],
      ['connect failures', HOST_LOAD_CONNECT_FAILURES * 4, 'count', 'worker', 'supervisor'],
      ['resets', HOST_LOAD_RESETS * 4, 'connections lost while they served', 'worker', 'supervisor'],
      ['shutdowns', HOST_LOAD_SHUTDOWNS * 4, '57P01, 57P02, 57P03', 'worker', 'supervisor'],
      ['statements', HOST_LOAD_STATEMENTS * 4, 'exchanges, mod 2^32', 'worker', 'supervisor'],
      ['latency', HOST_LOAD_LATENCY_US * 4, 'microseconds, weighted towards the latest', 'worker', 'all'],
    ),
  },
  counters: {
    name: 'counters',
    row: 'worker x pool',
    rowBytes: () => lineAligned(COUNTER_ROW_CELLS * 8),
    rowCount: (d) => d.workers * d.poolsMax,
    cells: cells(
      ['counters', 0, 'counts, bytes, microseconds', 'worker', 'supervisor', 'float64'],
      ['latency', COUNTER_CELLS_MAX * 8, '4 x 24 counts per log2 us', 'worker', 'supervisor', 'float64'],
    ),
  },
  workers: {
    name: 'workers',
    row: 'worker',
    rowBytes: () => WORKER_ROW_BYTES,
    rowCount: (d) => d.workers,
    cells: cells(
      ['state', WORKER_STATE * 4, 'WorkerState', 'worker', 'supervisor (writes it while no task runs)'],
      ['heartbeat', WORKER_HEARTBEAT_MS * 4, 'low 32 bits of epoch ms', 'worker', 'supervisor'],
      ['clients', WORKER_CLIENTS * 4, 'sessions', 'worker', 'supervisor'],
      ['epoch', WORKER_EPOCH * 4, 'snapshot number', 'worker', 'supervisor'],
      ['io driver', WORKER_IO_DRIVER * 4, '1 io_uring, 2 epoll', 'worker', 'supervisor'],
      ['loop delay max', WORKER_LOOP_DELAY_MAX_US * 4, 'microseconds', 'worker', 'supervisor'],
      ['TLS handshakes', WORKER_TLS_HANDSHAKES * 4, 'completed', 'worker', 'supervisor'],
      ['TLS failures', WORKER_TLS_FAILURES * 4, 'handshakes', 'worker', 'supervisor'],
      ['busy', WORKER_BUSY_US_F64 * 8, 'microseconds', 'worker', 'supervisor', 'float64'],
      ['turns', WORKER_TURNS_F64 * 8, 'count', 'worker', 'supervisor', 'float64'],
      [
        'kernel memory',
        WORKER_KERNEL_MEMORY_ADDRESS_F64 * 8,
        'address; 0 = none',
        'worker',
        'supervisor',
        'float64',
      ],
      ['kernel memory size', WORKER_KERNEL_MEMORY_BYTES_F64 * 8, 'bytes', 'worker', 'supervisor', 'float64'],
      ['restarts', WORKER_RESTARTS * 4, 'count', 'supervisor', 'supervisor'],
      [
        'spread clients',
        WORKER_SPREAD_CLIENTS * 4,
        'clients that are not at home in this worker',
        'worker',
        'workers',
      ],
      [
        'settled epoch',
        WORKER_SETTLED_EPOCH * 4,
        'pools that were gone by this snapshot are left',
        'worker',
        'supervisor',
      ],
      ['query cache hits', WORKER_QUERY_CACHE_HITS_F64 * 8, 'count', 'worker', 'supervisor', 'float64'],
      ['query cache misses', WORKER_QUERY_CACHE_MISSES_F64 * 8, 'count', 'worker', 'supervisor', 'float64'],
      [
        'query cache evictions',
        WORKER_QUERY_CACHE_EVICTIONS_F64 * 8,
        'count',
        'worker',
        'supervisor',
        'float64',
      ],
      ['query cache size', WORKER_QUERY_CACHE_SIZE_F64 * 8, 'shapes', 'worker', 'supervisor', 'float64'],
      ['query cache bytes', WORKER_QUERY_CACHE_BYTES_F64 * 8, 'bytes', 'worker', 'supervisor', 'float64'],
      ['io events', WORKER_IO_EVENTS_F64 * 8, 'count', 'worker', 'supervisor', 'float64'],
    ),
  },
  failures: {
    name: 'failed logins',
    row: 'seed, then lines of 8 entries',
    rowBytes: () => LINE_BYTES,
    rowCount: () => 1 + FAILURE_LINES,
    cells: cells(
      ['tag', 0, 'hash of address and user; 0 = free', 'all, atomically', 'workers'],
      ['forgotten at', 4, 'low 32 bits of epoch ms', 'all, atomically', 'workers'],
    ),
  },
  homes: {
    name: 'homes of small pools',
    row: 'next, then a cell per hash of a pool name',
    rowBytes: () => (HOMES_FIRST_SLOT + HOME_SLOTS) * 4,
    rowCount: () => 1,
    cells: cells(
      ['next', HOMES_NEXT * 4, 'worker the next pool gets', 'all, atomically', 'workers'],
      ['home', HOMES_FIRST_SLOT * 4, 'first home worker + 1; 0 = none yet', 'all, atomically', 'workers'],
    ),
  },
  definitions: {
    name: 'definitions',
    row: "a cell per hash of the name of a server's database",
    rowBytes: () => DEFINITION_SLOTS * 4,
    rowCount: () => 1,
    cells: cells(['changes', 0, 'how often definitions have changed', 'all, atomically', 'workers']),
  },
  ids: {
    name: 'unique ids',
    row: 'databases of one shard; each of several that makes ids',
    rowBytes: () => IDS_ROW_CELLS * 8,
    rowCount: () => ID_ROWS,
    cells: cells(
      [
        'last',
        IDS_LAST * 8,
        'ms of the last id times 4096, and its number in that ms',
        'all, atomically',
        'workers',
        'int64',
      ],
      ['clock', IDS_CLOCK * 8, 'epoch ms when the monotonic clock began', 'supervisor', 'workers', 'int64'],
      [
        'limit',
        IDS_LIMIT * 8,
        'epoch ms before which ids may be; not of row 0',
        'supervisor',
        'workers',
        'int64',
      ],
      ['node', IDS_NODE * 8, 'number that is claimed; not of row 0', 'supervisor', 'workers', 'int64'],
    ),
  },
  fds: {
    name: 'descriptors',
    row: 'all descriptors',
    rowBytes: (d) => lineAligned(d.fdMax * 4),
    rowCount: () => 1,
    cells: cells(['owner', 0, 'worker + 1; 0 = nobody', 'owner', 'supervisor']),
  },
  mailboxes: {
    name: 'mailboxes',
    row: 'worker',
    rowBytes: () => MAILBOX_HEADER_BYTES + MAILBOX_RING_BYTES,
    rowCount: (d) => d.workers,
    cells: cells(
      ['lock', MAILBOX_LOCK * 4, 'producer + 2; 0 = free', 'all, atomically', 'all'],
      ['written', MAILBOX_WRITTEN * 4, 'byte position mod 2^32', 'owner', 'worker'],
      ['is closed', MAILBOX_IS_CLOSED * 4, '0 or 1, changed under the lock', 'supervisor', 'all'],
      ['read', MAILBOX_READ * 4, 'byte position mod 2^32', 'worker', 'all'],
      ['wake', MAILBOX_WAKE * 4, '1 = a wake is on its way', 'all, atomically', 'all'],
      ['event fd', MAILBOX_EVENT_FD * 4, 'descriptor + 1; 0 = none', 'supervisor', 'all'],
      ['ring', MAILBOX_HEADER_BYTES, 'frames: int32 length, msgpackr', 'owner', 'worker', 'bytes'],
    ),
  },
} as const satisfies Record<string, RegionDescription>;

export type RegionKey = keyof typeof MEMORY_MAP;
export const REGION_KEYS = Object.keys(MEMORY_MAP) as RegionKey[];

export function regionBytes(key: RegionKey, dimensions: MemoryDimensions): number {
  const region: RegionDescription = MEMORY_MAP[key];
  return region.rowBytes(dimensions) * region.rowCount(dimensions);
}

/** Throws when a row is not made of whole cache lines or a cell lies outside its row or off its alignment. */
export function assertMemoryMap(dimensions: MemoryDimensions): void {
  for (const key of REGION_KEYS) {
    const region: RegionDescription = MEMORY_MAP[key];
    const rowBytes = region.rowBytes(dimensions);
    if (rowBytes % LINE_BYTES !== 0) throw new RangeError(`region ${region.name}: row of ${rowBytes} bytes`);
    for (const cell of region.cells) {
      const alignment = cell.type === 'float64' || cell.type === 'int64' ? 8 : 4;
      const isInside = cell.offsetBytes >= 0 && cell.offsetBytes < rowBytes;
      if (!isInside || cell.offsetBytes % alignment !== 0) {
        throw new RangeError(`region ${region.name}: cell ${cell.name} at byte ${cell.offsetBytes}`);
      }
    }
  }
}

export interface RegionSummary {
  region: string;
  row: string;
  rowBytes: number;
  rowCount: number;
  bytes: number;
  writers: string;
}

/** One line per region, for SHOW SHARED_MEMORY and the docs. */
export function describeRegions(dimensions: MemoryDimensions): RegionSummary[] {
  return REGION_KEYS.map((key) => {
    const region: RegionDescription = MEMORY_MAP[key];
    const writers = [...new Set(region.cells.map((cell) => cell.writer))].join('; ');
    const rowBytes = region.rowBytes(dimensions);
    const rowCount = region.rowCount(dimensions);
    return { region: region.name, row: region.row, rowBytes, rowCount, bytes: rowBytes * rowCount, writers };
  });
}
