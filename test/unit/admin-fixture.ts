import {
  type AdminQueryMessage,
  type ClientMemoryReport,
  type ClientReport,
  type ConfigSnapshot,
  createSharedMemory,
  IO_DRIVER_EPOLL,
  IO_DRIVER_IO_URING,
  latencyCell,
  ManualClock,
  type MirrorReport,
  ORDER_BAN,
  type PoolSnapshot,
  type PreparedReport,
  type QueryReport,
  type ServerMemoryReport,
  type ServerReport,
  type SharedMemory,
  WORKER_SERVING,
} from '@pgdog-cluster/core';
import { listSettings } from '@pgdog-cluster/core/config';
import type { LogEvent } from '@pgdog-cluster/core/status';
import {
  type AdminContext,
  buildSnapshot,
  type CatalogState,
  type CertificateReport,
  createAdminHandler,
  type DriftRow,
  type LeftPart,
  type ListeningSocket,
  type RecoveryFigures,
  StatsWindow,
  type TransactionRow,
} from 'pgdog-cluster';
import { columnNames, errorFields, type Frame, FrameCollector, rowValues } from '../support/frames.js';
import { load } from '../support/load-configuration.js';
import { NOW_MS } from './admin-reports.js';

export { certificateReport, clientReport, mirrorReport, NOW_MS, serverReport } from './admin-reports.js';

import { LISTENER, reloadState } from './admin-rows.js';

export const SECRET = 'hunter2-very-secret';
/** Needs escaping in labels; TOML's '…' takes it as it is. */
export const ODD_USER = 'o"d\\d';

const CONFIG = `
[general]
default_pool_size = 7
idle_timeout = 90000
[admin]
password = "${SECRET}"
[[databases]]
name = "shop"
host = "127.0.0.1"
[[databases]]
name = "other"
host = "127.0.0.2"
port = 7777
[[mirroring]]
source_db = "shop"
destination_db = "other"
`;
const USERS = `
[[users]]
name = "app"
databases = ["shop", "other"]
password = "${SECRET}"
[[users]]
name = 'o"d\\d'
database = "shop"
password = "${SECRET}"
`;

export function queryReport(values: Partial<QueryReport> = {}): QueryReport {
  return {
    worker: 0,
    database: 'shop',
    query: 'select $1',
    isShape: true,
    access: null,
    hits: 9,
    calls: 10,
    multi: 0,
    totalUs: 20_000,
    maxUs: 3000,
    rows: 10,
    errors: 0,
    cells: [latencyCell(2000), 10],
    ...values,
  };
}

/** Somebody is at work on it. */
export function leftPart(values: Partial<LeftPart> = {}): LeftPart {
  const gid = 'pgdog:17:0:1';
  const part = { gid, id: '17', decider: 0, shard: 1, foundOn: 1, owner: 'app', ageMs: 1234.567 };
  return { ...part, state: 'in progress', reason: '', ...values };
}

/** Of a database of two shards, as it is before anything has been read. */
export function catalogState(values: Partial<CatalogState> = {}): CatalogState {
  const sharding = {
    shardCount: 2,
    tables: [
      {
        schema: null,
        table: 'orders',
        column: 'customer_id',
        keyType: 'int8' as const,
        function: 'hash' as const,
        mapping: [],
        lookupQuery: null,
        lookupResult: 'value' as const,
      },
    ],
    schemas: [],
    omnisharded: [],
    crossShard: 'full' as const,
    isOmniSticky: false,
    commit: 'as_allowed' as const,
  };
  return { database: 'shop', sharding, data: null, error: null, ...values };
}

