import { openSharedMemory, type PoolSnapshot, type ServeTask } from '@pgdog-cluster/core';
import { Deadlines } from './deadlines.js';
import { Directory } from './directory.js';
import { OutputQueueSet } from './io/connection.js';
import type { IoDriver } from './io/io-driver.js';
import { close, write } from './io/libc.js';
import { KeyDerivation } from './key-derivation.js';
import { Lingering } from './lingering.js';
import { LoginBudget } from './login-budget.js';
import { Mirrors } from './mirror/mirrors.js';
import type { PlanCache } from './plan/plan-cache.js';
import { StatementRegistry } from './plan/prepared-statements.js';
import { QueryStats } from './plan/query-stats.js';
import { addPool } from './pool/add-pool.js';
import type { Pool } from './pool/pool.js';
import { PoolShared } from './pool/pool-shared.js';
import { PubSub } from './pubsub/pub-sub.js';
import { clusterFor } from './route/clusters.js';
import { Arrivals } from './session/arrivals.js';
import { Holds } from './session/holds.js';
import { PeerNames } from './session/peer-names.js';
import type { Session } from './session/session.js';
import { SessionTable } from './session/session-table.js';
import { ShardedDatabases } from './shard/sharded-databases.js';
import { SlowLog } from './slow-log.js';
import { TlsWorker } from './tls/tls-worker.js';
import type { WorkerContext } from './worker-context.js';
import { WorkerLog } from './worker-log.js';

/** Of a context in which nothing has happened yet. */
export const AT_REST = {
  turn: 0,
  isDraining: false,
  hasOutdated: false,
  drainMode: null,
  isDrainTold: false,
  activeServers: 0,
  waitingSessions: 0,
  answers: 0,
  answersInTransaction: 0,
};

/** What the parts of one worker share, over the memory and the port its task came with. */
export function makeContext(
  task: ServeTask,
  driver: IoDriver,
  plans: PlanCache,
  parser: WorkerContext['parser'],
): WorkerContext {
  const memory = openSharedMemory(task.handles);
  const config = memory.routing.read();
  const deadlines = new Deadlines();
  const lingering = new Lingering(deadlines);
  const loginBudget = new LoginBudget();
  const log = new WorkerLog();
  const context: WorkerContext = {
    worker: task.worker,
    driver,
    outputs: new OutputQueueSet(driver.memory),
    memory,
    plans,
    queries: new QueryStats(plans),
    parser,
    statements: new StatementRegistry(),
    sessions: new SessionTable(),
    tls: new TlsWorker(driver.memory, loginBudget),
    ...AT_REST,
    pools: new Map(),
    clusters: new Map(),
    deadlines,
    vacating: new Map(),
    loginBudget,
    peerNames: new PeerNames(),
    holds: new Holds(config.orders),
    config,
    directory: new Directory(config),
    derivation: new KeyDerivation(),
    nowMs: Date.now(),
    nowUs: 0,
    hungryPools: new Set(),
    get arrivals() {
      return parts.arrivals;
    },
    get pubSub() {
      return parts.pubSub;
    },
    get mirrors() {
      return parts.mirrors;
    },
    get sharded() {
      return parts.sharded;
    },
    get slow() {
      return parts.slow;
    },
    post: poster(task, memory, driver),
    flushLog() {
      const lines = log.take(context.nowMs);
      if (lines !== null) task.port.postMessage({ type: 'log', lines });
    },
    tell: (message) => task.port.postMessage(message),
    log: (...line) => log.write(...line),
    forgetFd: (fd) => memory.fds.clear(fd),
    closeFd: (fd) => closeFd(memory, fd),
    linger: (connection) => lingering.add(connection, context.nowMs),
    countAuthAttempt: (session) => countAuthAttempt(context, session),
    poolFor: (snapshot) => poolFor(context, snapshot),
    clusterFor: (database, user, shard) => clusterFor(context, database, user, shard),
  };
  continueCounting(context);
  const parts = partsOf(context);
  return context;
}

function partsOf(
  context: WorkerContext,
): Pick<WorkerContext, 'arrivals' | 'pubSub' | 'mirrors' | 'sharded' | 'slow'> {
  return {
    arrivals: new Arrivals(context),
    pubSub: new PubSub(context),
    mirrors: new Mirrors(context),
    sharded: new ShardedDatabases(context),
    slow: new SlowLog(context),
  };
}

function closeFd(memory: WorkerContext['memory'], fd: number): void {
  memory.fds.clear(fd);
  close(fd);
}

/** Where the thread before this one stopped. */
function continueCounting({ tls, queries, memory, worker }: WorkerContext): void {
  tls.handshakes.doneCount = memory.workers.tlsHandshakes(worker);
  tls.handshakes.failedCount = memory.workers.tlsFailures(worker);
  queries.counts.hits = memory.workers.queryCacheHits(worker);
  queries.counts.misses = memory.workers.queryCacheMisses(worker);
  queries.counts.evictions = memory.workers.queryCacheEvictions(worker);
}

function countAuthAttempt(context: WorkerContext, { database, user }: Session): void {
  const snapshot = context.directory.pool(database, user);
  if (snapshot !== null) context.poolFor(snapshot).row.authAttempt();
}

/** Delivers into a mailbox and writes the receiver's eventfd when it may be asleep. */
function poster(task: ServeTask, memory: WorkerContext['memory'], driver: IoDriver): WorkerContext['post'] {
  const word = driver.memory.start(driver.memory.allocateSmall());
  driver.memory.bytes[word] = 1;
  const wakeAddress = driver.memory.address + word;
  return (target, message, onAccepted) => {
    if (!memory.mailboxes.post(task.worker, target, message, onAccepted)) return false;
    if (memory.mailboxes.needsWake(target)) write(memory.mailboxes.eventFd(target), wakeAddress, 8);
    return true;
  };
}

function poolFor(context: WorkerContext, snapshot: PoolSnapshot): Pool {
  const known = context.pools.get(snapshot.index);
  if (known !== undefined) return known;
  // Pools of a cluster share what they know; they are made together.
  clusterFor(context, snapshot.database, snapshot.user, snapshot.shard);
  return context.pools.get(snapshot.index) ?? addPool(context, snapshot, new PoolShared());
}
