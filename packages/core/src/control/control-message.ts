/**
 * Every message that crosses threads, in one place (over 400 lines, because there is one union of them).
 *
 * Towards a worker messages travel in its shared-memory mailbox (packed by msgpackr, at most
 * MAILBOX_MESSAGE_BYTES_MAX each) and its eventfd is written. Towards the supervisor they travel over the
 * MessagePort each worker was started with. Both ends come from one workspace, so there is no version; an
 * unknown `type` is counted and dropped by the receiver.
 */
import type { ErrorCode } from '../base/errors.js';
import type { LogCode } from '../base/log-codes.js';
import type { DatabaseSnapshot, PoolSnapshot, UserSnapshot } from '../config/snapshot.js';
import type { Replication } from '../wire/replication.js';
import type { ClientMemoryReport, PreparedReport, ServerMemoryReport } from './memory-report.js';

/** A freshly accepted client socket, from a worker that has more clients. The descriptor is the receiver's from now on. */
export interface NewClientMessage {
  type: 'newClient';
  fd: number;
  /** Peer address in text, as in SHOW CLIENTS; UNIX_ADDRESS for a Unix socket, whose port is the listening one. */
  addr: string;
  port: number;
}

/**
 * A client whose start-up packet has been read, for the worker where its pool is at home. Nothing has been said to it
 * but "no encryption".
 */
export interface MovedClientMessage {
  type: 'movedClient';
  fd: number;
  /** As a PROXY header says, if there was one. */
  addr: string;
  port: number;
  /** The system's user at the other end of a Unix socket, when he is the client. */
  peerUser: string | null;
  /** When it was accepted, epoch ms. */
  sinceMs: number;
  /** The start-up packet, and whatever came behind it. */
  bytes: Uint8Array;
}

/** In the place of an address, as in PgBouncer's SHOW CLIENTS. */
export const UNIX_ADDRESS = 'unix';
/** Of a client that a load balancer passes on by a Unix socket without saying whose it is: it is no local client. */
export const UNKNOWN_ADDRESS = 'unknown';

/**
 * A CancelRequest read by one worker for a session of another. The descriptor of the cancelling connection
 * goes along, so that it is closed only once the cancel has been delivered (libpq waits for that).
 */
export interface CancelMessage {
  type: 'cancel';
  fd: number;
  slot: number;
  secret: Uint8Array;
}

/**
 * The same from a connection with TLS, whose state cannot move: the connection stays, as session `replySession` in
 * `replySlot`, and is told by CancelDoneMessage.
 */
export interface CancelForMessage {
  type: 'cancelFor';
  slot: number;
  secret: Uint8Array;
  replyWorker: number;
  replySlot: number;
  replySession: number;
}

/** A cancel has been delivered: the connection it came by can be closed. */
export interface CancelDoneMessage {
  type: 'cancelDone';
  slot: number;
  /** Session.id: slots are reused. */
  session: number;
}

/** "I have waiters in this pool and no capacity: give me an idle server connection." */
export interface LendRequestMessage {
  type: 'lendRequest';
  pool: number;
  fromWorker: number;
}

/** An idle server connection changes worker. See docs/internals/connection-hand-over.md. */
export interface AdoptMessage {
  type: 'adopt';
  pool: number;
  fd: number;
  fromWorker: number;
  /** Packed by the worker package; opaque here. */
  state: Uint8Array;
}

/**
 * In place of a server connection with TLS, which cannot move: the claim of one that has been closed is the
 * receiver's from now on, to open another with or to give back.
 */
export interface AdoptPlaceMessage {
  type: 'adoptPlace';
  pool: number;
  fromWorker: number;
}

/**
 * "A limit over several pools keeps mine from opening a connection: close idle ones of that pool." `isFirm`: its
 * clients have waited long, so connections in use are closed too, when they come free.
 */
export interface EvictMessage {
  type: 'evict';
  /** Whose connections are to make room. */
  pool: number;
  count: number;
  isFirm: boolean;
}

/** "Sessions of yours hold server connections and wait for one more: something may have come free, or has to." */
export interface HeldWaitsMessage {
  type: 'heldWaits';
}

/** A statement is under way that Postgres refuses while others are connected to this database (DROP DATABASE…). */
export interface VacateMessage {
  type: 'vacate';
  /** Of the server, as configured. */
  host: string;
  port: number;
  serverDatabase: string;
}

/** A new configuration snapshot is in the routing table. */
export interface EpochMessage {
  type: 'epoch';
  epoch: number;
  /** What it has otherwise than the one before, packed (SnapshotDelta). Absent: too much for a message. */
  delta?: Uint8Array;
}

/**
 * Catalogs of a database with several shards have been read, whether or not something has changed, or could not be. To a
 * worker it says: what you asked for before is answered; what changed has been published before this.
 */