export interface AdminWorld {
  context: AdminContext;
  memory: SharedMemory;
  snapshot: ConfigSnapshot;
  clock: ManualClock;
  servers: ServerReport[];
  queries: QueryReport[];
  /** What workers were asked for. */
  queryFilters: string[];
  cacheResets: number;
  clients: ClientReport[];
  mirrors: MirrorReport[];
  prepared: PreparedReport[];
  clientMemory: ClientMemoryReport[];
  serverMemory: ServerMemoryReport[];
  catalogs: CatalogState[];
  transactions: TransactionRow[];
  recovery: RecoveryFigures[];
  drift: DriftRow[];
  drained: string[];
  failures: string[];
  crashed: number[];
  /** Orders about databases: which, with what. */
  ordered: unknown[][];
  reachable: Set<string>;
  isDraining: boolean;
  events: LogEvent[];
  certificates: CertificateReport[];
  reloads: number;
}

export const LISTENING: ListeningSocket[] = [
  { kind: 'tcp', host: '::', port: 6432 },
  { kind: 'unix', host: '/run/pgdog', port: 6432 },
];

/** Two workers, three pools (shop/app, shop/odd, other/app), nothing in them. */
export async function makeWorld(options: { hasTestHooks?: boolean } = {}): Promise<AdminWorld> {
  const loaded = load({ config: CONFIG, users: USERS });
  const snapshot = await buildSnapshot(loaded, 3);
  const memory = createSharedMemory({ workers: 2, poolsMax: 16, fdMax: 64, routingAreaBytes: 64 * 1024 });
  memory.routing.publish(snapshot);
  for (const { index, poolSize } of snapshot.pools) memory.capacity.setPoolLimit(index, poolSize);
  for (const [worker, driver] of [IO_DRIVER_IO_URING, IO_DRIVER_EPOLL].entries()) {
    memory.workers.setState(worker, WORKER_SERVING);
    memory.workers.setIoDriver(worker, driver);
    memory.workers.setHeartbeatMs(worker, NOW_MS - 40);
  }
  const clock = new ManualClock(1000);
  const world: Omit<AdminWorld, 'context'> = {
    memory,
    snapshot,
    clock,
    servers: [],
    queries: [],
    queryFilters: [],
    cacheResets: 0,
    clients: [],
    mirrors: [],
    prepared: [],
    clientMemory: [],
    serverMemory: [],
    catalogs: [],
    transactions: [],
    recovery: [],
    drift: [],
    drained: [],
    failures: [],
    crashed: [],
    ordered: [],
    reachable: new Set(),
    isDraining: false,
    events: [],
    certificates: [],
    reloads: 0,
  };
  const context: AdminContext = {
    memory,
    config: () => snapshot,
    settings: () => listSettings(loaded),
    reportClients: async () => world.clients,
    reportServers: async () => world.servers,
    reportQueries: async (filter) => {
      world.queryFilters.push(filter);
      return world.queries;
    },
    reportMirrors: async () => world.mirrors,
    reportPrepared: async (filter) => world.prepared.filter(({ statement }) => statement.includes(filter)),
    reportClientMemory: async () => world.clientMemory,
    reportServerMemory: async () => world.serverMemory,
    catalogs: () => world.catalogs,
    transactions: async () => world.transactions,
    recovery: () => world.recovery,
    drift: async () => world.drift,
    templates: () => [
      {
        pattern: 'tenant_*',
        hosts: ['10.0.0.1:5432'],
        serverDatabase: '{name}',
        tenants: 2,
        made: 5,
        dropped: 3,
        missing: 1,
        refused: 4,
      },
    ],
    driftFigures: () => [{ database: 'shop', differing: 2 }],
    listeners: () => [LISTENER],
    listening: () => LISTENING,
    isReachable: async ({ host }: PoolSnapshot) => world.reachable.has(host),
    certificates: () => (world as AdminWorld).certificates,
    recentEvents: () => world.events,
    isDraining: () => (world as AdminWorld).isDraining,
    reloadState: () => reloadState(NOW_MS),
    window: new StatsWindow(memory, () => snapshot, clock),
    version: '0.1.0',
    startedMs: NOW_MS - 60_000,
    nowMs: () => NOW_MS,
    hasTestHooks: options.hasTestHooks ?? false,
    desk: recordOrders(world.ordered),
    orders: {
      drain: (reason, mode) => void world.drained.push(`${reason}: ${mode}`),
      reload: async () => {
        world.reloads++;
      },
      set: async (name, text) => void world.ordered.push(['set', name, text]),
      change: async (order) => {
        world.ordered.push(['change', order]);
        return 'database "new" added';
      },
      banHost: (host) => memory.hosts.setOrders(host, ORDER_BAN),
      unbanHost: (host) => memory.hosts.setOrders(host, 0),
      checkHost: async (host) => (world.reachable.has(`host ${host}`) ? null : 'no answer in time'),
      setUpShards: async (database) => {
        if (database === 'nope') throw new Error('shard 1: no connection');
        return [`ok ${database ?? 'all'}`, 'warning: none'];
      },
      resetQueryCache: async () => void world.cacheResets++,
      crashWorker: (worker) => void world.crashed.push(worker),
    },
    logFailure: (what, error) => void world.failures.push(`${what}: ${error}`),
  };
  return Object.assign(world, { context });
}

