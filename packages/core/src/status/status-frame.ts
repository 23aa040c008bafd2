/**
 * One look at the whole program, as `/api/status` answers it and `/api/events` sends it once a second. Rates and
 * percentiles are of the time since the frame before; a percentile is null where nothing has ended meanwhile.
 */
export interface StatusFrame {
  /** Epoch ms. */
  atMs: number;
  version: string;
  startedMs: number;
  /** Why no client should come now; null: all is well. */
  unready: string | null;
  /** Number of the configuration in force. */
  epoch: number;
  /** Serving workers that go by it. */
  epochWorkers: number;
  reload: ReloadSummary;
  /** Databases whose clients are held, and by which orders: MAINTENANCE, PAUSE, SUSPEND. */
  held: string[];
  totals: TotalFigures;
  workers: WorkerStatus[];
  databases: DatabaseStatus[];
  /** Those with trouble first, then the busiest; at most STATUS_POOLS_MAX. */
  pools: PoolStatus[];
  /** Of all of them. */
  poolCount: number;
  /** Newest first. */
  events: LogEvent[];
  /** Those that took most time since the start, first. Null: workers have not been asked yet. */
  shapes: ShapeStatus[] | null;
}

/** The last attempt to take up the configuration. */
export interface ReloadSummary {
  /** Epoch ms. */
  atMs: number;
  /** `start`, `SIGHUP`, `file watch`, … */
  trigger: string;
  /** Every problem, with file and line; empty: it went well. */
  error: string;
  /** Settings whose value in the files waits for a restart. */
  pending: string[];
}

export const STATUS_POOLS_MAX = 200;

export interface Rates {
  queriesPerS: number;
  transactionsPerS: number;
  errorsPerS: number;
  /** Of queries, us. */
  p50Us: number | null;
  p99Us: number | null;
  /** Of what clients waited for a server connection, us. */
  waitP99Us: number | null;
}

export interface TotalFigures extends Rates {
  clients: number;
  /** 0 = no limit. */
  clientLimit: number;
  servers: number;
  serverLimit: number;
  waiting: number;
  receivedPerS: number;
  sentPerS: number;
  /** Of one CPU: 250 are two and a half. */
  cpuPercent: number;
  memoryBytes: number;
}

export interface WorkerStatus {
  worker: number;
  /** starting, serving, draining, crashed, stopped */
  state: string;
  /** io_uring or epoll. */
  ioDriver: string;
  clients: number;
  /** Server connections it has, over all pools. */
  servers: number;
  /** Its sessions that wait for one, over all pools. */
  waiting: number;
  busyPercent: number;
  /** Since it last came round. */
  heartbeatAgeMs: number;
  restarts: number;
}

export interface Occupancy {
  idle: number;
  active: number;
  waiting: number;
  /** How long the one has waited that waits longest; 0 = nobody waits. */
  maxWaitMs: number;
  limit: number;
}

export interface PoolStatus extends Rates, Occupancy {
  /** Number of the pool. */
  id: number;
  database: string;
  user: string;
  host: string;
  port: number;
  shard: number;
  role: string;
  mode: string;
}

/** All pools of one database; its limit is the sum of theirs. */
export interface DatabaseStatus extends Rates, Occupancy {
  database: string;
  shards: { shard: number; hosts: HostStatus[] }[];
}

export interface HostStatus {
  host: string;
  port: number;
  /** primary, replica or unknown */
  role: string;
  /** healthy, failing or unknown */
  health: string;
  /** Why it is not read from; empty = it is. */
  ban: string;
  /** The operator's orders, empty = none. */
  orders: string;
  lagMs: number | null;
  lagBytes: number | null;
  /** Server connections of this database to it that are not idle; others may be of other databases. */
  busyCount: number;
  /** Of the last check. */
  latencyUs: number;
}

export interface LogEvent {
  atMs: number;
  level: 'warn' | 'error';
  code: string;
  message: string;
  /** How often the same came in a row. */
  count: number;
}

/** A statement without its literals. */
export interface ShapeStatus {
  database: string;
  query: string;
  /** read, write or neutral; null: nobody asked. */
  route: string | null;
  calls: number;
  errors: number;
  rows: number;
  meanUs: number;
  p99Us: number;
  maxUs: number;
  totalUs: number;
}

/** What a chart needs of one second. */
export interface HistoryPoint {
  atMs: number;
  queriesPerS: number;
  errorsPerS: number;
  waiting: number;
  p50Us: number | null;
  p99Us: number | null;
}

/** First thing of an event stream: what was seen while somebody else was looking, oldest first. */
export interface StatusHistory {
  points: HistoryPoint[];
}