export interface CatalogReadMessage {
  type: 'catalogRead';
  database: string;
  /** ShardCatalogData.version in force now; 0 = there is none yet. */
  version: number;
  /** Why it could not be read: what is in force stays. */
  error?: string;
}

/** What lookup_query says of keys: an answer to KeysWantedMessage, in one message or several. */
export interface KeysFoundMessage {
  type: 'keysFound';
  database: string;
  /** ShardingSnapshot.tables, by position. */
  rule: number;
  /** `shard` null: the query gives no row. `problem`: why it could not be asked; '' = it could. */
  answers: { key: string; shard: number | null; problem: string }[];
}

/** Answer to NodeWantedMessage. */
export interface NodeClaimedMessage {
  type: 'nodeClaimed';
  database: string;
  /** Of the table of ids. */
  row: number;
  /** Why no ids can be made for now; '' = they can. */
  error: string;
}

/** What lookup_query has said of keys does not count any more. */
export interface KeysForgottenMessage {
  type: 'keysForgotten';
}

/**
 * Accept clients on these listening sockets and on no others. They stay the supervisor's, who shuts them down before
 * it closes them: a number must not be watched any more when it is used again.
 */
export interface ListenMessage {
  type: 'listen';
  sockets: ListenSocket[];
}

export interface ListenSocket {
  fd: number;
  /** Shown for clients of a Unix socket, which have no port of their own; 0 for TCP. */
  unixPort: number;
}

/** Answer to PeerNameRequestMessage. */
export interface PeerNameMessage {
  type: 'peerName';
  uid: number;
  /** Null: the system has no name for it, or did not say in time. */
  name: string | null;
}

/** What is waited for: the end of transactions, of the use of server connections, of clients. From strict to patient. */
export type DrainMode = 'transactions' | 'servers' | 'clients';

/** Stop taking new clients; then as the mode says. May come again with a stricter mode. */
export interface DrainMessage {
  type: 'drain';
  mode: DrainMode;
}

/** The time of `drain` is over: cancel what runs, tell the clients, roll back. */
export interface TerminateMessage {
  type: 'terminate';
}

/** Close everything now and end the serve task. */
export interface CutMessage {
  type: 'cut';
}

/** Ask for one row per client, server connection or shape of statements. Answered by ReportMessage. */
export interface ReportRequestMessage {
  type: 'reportRequest';
  requestId: number;
  kind: keyof ReportRows;
  /** Of `queries` and `prepared`: only shapes whose text has this in it, in lower case; '' = all. */
  filter: string;
}

/** KILL_CLIENT. */
export interface KillClientMessage {
  type: 'killClient';
  slot: number;
  /** Session.id: slots are reused. */
  session: number;
}

/** RESET QUERY_CACHE: forget plans, shapes and what was counted for them. */
export interface ResetQueryCacheMessage {
  type: 'resetQueryCache';
}

/** A piece of the answer to an AdminQueryMessage: whole backend messages, ready to send. */
export interface AdminReplyMessage {
  type: 'adminReply';
  slot: number;
  generation: number;
  bytes: Uint8Array;
  isLast: boolean;
  /** An ErrorResponse is among the pieces. */
  hasFailed?: boolean;
}

/** Answer to an AuthRequestMessage. */
export interface AuthReplyMessage {
  type: 'authReply';
  slot: number;
  generation: number;
  /** What is known of the user; null = nothing, whatever the reason. */
  user: UserSnapshot | null;
  /** How long `user`, or its absence, may be taken for true. Epoch ms. */
  freshUntilMs: number;
  /** Its pools, one per host of the database; none when there are none yet, or may be none. */
  pools: PoolSnapshot[];
  /** No pools because dynamic_users_max is reached. */
  isFull: boolean;
  /** The database, when it is made of a template. */
  database?: DatabaseSnapshot;
  /** Why there is no such database, for a client that has logged in. */
  refusal?: { code: ErrorCode; message: string };
  /** Whoever would have known could not be asked. */
  isUnreachable: boolean;
  /** For `groups`: those of `names` of which the user is a member; null = it could not be found out. */
  groups: string[] | null;
}

/** Answer to a ListenQuestionMessage: everything asked for before it is listened to, or cannot be. */
export interface ListenReadyMessage {
  type: 'listenReady';
  question: number;
  database: string;
  /** The channel for markers; '' = nobody listens now. */
  marker: string;
}

/** A notification of a channel that the worker has listeners for. */
export interface NotificationMessage {
  type: 'notification';
  database: string;
  channel: string;
  /** Of the server process that notified. */
  processId: number;
  payload: string;
}

/** A marker has come: what comes behind it was committed after it. */
export interface ListenMarkerMessage {
  type: 'listenMarker';
  payload: string;
}

