import {
  type AdminQueryMessage,
  type ConfigSnapshot,
  type DrainMode,
  type HostAddress,
  type HostSnapshot,
  PgDogError,
  type PoolSnapshot,
  type ReportRows,
  type SharedMemory,
} from '@pgdog-cluster/core';
import type { ListenAddress, LoadedConfig } from '@pgdog-cluster/core/config';
import { AuthRequests } from './auth/auth-requests.js';
import { type ShardedProgram, ShardServices } from './catalog/shard-services.js';
import { ConfigSource } from './config/config-source.js';
import type { ConfigWatch } from './config/config-watch.js';
import { logExpired } from './config/expired-certificates.js';
import { memoryFor, poolsMaxOf } from './config/memory-size.js';
import { NameWatch, type NameWatchOptions } from './config/name-watch.js';
import { type MakeSnapshot, Publication } from './config/publication.js';
import { buildSnapshot } from './config/publish-config.js';
import { Reloads, type ReloadsOptions } from './config/reloads.js';
import type { CertificateReport, LoadedTls } from './config/tls-files.js';
import { unixSocketSettings } from './config/unix-settings.js';
import type { AdminQueryHandler } from './fleet/admin-replies.js';
import { CapacityLimits } from './fleet/capacity-limits.js';
import { Fleet } from './fleet/fleet.js';
import { serveFile } from './fleet/serve-file.js';
import { HostMonitor } from './health/host-monitor.js';
import { IdleCollection } from './idle-collection.js';
import { type DescriptorLimit, raiseDescriptorLimit } from './listen/descriptor-limit.js';
import type { Listener } from './listen/listener.js';
import { type AdoptedListeners, openListeners } from './listen/open-listeners.js';
import type { Logger } from './log/logger.js';
import { openDesk } from './orders/open-desk.js';
import type { OperatorDesk } from './orders/operator-desk.js';
import { PubSub } from './pubsub/pub-sub.js';
import { Shutdown, type ShutdownPhase } from './shutdown.js';
import { TenantService } from './tenants/tenant-service.js';

export interface SupervisorOptions {
  loaded: LoadedConfig;
  logger: Logger;
  /** Module of the workers; the worker package's own unless a test has another. */
  serveFile?: string;
  /** Reads the configuration again, for reloads; default: what was given stays, only the files that it names are read again. */
  load?: ReloadsOptions['load'];
  /** Sockets to accept from instead of those that the configuration names; closed with the supervisor. */
  listeners?: Listener[];
  /** Told of files that are read beside those, and when an attempt begins and ends. */
  watch?: Pick<ConfigWatch, 'note' | 'begin' | 'end' | 'wrote'>;
  /** Sockets of a process that is being taken over. */
  adopted?: AdoptedListeners;
  /** Turns a loaded configuration into a snapshot; injected by tests. */
  makeSnapshot?: MakeSnapshot;
  /** Asks a name again; injected by tests. */
  resolve?: NameWatchOptions['resolve'];
  /** The crash order is obeyed; default: PGDOG_TEST_HOOKS=1. */
  testHooks?: boolean;
}

/** The main thread's part: shared memory, workers, listening sockets, and the way out. */
export class Supervisor {
  readonly memory: SharedMemory;
  readonly logger: Logger;
  readonly fleet: Fleet;
  readonly startedMs = Date.now();
  readonly descriptors: DescriptorLimit;
  readonly desk: OperatorDesk;
  readonly health: HostMonitor;
  readonly pubSub: PubSub;
  readonly shards: ShardServices;
  readonly reloads: Reloads;
  readonly tenants: TenantService;
  readonly source: ConfigSource;
  readonly #publication: Publication;
  readonly #given: Pick<SupervisorOptions, 'listeners' | 'adopted'>;
  readonly #limits: CapacityLimits;
  readonly #testHooks: boolean;
  readonly #shutdown: Shutdown;
  readonly #auth: AuthRequests;
  readonly #names: NameWatch;
  readonly #garbage = new IdleCollection();
  #listeners: Listener[] = [];
  /** Workers may be told the listening sockets. */
  #isAccepting = false;
  #onAdminQuery: AdminQueryHandler | null = null;

