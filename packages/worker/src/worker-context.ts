import type {
  ConfigSnapshot,
  DrainMode,
  LogCode,
  LogLevel,
  PoolSnapshot,
  SharedMemory,
  SqlParser,
  SupervisorMessage,
  WorkerMessage,
} from '@pgdog-cluster/core';
import type { Deadlines } from './deadlines.js';
import type { Directory } from './directory.js';
import type { Connection, OutputQueueSet } from './io/connection.js';
import type { IoDriver } from './io/io-driver.js';
import type { KeyDerivation } from './key-derivation.js';
import type { LoginBudget } from './login-budget.js';
import type { Mirrors } from './mirror/mirrors.js';
import type { PlanCache } from './plan/plan-cache.js';
import type { StatementRegistry } from './plan/prepared-statements.js';
import type { QueryStats } from './plan/query-stats.js';
import type { Pool } from './pool/pool.js';
import type { PubSub } from './pubsub/pub-sub.js';
import type { Cluster } from './route/cluster.js';
import type { Arrivals } from './session/arrivals.js';
import type { Holds } from './session/holds.js';
import type { PeerNames } from './session/peer-names.js';
import type { Session } from './session/session.js';
import type { SessionTable } from './session/session-table.js';
import type { ShardedDatabases } from './shard/sharded-databases.js';
import type { SlowLog } from './slow-log.js';
import type { TlsWorker } from './tls/tls-worker.js';

export type LogFields = Record<string, string | number | boolean | null>;

/** Everything one worker's parts share. One object per thread; nothing in it is ever handed to another. */
export interface WorkerContext {
  readonly worker: number;
  readonly driver: IoDriver;
  readonly outputs: OutputQueueSet;
  readonly memory: SharedMemory;
  readonly plans: PlanCache;
  readonly queries: QueryStats;
  readonly slow: SlowLog;
  readonly parser: SqlParser;
  readonly statements: StatementRegistry;
  readonly sessions: SessionTable;
  readonly tls: TlsWorker;
  /** By pool index. Pools are made when a client first asks for one. */
  readonly pools: Map<number, Pool>;
  /** Of databases with several hosts, made when a client first asks for one. By database and user. */
  readonly clusters: Map<string, Cluster>;
  /** Replaced as a whole when a new epoch is taken up. */
  config: ConfigSnapshot;
  /** `config` by name. */
  readonly directory: Directory;
  readonly derivation: KeyDerivation;
  /** Of this turn. Epoch milliseconds, and microseconds of the monotonic clock. */
  nowMs: number;
  nowUs: number;
  /** No new clients, and server connections are closed as they come free. */
  isDraining: boolean;
  /** Some session is to leave between two transactions (follow.ts). */
  hasOutdated: boolean;
  /** Null: nobody has ordered the end. */
  drainMode: DrainMode | null;
  /** The supervisor knows that nothing is left, of what it asked last. */
  isDrainTold: boolean;
  readonly arrivals: Arrivals;
  readonly loginBudget: LoginBudget;
  readonly pubSub: PubSub;
  readonly mirrors: Mirrors;
  readonly sharded: ShardedDatabases;
  /** Pools whose clients wait because of a limit over several pools. */
  readonly hungryPools: Set<Pool>;
  /** Server connections that serve a session now. */
  activeServers: number;
  /** Sessions in the queue of some pool. */
  waitingSessions: number;
  /** Exchanges that clients have had answered, since the loop has measured last; those after which a transaction is open. */
  answers: number;
  answersInTransaction: number;
  flushLog(): void;
  /** Delivers to another worker and wakes it; false when its mailbox is full or closed. */
  post(worker: number, message: WorkerMessage, onAccepted?: () => void): boolean;
  /** Number of the loop's turn. */
  turn: number;
  readonly deadlines: Deadlines;
  /** Databases of servers that nobody may be connected to, and until when (epoch ms): pool/vacate. */
  readonly vacating: Map<string, number>;
  readonly peerNames: PeerNames;
  readonly holds: Holds;
  /** Closes what is still open a few seconds from now: a peer that does not read its last words. */
  linger(connection: Connection): void;
  countAuthAttempt(session: Session): void;
  /** Clears the cell of a descriptor that is about to be closed. */
  readonly forgetFd: (fd: number) => void;
  /** Closes a descriptor that no Connection owns. */
  closeFd(fd: number): void;
  tell(message: SupervisorMessage): void;
  log(level: LogLevel, code: LogCode, message: string, fields: LogFields): void;
  poolFor(snapshot: PoolSnapshot): Pool;
  /** Null: one host serves them. `shard`: default 0. */
  clusterFor(database: string, user: string, shard?: number): Cluster | null;
}