/** Notifications of the database may have been missed. */
export interface ListenLostMessage {
  type: 'listenLost';
  database: string;
  reason: string;
}

export type PubSubNews = ListenReadyMessage | NotificationMessage | ListenMarkerMessage | ListenLostMessage;

/** Only with PGDOG_TEST_HOOKS=1: throw in the loop, to test containment. */
export interface CrashMessage {
  type: 'crash';
}

export type WorkerMessage =
  | NewClientMessage
  | MovedClientMessage
  | CancelMessage
  | CancelForMessage
  | CancelDoneMessage
  | LendRequestMessage
  | AdoptMessage
  | AdoptPlaceMessage
  | EvictMessage
  | HeldWaitsMessage
  | VacateMessage
  | EpochMessage
  | CatalogReadMessage
  | KeysFoundMessage
  | KeysForgottenMessage
  | NodeClaimedMessage
  | ListenMessage
  | PeerNameMessage
  | DrainMessage
  | TerminateMessage
  | CutMessage
  | ReportRequestMessage
  | ResetQueryCacheMessage
  | KillClientMessage
  | AdminReplyMessage
  | AuthReplyMessage
  | PubSubNews
  | CrashMessage;

/** The worker serves: its ring is up, its mailbox is read. */
export interface ReadyMessage {
  type: 'ready';
  worker: number;
  ioDriver: 'io_uring' | 'epoll';
  /** Why a better driver was not taken; empty when it was. */
  ioDriverReason: string;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Log lines of a worker, collected for some milliseconds; the supervisor owns the logger. */
export interface LogMessage {
  type: 'log';
  lines: LogLine[];
}

export interface LogLine {
  level: LogLevel;
  code: LogCode;
  message: string;
  fields: Record<string, string | number | boolean | null>;
}

/**
 * A client of the admin database does not wait for its answer any more: it is gone, or has cancelled the command. Sent
 * whether or not it waits for one.
 */
export interface AdminCancelMessage {
  type: 'adminCancel';
  worker: number;
  generation: number;
  isGone: boolean;
}

/** A command of an admin client, or `SHOW pgdog.…` of an ordinary one. */
export interface AdminQueryMessage {
  type: 'adminQuery';
  worker: number;
  slot: number;
  generation: number;
  database: string;
  user: string;
  /** True in the admin database; false for SHOW pgdog.… in an ordinary one. */
  isAdmin: boolean;
  /** In the admin database: may SHOW, and order nothing. Absent: no. */
  isViewer?: boolean;
  /** In the admin database: the configuration does not let this user in any more. Absent: it does. */
  isShutOut?: boolean;
  text: string;
  /** Of the extended protocol; absent: a Query. */
  step?: 'describe' | 'execute';
  /** Result format codes of the Bind; absent: all in text. */
  formats?: number[];
  /** Of a sharded database: shards that the session's last statement was asked of. */
  lastShards?: number[];
}

/**
 * A question about a user whom the worker does not know. `lookup`: its password hash, by auth_query. `passthrough`: does
 * a server accept `password`? `pool`: it has logged in; where are its server connections? `groups`: of which of `names`
 * is it a member? `reach`: can auth_query be asked at all?
 */
export interface AuthRequestMessage {
  type: 'authRequest';
  worker: number;
  slot: number;
  generation: number;
  question: 'lookup' | 'passthrough' | 'pool' | 'groups' | 'reach';
  database: string;
  user: string;
  /** Only for `passthrough`. Never logged. */
  password: string;
  /** Only for `groups`: roles. */
  names: string[];
  /** An answer older than this is of no use. Milliseconds. */
  ageMsMax: number;
}

/** A server says that there is no database behind a name that a template is for. */
export interface TenantMissingMessage {
  type: 'tenantMissing';
  database: string;
}

export interface ReportMessage {
  type: 'report';
  worker: number;
  requestId: number;
  rows: ReportRows[keyof ReportRows][];
}

/** Who is this user of the system? Asked for clients of Unix sockets; the answer may take a directory service. */
export interface PeerNameRequestMessage {
  type: 'peerNameRequest';
  worker: number;
  uid: number;
}

/**
 * The catalogs of a database with several shards may have changed: a name is not known, or a session has run DDL. Answered
 * by CatalogReadMessage.
 */
export interface CatalogWantedMessage {
  type: 'catalogWanted';
  worker: number;
  database: string;
  reason: 'unknown' | 'ddl';
  /** ShardCatalogData.version the worker has; 0 = none. */
  version: number;
}

/** Statements wait for the shards of these keys, which lookup_query knows. Answered by KeysFoundMessage, each key once. */
export interface KeysWantedMessage {
  type: 'keysWanted';
  worker: number;
  database: string;
  /** ShardingSnapshot.tables, by position. */
  rule: number;
  /** As Postgres reads them. */
  keys: string[];
}

/** Ids of a database with several shards are asked for, and no number of this proxy is known to be claimed there, or not for so long. */
export interface NodeWantedMessage {
  type: 'nodeWanted';
  worker: number;
  database: string;
}

/** The worker has nothing left to serve; its task ends next. */
export interface DrainedMessage {
  type: 'drained';
  worker: number;
}

/** The number of a worker's sessions that listen to a channel by the shared connection has changed. */
export interface ListenersMessage {
  type: 'listeners';
  worker: number;
  database: string;
  user: string;
  channel: string;
  /** Now; 0 = none any more. */
  count: number;
  /** Disconnected since the last message because they were too slow. */
  dropped: number;
}

/** Is everything listened to that was asked for before? Answered by ListenReadyMessage. */
export interface ListenQuestionMessage {
  type: 'listenQuestion';
  worker: number;
  question: number;
  database: string;
}

export type PubSubMessage = ListenersMessage | ListenQuestionMessage;

export type SupervisorMessage =
  | ReadyMessage
  | LogMessage
  | AdminQueryMessage
  | AdminCancelMessage
  | AuthRequestMessage
  | TenantMissingMessage
  | ReportMessage
  | PeerNameRequestMessage
  | PubSubMessage
  | CatalogWantedMessage
  | KeysWantedMessage
  | NodeWantedMessage
  | DrainedMessage;

/** One row of SHOW CLIENTS, as a worker knows it. Times in microseconds or epoch ms as named. */
export interface ClientReport {
  slot: number;
  /** Session.id; of this worker. */
  session: number;
  /** Of its socket. */
  fd: number;
  worker: number;
  user: string;
  database: string;
  addr: string;
  port: number;
  /** idle, active, waiting, held (by an order), idle in transaction, login. */
  state: string;
  replication: Replication;
  connectTimeMs: number;
  /** Since when it waits for a server connection, epoch ms; 0: it does not. */
  waitingSinceMs: number;
  lastRequestMs: number;
  queries: number;
  transactions: number;
  waitTimeUs: number;
  queryTimeUs: number;
  transactionTimeUs: number;
  bytesReceived: number;
  bytesSent: number;
  errors: number;
  applicationName: string;
  /** The system's user at the other end of a Unix socket. */
  peerUser: string | null;
  /** Why the session keeps its server connection; empty when it does not. */
  pinReason: string;
  preparedStatements: number;
  /** Version and cipher; empty in the clear. */
  tls: string;
}

/** What a report is made of, by kind. */
export interface ReportRows {
  clients: ClientReport;
  servers: ServerReport;
  queries: QueryReport;
  mirrors: MirrorReport;
  prepared: PreparedReport;
  clientMemory: ClientMemoryReport;
  serverMemory: ServerMemoryReport;
}

/** What statements of one shape did on one database, in one worker. */
export interface QueryReport {
  worker: number;
  database: string;
  /** Without literals. */
  query: string;
  /** False: a sum over statements whose shape is not known, no longer, or not told of. */
  isShape: boolean;
  /** read, write or neutral; null: nobody asked. */
  access: string | null;
  /** Texts that came when the shape was known. */
  hits: number;
  calls: number;
  /** Of the calls, those on several shards. */
  multi: number;
  totalUs: number;
  maxUs: number;
  rows: number;
  errors: number;
  /** Number and count of each latency cell that has counted (base/latency-cells). */
  cells: number[];
}

/** One row of SHOW SERVERS. */
export interface ServerReport {
  pool: number;
  worker: number;
  state: string;
  fd: number;
  /** It is closed as soon as it comes free. */
  isDoomed: boolean;
  connectTimeMs: number;
  requestTimeMs: number;
  remotePid: number;
  /** Slot of the session it serves, -1 when none. */
  clientSlot: number;
  transactions: number;
  queries: number;
  rollbacks: number;
  preparedStatements: number;
  healthchecks: number;
  errors: number;
  bytesReceived: number;
  bytesSent: number;
  lastSentMs: number;
  lastReceivedMs: number;
  applicationName: string;
  /** Version and cipher; empty in the clear. */
  tls: string;
}

/** One row of SHOW MIRRORS, of one worker. Units: transactions, or statements outside of one. */
export interface MirrorReport {
  source: string;
  destination: string;
  user: string;
  /** All units that ended, those not mirrored included. */
  total: number;
  /** Run again, to the end and without an error. */
  mirrored: number;
  /** Left out by exposure or level. */
  skipped: number;
  /** Failed or rolled back at the source. */
  failed: number;
  /** No room in the queue, or too large. */
  dropped: number;
  /** Met an error at the destination. */
  errors: number;
  queued: number;
}
