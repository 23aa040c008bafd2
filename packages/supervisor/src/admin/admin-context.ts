import type {
  AdminQueryMessage,
  ClientMemoryReport,
  ClientReport,
  ConfigSnapshot,
  DrainMode,
  MirrorReport,
  PoolSnapshot,
  PreparedReport,
  QueryReport,
  ServerMemoryReport,
  ServerReport,
  SharedMemory,
} from '@pgdog-cluster/core';
import type { ChangeLayers, SettingRow } from '@pgdog-cluster/core/config';
import type { LogEvent } from '@pgdog-cluster/core/status';
import type { CatalogState } from '../catalog/catalog-watch.js';
import type { ChangeOrder } from '../config/plan-change.js';
import type { ReloadFigures, ReloadStatus } from '../config/reloads.js';
import type { SourceFigures } from '../config/source-watch.js';
import type { CertificateReport } from '../config/tls-files.js';
import type { DriftFigures, DriftRow } from '../copies/copy-watch.js';
import type { OperatorDesk } from '../orders/operator-desk.js';
import type { ListenerRow } from '../pubsub/hub.js';
import type { TemplateRow } from '../tenants/tenant-service.js';
import type { RecoveryFigures, TransactionRow } from '../two-phase/recovery.js';
import type { ListeningSocket } from './show-addresses.js';
import type { StatsWindow } from './stats-window.js';

/** Orders about databases and their clients. */
export type DatabaseOrders = Omit<OperatorDesk, 'liftHolds'>;

/** How reloads went, and the epoch in force. */
export interface ReloadState {
  status: ReloadStatus;
  figures: ReloadFigures;
  epoch: number;
  layers: ChangeLayers;
  /** Null without [config_source]. */
  source: SourceFigures | null;
}

/** What an admin command may set in motion. */
export interface AdminOrders {
  /** Finish what runs, then end. Returns at once. */
  drain(reason: string, mode: DrainMode): void;
  /** Reads the whole configuration again. Rejects with `reload_failed`; the one in force then stays. */
  reload(trigger: string): Promise<void>;
  /** SET of a setting of ours: until the next reload. */
  set(name: string, text: string): Promise<void>;
  /** ADD, ALTER, DROP. Resolves with what changed; rejects as Reloads.change does. */
  change(order: ChangeOrder): Promise<string>;
  /** BAN and UNBAN of a host; UNBAN also forgets what was measured against it. */
  banHost(host: number): void;
  unbanHost(host: number): void;
  /** HEALTHCHECK: null when it passed, else why not. */
  checkHost(host: number): Promise<string | null>;
  /** SETUP SCHEMA; null: all databases with several shards. Resolves with what was done; rejects with what stood in the way. */
  setUpShards(database: string | null): Promise<string[]>;
  /** Resolves when every worker that serves has done so. */
  resetQueryCache(): Promise<void>;
  /** The worker's loop throws. Only called with test hooks. Throws PgDogError for a worker that does not exist. */
  crashWorker(worker: number): void;
}

/** All that admin commands and metrics see of the program. The supervisor provides it; tests fill it by hand. */
export interface AdminContext {
  readonly memory: SharedMemory;
  readonly config: () => ConfigSnapshot;
  /** Every setting with the value in force; never a secret. */
  readonly settings: () => readonly SettingRow[];
  readonly reportClients: () => Promise<readonly ClientReport[]>;
  readonly reportServers: () => Promise<readonly ServerReport[]>;
  /** @param filter part of the text, in lower case; '' = all */
  readonly reportQueries: (filter: string) => Promise<readonly QueryReport[]>;
  readonly reportMirrors: () => Promise<readonly MirrorReport[]>;
  readonly reportPrepared: (filter: string) => Promise<readonly PreparedReport[]>;
  readonly reportClientMemory: () => Promise<readonly ClientMemoryReport[]>;
  readonly reportServerMemory: () => Promise<readonly ServerMemoryReport[]>;
  /** Of databases with several shards. */
  readonly catalogs: () => readonly CatalogState[];
  /** Patterns of databases. */
  readonly templates: () => readonly TemplateRow[];
  /** What is prepared on their shards; asks all of them. */
  readonly transactions: () => Promise<readonly TransactionRow[]>;
  readonly recovery: () => readonly RecoveryFigures[];
  /** Tables that all shards have whole, as they are there; reads all of them. */
  readonly drift: () => Promise<readonly DriftRow[]>;
  readonly driftFigures: () => readonly DriftFigures[];
  /** Channels that are listened to for clients. */
  readonly listeners: () => readonly ListenerRow[];
  readonly listening: () => readonly ListeningSocket[];
  /** Does the host take connections now? Asked only where no server connection answers that already. */
  readonly isReachable: (pool: PoolSnapshot) => Promise<boolean>;
  readonly isDraining: () => boolean;
  /** The last warnings and errors of the log, newest first. */
  readonly recentEvents: () => LogEvent[];
  readonly reloadState: () => ReloadState;
  /** Those in use since the last reload that succeeded. */
  readonly certificates: () => readonly CertificateReport[];
  /** Averages of the last full stats_period. */
  readonly window: StatsWindow;
  readonly version: string;
  readonly startedMs: number;
  /** Epoch ms. */
  readonly nowMs: () => number;
  readonly hasTestHooks: boolean;
  readonly orders: AdminOrders;
  /** PAUSE and its kin. */
  readonly desk: DatabaseOrders;
  /** A mistake of ours: who asked gets XX000, the log gets the reason. */
  readonly logFailure: (what: string, error: unknown) => void;
}

/** Who asks, beside the words of the command. */
export type AdminCaller = Pick<
  AdminQueryMessage,
  'database' | 'user' | 'isAdmin' | 'isViewer' | 'lastShards'
>;