function recordOrders(ordered: unknown[][]): AdminContext['desk'] {
  const note =
    (name: string) =>
    async (...given: unknown[]) => {
      ordered.push([name, ...given.filter((value) => !(value instanceof AbortSignal))]);
    };
  return {
    maintenance: note('maintenance'),
    pause: note('pause'),
    resume: note('resume'),
    suspend: note('suspend'),
    setDisabled: note('setDisabled'),
    reconnect: note('reconnect'),
    kill: note('kill'),
    killClient: note('killClient'),
    waitClose: note('waitClose'),
  };
}

export interface Answer {
  frames: Frame[];
  /** Of the last result. */
  columns: string[];
  typeOids: number[];
  rows: (string | null)[][];
  tags: string[];
  errors: Record<string, string>[];
}

export function decode(bytes: readonly Uint8Array[]): Answer {
  const collector = new FrameCollector();
  const frames = collector.push(Buffer.concat(bytes));
  if (collector.restBytes !== 0) throw new Error('half a frame at the end');
  const answer: Answer = { frames, columns: [], typeOids: [], rows: [], tags: [], errors: [] };
  for (const { type, body } of frames) {
    if (type === 'T') {
      answer.columns = columnNames(body);
      answer.typeOids = typeOids(body);
      answer.rows = [];
    } else if (type === 'D') answer.rows.push(rowValues(body));
    else if (type === 'C') answer.tags.push(body.toString('utf8', 0, body.length - 1));
    else if (type === 'E') answer.errors.push(errorFields(body));
    else if (type !== 'I' && type !== 'N') throw new Error(`message ${type} has no place in an admin answer`);
  }
  return answer;
}

function typeOids(body: Buffer): number[] {
  const oids: number[] = [];
  let at = 2;
  for (let column = 0; column < body.readUInt16BE(0); column++) {
    const end = body.indexOf(0, at);
    oids.push(body.readUInt32BE(end + 7));
    at = end + 19;
  }
  return oids;
}

export function message(text: string, changes: Partial<AdminQueryMessage> = {}): AdminQueryMessage {
  return {
    type: 'adminQuery',
    worker: 0,
    slot: 0,
    generation: 1,
    database: 'admin',
    user: 'admin',
    isAdmin: true,
    text,
    ...changes,
  };
}

export async function ask(
  world: AdminWorld,
  text: string,
  changes?: Partial<AdminQueryMessage>,
): Promise<Answer> {
  return decode(await createAdminHandler(world.context)(message(text, changes)));
}

/** Rows as objects. */
export async function rowsOf(world: AdminWorld, text: string): Promise<Record<string, string | null>[]> {
  const { columns, rows, errors } = await ask(world, text);
  if (errors.length > 0) throw new Error(`${text}: ${JSON.stringify(errors)}`);
  return rows.map((row) => Object.fromEntries(row.map((value, index) => [columns[index], value])));
}