  constructor(options: SupervisorOptions) {
    const { loaded, logger } = options;
    this.logger = logger;
    this.#given = options;
    this.#testHooks = options.testHooks ?? process.env.PGDOG_TEST_HOOKS === '1';
    this.descriptors = raiseDescriptorLimit(loaded.workerCount);
    this.memory = memoryFor(loaded, poolsMaxOf(loaded), this.descriptors.limit);
    this.#limits = new CapacityLimits(this.memory.capacity, this.descriptors.connectionsMax);
    this.#publication = this.#openPublication(options);
    const { load = () => loaded, watch } = options;
    const onReloaded = (isWhole: boolean) => this.#reloaded(isWhole);
    this.reloads = new Reloads({ load, publication: this.#publication, logger, onReloaded, watch }, loaded);
    this.source = this.#openSource(options);
    this.health = new HostMonitor({
      table: this.memory.hosts,
      logger,
      onFailure: (host) => this.#names.hurry(host),
    });
    this.#names = new NameWatch({
      resolve: options.resolve,
      onChange: (host, addresses) => this.#moveHost(host, addresses),
      onLost: ({ host }) => this.#nameLost(host),
    });
    this.tenants = this.#openTenants(loaded);
    this.#auth = new AuthRequests({
      loaded,
      logger,
      tenants: this.tenants.tenants,
      numbers: this.#publication.numbers,
      snapshot: () => this.snapshot,
      onPool: (pool) => this.#poolMade(pool),
      inOrder: (hosts) => this.health.inOrder(hosts),
    });
    this.fleet = new Fleet({
      memory: this.memory,
      workers: loaded.workerCount,
      serveFile: options.serveFile ?? serveFile(),
      ioDriver: loaded.general.io_driver,
      testHooks: this.#testHooks,
      logger,
      onAdminQuery: (message, signal) => this.#answerAdminQuery(message, signal),
      onAuthRequest: (request) => this.#auth.answer(request),
      onTenantMissing: (database) => this.tenants.missing(database),
      onPubSub: (message) => this.pubSub.onMessage(message),
      onCatalogWanted: (message) => this.shards.catalogs.wanted(message),
      onNodeWanted: (message) => this.shards.ids.wanted(message),
      onKeysWanted: (message) => void this.shards.keys.wanted(message),
      onServing: (worker) => this.#workerServes(worker),
    });
    this.pubSub = new PubSub({
      memory: this.memory,
      snapshot: () => this.snapshot,
      post: (worker, message) => this.fleet.order(worker, message),
      logger,
    });
    this.shards = new ShardServices(this.#shardedProgram());
    this.desk = openDesk({
      memory: this.memory,
      logger,
      fleet: this.fleet,
      pubSub: this.pubSub,
      snapshot: () => this.snapshot,
      republish: (change) => this.#publication.republish(change),
      poolIndexes: (database) => this.#publication.numbers.indexesOf(database),
      isDraining: () => this.shutdownPhase !== 'none',
    });
    this.#shutdown = this.#planShutdown();
  }

  #reloaded(isWhole: boolean): void {
    this.#garbage.later();
    this.shards.hurry();
    if (isWhole) this.source.hurry();
  }

  #planShutdown(): Shutdown {
    return new Shutdown({
      fleet: this.fleet,
      logger: this.logger,
      stopAccepting: () => this.#stopAccepting(),
      liftHolds: () => this.desk.liftHolds(),
      drainTimeoutMs: () => this.#general?.shutdownTimeoutMs ?? 0,
      terminationTimeoutMs: () => this.#general?.shutdownTerminationTimeoutMs ?? 0,
      closeRest: () => this.#closeRest(),
    });
  }

  #openPublication({ loaded, watch, makeSnapshot = buildSnapshot }: SupervisorOptions): Publication {
    return new Publication({
      memory: this.memory,
      loaded,
      limits: this.#limits,
      makeSnapshot,
      auth: () => this.#auth,
      onTakenUp: (...taken) => this.#takenUp(...taken),
      tell: (epoch, delta) => this.fleet.broadcast({ type: 'epoch', epoch, delta }),
      onFileRead: (path) => watch?.note(path),
    });
  }

  #openTenants(loaded: LoadedConfig): TenantService {
    return new TenantService({
      memory: this.memory,
      loaded,
      logger: this.logger,
      publication: this.#publication,
      auth: () => this.#auth,
      health: () => this.health,
      names: () => this.#names,
    });
  }

  #openSource({ logger, watch }: SupervisorOptions): ConfigSource {
    return new ConfigSource({
      logger,
      inForce: () => this.loaded,
      refresh: (rows) => this.reloads.refresh(rows),
      onFileRead: (path) => watch?.note(path),
    });
  }

  #shardedProgram(): ShardedProgram {
    const { memory, logger, fleet, health } = this;
    const loaded = (): LoadedConfig => this.loaded;
    const snapshot = (): ConfigSnapshot => this.snapshot;
    const republish = (change: () => Partial<ConfigSnapshot>) => this.#publication.republish(change);
    return { memory, logger, fleet, health, loaded, snapshot, republish };
  }

  #closeRest(): void {
    this.reloads.close();
    const { source, tenants, health, pubSub, shards } = this;
    for (const part of [this.#garbage, source, tenants, this.#auth, this.#names, health, pubSub, shards])
      part.close();
    this.#closeListeners();
  }

  #nameLost(host: string): void {
    const text = `${host} does not resolve any more; its last addresses stay in use`;
    this.logger.log('warn', 'name_lost', text, { host });
  }

  /** Of a user who is not configured. */
  #poolMade(pool: PoolSnapshot): void {
    this.#limits.applyPool(pool);
    this.health.offerLogin(pool, this.loaded, this.snapshot);
  }

  #workerServes(worker: number): void {
    // What was published while it started it may not have seen.
    const epoch = this.memory.routing.epoch();
    if (this.memory.workers.epoch(worker) !== epoch) this.fleet.order(worker, { type: 'epoch', epoch });
    this.pubSub.onWorkerStarts(worker);
    this.#tellListeners(worker);
  }

  /** The configuration last taken up. */
  get loaded(): LoadedConfig {
    return this.#publication.loaded;
  }

  /** The published snapshot. Throws before start() has published one. */
  get snapshot(): ConfigSnapshot {
    return this.#publication.snapshot;
  }

  get #general(): ConfigSnapshot['general'] | null {
    return this.#publication.hasSnapshot ? this.snapshot.general : null;
  }

  /** Those in use; see SHOW TLS. */
  get certificates(): readonly CertificateReport[] {
    return this.#publication.tls.certificates;
  }

  /** io_uring or epoll, as the workers chose. */
  get ioDriver(): string {
    return this.fleet.ioDriver;
  }

  get shutdownPhase(): ShutdownPhase {
    return this.#shutdown.phase;
  }

  /** Where clients can connect, ports as bound. Empty before start(). */
  get addresses(): ListenAddress[] {
    return this.#listeners.map(({ host, port }) => ({ host, port }));
  }

  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /**
   * Listens and serves when it resolves. When it rejects, nothing is left open.
   * @throws PgDogError `configuration` for an address that cannot be listened on, `internal` for a worker that cannot start.
   */
  async start(): Promise<void> {
    const { limit, before, connectionsMax } = this.descriptors;
    const text = `open files: ${limit} (was ${before}), room for ${connectionsMax} connections`;
    this.logger.log('info', 'open_files', text, { limit, before, connectionsMax });
    try {
      await this.#publication.publish(this.loaded);
      const { tcp } = this.snapshot;
      const { general, listen } = this.loaded;
      // Listening first: a port in use is the likeliest failure, and the cheapest to find. Clients that come
      // before the workers are up wait in the backlog.
      const unix = unixSocketSettings(general, listen);
      const { listeners = null, adopted } = this.#given;
      for (const listener of listeners ?? []) listener.setTcpOptions(tcp);
      this.#listeners =
        listeners ?? (await openListeners(listen, general.listen_backlog, tcp, unix, adopted));
      await this.fleet.start();
    } catch (error) {
      for (const part of [this.source, this.#names, this.health, this.shards]) part.close();
      await this.fleet.destroy();
      this.#closeListeners();
      throw error;
    }
    if (this.#shutdown.phase !== 'none') return;
    this.#isAccepting = true;
    for (const worker of this.fleet.servingWorkers()) this.#tellListeners(worker);
    for (const { address } of this.#listeners) {
      this.logger.log('info', 'listening', `listening on ${address}`, { address });
    }
    this.#garbage.later();
  }

  /** Who answers admin commands; before it is set they are refused. */
  setAdminQueryHandler(handler: AdminQueryHandler): void {
    this.#onAdminQuery = handler;
  }

  /** @param filter of `queries`: see ReportRequestMessage */
  requestReport<Kind extends keyof ReportRows>(kind: Kind, filter = ''): Promise<ReportRows[Kind][]> {
    return this.fleet.requestReport(kind, filter);
  }

  /** Finishes what runs, then ends. Resolves when everything has ended. A stricter mode may follow a patient one. */
  drain(reason = 'shutdown', mode: DrainMode = 'transactions'): Promise<void> {
    return this.#shutdown.drain(reason, mode);
  }

  /** Ends now; also while draining. Idempotent. */
  cut(): Promise<void> {
    return this.#shutdown.cut();
  }

  /** For tests: the worker's loop throws. Refused without test hooks. */
  crashWorker(worker: number): void {
    if (!this.#testHooks) throw new PgDogError('admin_failed', 'test hooks are off');
    if (!(Number.isInteger(worker) && worker >= 0 && worker < this.fleet.count)) {
      throw new PgDogError('admin_failed', `there is no worker ${worker}`);
    }
    this.fleet.order(worker, { type: 'crash' });
  }

  #takenUp(loaded: LoadedConfig, snapshot: ConfigSnapshot, tls: LoadedTls): void {
    logExpired(tls, this.logger);
    this.source.takeUp(loaded);
    this.health.takeUp({ ...loaded, databases: this.tenants.takeUp(loaded) }, snapshot);
    this.#names.takeUp(snapshot.hosts, loaded.general.dns_ttl);
    this.shards.takeUp(loaded);
    for (const listener of this.#listeners) listener.setTcpOptions(snapshot.tcp);
  }

  /** A name has other addresses: connections to those that are gone end with what they do now. */
  #moveHost({ index, host, port, addresses: old }: HostSnapshot, addresses: HostAddress[]): void {
    const list = addresses.map(({ text }) => text).join(', ');
    this.logger.log('info', 'host_moved', `${host} resolves to ${list} now`, { host, port });
    this.#auth.moveHost(index, addresses);
    const moved = this.#publication.moveHost(index, addresses);
    void moved.then(
      () => this.health.moveHost(index, addresses),
      (error: Error) => {
        this.#auth.moveHost(index, old);
        const problem = `the new addresses of ${host} cannot be taken up, the old ones stay: ${error.message}`;
        this.logger.log('error', 'host_not_moved', problem, { host, port, reason: error.message });
      },
    );
  }

  /** Clients that come while no worker serves wait in the backlog. */
  #tellListeners(worker: number): void {
    if (!this.#isAccepting) return;
    this.fleet.order(worker, { type: 'listen', sockets: this.#listeners.map((each) => each.socket) });
  }

  #stopAccepting(): void {
    this.#isAccepting = false;
    for (const listener of this.#listeners) listener.shutDown();
    // They find out about those that are shut down; a shared one stays as it was.
    this.fleet.broadcast({ type: 'listen', sockets: [] });
  }

  #closeListeners(): void {
    for (const listener of this.#listeners) listener.close();
  }

  #answerAdminQuery(message: AdminQueryMessage, signal: AbortSignal): Promise<Uint8Array[]> {
    if (this.#onAdminQuery === null) return Promise.reject(new PgDogError('admin_failed', 'not ready yet'));
    return this.#onAdminQuery(message, signal);
  }
}
