import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import {
  type AdminQueryMessage,
  type AuthReplyMessage,
  type AuthRequestMessage,
  type CatalogWantedMessage,
  type CutMessage,
  type DrainMessage,
  type IoDriverSetting,
  type KeysWantedMessage,
  type NodeWantedMessage,
  PgDogError,
  type PubSubMessage,
  type ReportRows,
  type ServeTask,
  type SharedMemory,
  type SupervisorMessage,
  type TerminateMessage,
  WORKER_CRASHED,
  WORKER_STARTING,
  WORKER_STOPPED,
  type WorkerMessage,
} from '@pgdog-cluster/core';
import { Piscina } from 'piscina';
import { close, createEventFd, writeEventFd } from '../listen/libc.js';
import { userNameInTime } from '../listen/system-users.js';
import type { Logger } from '../log/logger.js';
import { sourceTrace } from '../log/source-trace.js';
import { type AdminQueryHandler, answerAdminQuery } from './admin-replies.js';
import { AdminWaits } from './admin-waits.js';
import { Changes } from './changes.js';
import { cleanUpAfter } from './clean-up.js';
import { HeartbeatWatch } from './heartbeat-watch.js';
import { ReportCollector } from './report-collector.js';
import { WorkerHandle } from './worker-handle.js';
import { logLines, logReady } from './worker-log.js';

/**
 * Old generation: far above what a loop that keeps no bytes on the heap needs; a leak then ends one worker and not
 * the process. Young generation: a burst of logins makes garbage, and what V8 once took for it stays resident,
 * 4 KB for each of 8,000 idle clients at V8's default of 48 MB; the loop itself makes next to none.
 */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 2048, maxYoungGenerationSizeMb: 6 };
/** Half a second where cores are free; after a reboot everything starts at once, and giving up would only start again. */
const READY_DEADLINE_MS = 60_000;
/** After "cut" a worker closes its sockets and ends. */
const END_DEADLINE_MS = 2000;

type EndOrder = DrainMessage | TerminateMessage | CutMessage;

export interface FleetOptions {
  memory: SharedMemory;
  workers: number;
  /** Path of the module whose default export is the serve function. */
  serveFile: string;
  ioDriver: IoDriverSetting;
  testHooks: boolean;
  logger: Logger;
  onAdminQuery: AdminQueryHandler;
  /** Who is this user? Never rejects. */
  onAuthRequest: (request: AuthRequestMessage) => Promise<AuthReplyMessage>;
  /** About LISTEN by the shared connection. */
  onPubSub: (message: PubSubMessage) => void;
  /** Absent: nobody reads catalogs. */
  onCatalogWanted?: (message: CatalogWantedMessage) => void;
  onTenantMissing?: (database: string) => void;
  /** Absent: nobody claims numbers for ids, or looks keys up. */
  onNodeWanted?: (message: NodeWantedMessage) => void;
  onKeysWanted?: (message: KeysWantedMessage) => void;
  /** A worker serves (again): clients that wait for one can be accepted. */
  onServing: (worker: number) => void;
}

/** The worker threads: one Piscina pool, one never-ending task per thread, each restarted when it crashes. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #memory: SharedMemory;
  readonly #logger: Logger;
  readonly #pool: Piscina<ServeTask, void>;
  readonly #handles: WorkerHandle[] = [];
  readonly #reports = new ReportCollector();
  readonly #adminWaits = new AdminWaits();
  readonly #heartbeats: HeartbeatWatch;
  #isStarting = true;
  #isStopping = false;
  #isDestroyed = false;
  /** Of the workers, and of whatever else somebody who waits for them looks at. */
  readonly #changes = new Changes();
  /** Of the way out, so far: a worker that comes up late gets them too. */
  readonly #endOrders: EndOrder[] = [];
  #startFailure: Error | null = null;

  constructor(options: FleetOptions) {
    const { memory, logger, workers } = options;
    this.#options = options;
    this.#memory = memory;
    this.#logger = logger;
    this.#pool = new Piscina<ServeTask, void>({
      filename: options.serveFile,
      minThreads: workers,
      maxThreads: workers,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: 1,
      resourceLimits: RESOURCE_LIMITS,
      recordTiming: false,
      // Workers close what they open; Node closing it as well, when a thread ends, could hit a number used again.
      trackUnmanagedFds: false,
    });
    // A thread that dies without a task (between a crash and its restart) is replaced by the pool itself.
    this.#pool.on('error', (error: Error) => {
      logger.log('error', 'worker_thread_failed', `an idle worker thread failed: ${error.message}`);
    });
    for (let worker = 0; worker < workers; worker++) {
      const eventFd = createEventFd();
      if (eventFd === -1) throw new PgDogError('internal', 'cannot create an eventfd');
      memory.mailboxes.setEventFd(worker, eventFd);
      this.#handles.push(new WorkerHandle(memory, worker, eventFd, logger));
    }
    this.#heartbeats = new HeartbeatWatch(memory, () => this.servingWorkers(), logger);
  }

  get count(): number {
    return this.#handles.length;
  }

  get handles(): readonly WorkerHandle[] {
    return this.#handles;
  }

  isServing(worker: number): boolean {
    return this.#handles[worker].phase === 'serving';
  }

  /** Those that serve, and those about to: they may have claimed something. */
  liveWorkers(): number[] {
    return this.#handles
      .filter(({ phase }) => phase === 'serving' || phase === 'starting')
      .map(({ worker }) => worker);
  }

  /** What the workers use; more than one name after a restart that had to choose otherwise. '' before they are ready. */
  get ioDriver(): string {
    return [...new Set(this.#handles.flatMap(({ ready }) => ready?.ioDriver ?? []))].join('+');
  }

  isStalled(worker: number): boolean {
    return this.#heartbeats.isStalled(worker);
  }

  servingWorkers(): number[] {
    return this.#handles.filter(({ phase }) => phase === 'serving').map(({ worker }) => worker);
  }

  /** Resolves when every worker serves. Rejects when one cannot: at start that is an error to see, not one to retry. */
  async start(deadlineMs: number = READY_DEADLINE_MS): Promise<void> {
    for (const handle of this.#handles) this.#startTask(handle);
    const isUp = await this.#changes.until(
      () => this.#startFailure !== null || this.#handles.every(({ phase }) => phase === 'serving'),
      deadlineMs,
    );
    if (this.#startFailure !== null) {
      const { message } = this.#startFailure;
      await this.#endOthers();
      throw new PgDogError('internal', `a worker could not start: ${message}`, { cause: this.#startFailure });
    }
    if (!isUp) {
      const missing = this.#handles.filter(({ phase }) => phase !== 'serving').map(({ worker }) => worker);
      throw new PgDogError('internal', `not ready after ${deadlineMs} ms: worker ${missing.join(', ')}`);
    }
    this.#isStarting = false;
    this.#heartbeats.start();
  }

  /**
   * One worker cannot start: lets the others get up and end by themselves. A thread that is terminated while it loads
   * its modules aborts the whole process (Node 20: "IsGraphAsync must be used on an instantiated module"), and with it
   * the message that says what is wrong.
   */
  async #endOthers(): Promise<void> {
    this.beginStop();
    await this.#changes.until(
      () => this.#handles.every(({ phase }) => phase !== 'starting'),
      READY_DEADLINE_MS,
    );
    this.orderEnd({ type: 'cut' });
    await this.waitEnded(END_DEADLINE_MS);
  }

  /** To one worker, as soon as its mailbox has room. False: it takes none. */
  order(worker: number, message: WorkerMessage): boolean {
    return this.#handles[worker].outbox.post(message);
  }

  /** To every serving worker. */
  broadcast(message: WorkerMessage): void {
    for (const worker of this.servingWorkers()) this.order(worker, message);
  }

  /** As above, and to those that come up later. A drain is answered anew by each worker. */
  orderEnd(order: EndOrder): void {
    this.#endOrders.push(order);
    if (order.type === 'drain') for (const handle of this.#handles) handle.isDrained = false;
    this.broadcast(order);
  }

  requestReport<Kind extends keyof ReportRows>(kind: Kind, filter: string): Promise<ReportRows[Kind][]> {
    const post = (worker: number, message: WorkerMessage) => this.order(worker, message);
    return this.#reports.request(kind, this.servingWorkers(), post, filter);
  }

  /** As above; null when a worker has not answered in time. One that has crashed has nothing to report. */
  requestWholeReport<Kind extends keyof ReportRows>(kind: Kind): Promise<ReportRows[Kind][] | null> {
    const post = (worker: number, message: WorkerMessage) => this.order(worker, message);
    return this.#reports.requestWhole(kind, this.liveWorkers(), post);
  }

  /** From now on a task that ends is not started again. */
  beginStop(): void {
    this.#isStopping = true;
    this.#heartbeats.stop();
    for (const handle of this.#handles) {
      if (handle.restartTimer !== null) clearTimeout(handle.restartTimer);
      handle.restartTimer = null;
    }
  }

  /** Resolves true when every worker has drained or ended, false after `deadlineMs` (0 = none) or when `isGivenUp` turns true. */
  waitDrained(deadlineMs: number, isGivenUp: () => boolean): Promise<boolean> {
    // One that is still starting has no clients.
    const isDone = (): boolean =>
      this.#handles.every((handle) => handle.isDrained || handle.phase !== 'serving');
    return this.#changes.until(() => isDone() || isGivenUp(), deadlineMs).then(isDone);
  }

  waitEnded(deadlineMs: number): Promise<boolean> {
    return this.#changes.until(() => this.#handles.every((handle) => this.#hasEnded(handle)), deadlineMs);
  }

  /** Lets whoever waits look again: something outside the fleet has changed. */
  wake(): void {
    this.#changes.look();
  }

  /** Ends the threads, whatever they do, and closes what they leave. Idempotent. */
  async destroy(): Promise<void> {
    this.beginStop();
    this.#isDestroyed = true;
    await this.#pool.destroy();
    for (const handle of this.#handles) {
      handle.phase = 'stopped';
      handle.outbox.clear();
      await cleanUpAfter(this.#memory, handle.worker);
      this.#memory.workers.setState(handle.worker, WORKER_STOPPED);
      if (this.#memory.mailboxes.eventFd(handle.worker) === -1) continue;
      this.#memory.mailboxes.setEventFd(handle.worker, -1);
      close(handle.eventFd);
    }
  }

  #startTask(handle: WorkerHandle): void {
    const { memory, ioDriver, testHooks } = this.#options;
    const { worker, eventFd } = handle;
    const { port1, port2 } = new MessageChannel();
    handle.phase = 'starting';
    memory.workers.setState(worker, WORKER_STARTING);
    memory.workers.setHeartbeatMs(worker, Date.now());
    port1.on('message', (message: SupervisorMessage) => this.#onMessage(handle, message));
    const task: ServeTask = { worker, handles: memory.handles, port: port2, eventFd, ioDriver, testHooks };
    const ended = (error: Error | null): void => {
      // What it wrote last (a log line with the reason) is read before the port goes.
      setImmediate(() => port1.close());
      void this.#onTaskEnd(handle, error);
    };
    this.#pool.run(task, { transferList: [port2] }).then(
      () => ended(null),
      (error: Error) => ended(error),
    );
  }

  async #onTaskEnd(handle: WorkerHandle, error: Error | null): Promise<void> {
    const { worker } = handle;
    // A thread that is ended by us rejects its task as well; destroy() clears up after it.
    if (this.#isDestroyed || (this.#isStopping && error === null)) {
      handle.phase = 'stopped';
      this.#memory.workers.setState(worker, WORKER_STOPPED);
      this.wake();
      return;
    }
    const backOffMs = handle.onCrash(Date.now());
    this.#memory.workers.setState(worker, WORKER_CRASHED);
    const reason = error?.message ?? 'its task ended unasked';
    this.#logger.log('error', 'worker_crashed', `worker ${worker} crashed: ${reason}`, {
      worker,
      stack: error?.stack === undefined ? null : sourceTrace(error.stack),
    });
    if (this.#isStarting) this.#startFailure ??= error ?? new Error(reason);
    const report = await cleanUpAfter(this.#memory, worker);
    this.#reports.onWorkerGone(worker);
    this.#adminWaits.onWorkerGone(worker);
    // It may have died between marking a wake as sent and sending it; and what it gave back is there to claim.
    for (const other of this.#handles) if (other !== handle) writeEventFd(other.eventFd);
    this.wake();
    if (this.#isStopping || this.#startFailure !== null) return;
    const text = `worker ${worker} starts again in ${backOffMs} ms`;
    this.#logger.log('info', 'worker_restart', text, { worker, backOffMs, ...report });
    handle.restartTimer = setTimeout(() => void this.#restart(handle), backOffMs);
  }

  async #restart(handle: WorkerHandle): Promise<void> {
    handle.restartTimer = null;
    while (!this.#memory.mailboxes.open(handle.worker)) await sleep(10);
    if (this.#isStopping) return;
    this.#memory.workers.countRestart(handle.worker);
    this.#startTask(handle);
  }

  #onMessage(handle: WorkerHandle, message: SupervisorMessage): void {
    switch (message.type) {
      case 'ready':
        if (handle.phase !== 'starting') return;
        handle.onReady(message, Date.now());
        logReady(this.#logger, handle);
        for (const order of this.#endOrders) this.order(handle.worker, order);
        this.wake();
        this.#options.onServing(handle.worker);
        return;
      case 'log':
        logLines(this.#logger, handle.worker, message);
        return;
      case 'adminQuery':
        void this.#answer(handle, message);
        return;
      case 'adminCancel':
        this.#adminWaits.giveUp(handle.worker, message.generation, message.isGone ? 'gone' : 'cancelled');
        return;
      case 'authRequest':
        void this.#answerAuth(handle, message);
        return;
      case 'tenantMissing':
        this.#options.onTenantMissing?.(message.database);
        return;
      case 'report':
        this.#reports.onReport(message);
        return;
      case 'peerNameRequest':
        void this.#answerPeerName(handle, message.uid);
        return;
      case 'listeners':
      case 'listenQuestion':
        this.#options.onPubSub(message);
        return;
      case 'catalogWanted':
        this.#options.onCatalogWanted?.(message);
        return;
      case 'keysWanted':
        this.#options.onKeysWanted?.(message);
        return;
      case 'nodeWanted':
        this.#options.onNodeWanted?.(message);
        return;
      case 'drained':
        handle.isDrained = true;
        this.wake();
        return;
      default:
        this.#logger.log('error', 'unknown_message', 'unknown message from a worker', {
          worker: handle.worker,
        });
    }
  }

  async #answer(handle: WorkerHandle, message: AdminQueryMessage): Promise<void> {
    const restarts = this.#memory.workers.restarts(handle.worker);
    const { onAdminQuery } = this.#options;
    const replies = await this.#adminWaits.during(message, (signal) =>
      answerAdminQuery(message, onAdminQuery, this.#logger, signal),
    );
    // The session it was for is gone with the thread that had it.
    if (handle.phase !== 'serving' || this.#memory.workers.restarts(handle.worker) !== restarts) return;
    for (const reply of replies) handle.outbox.post(reply);
  }

  async #answerPeerName(handle: WorkerHandle, uid: number): Promise<void> {
    const name = await userNameInTime(uid);
    // After a restart nobody waits for it, and it does no harm.
    if (handle.phase === 'serving') handle.outbox.post({ type: 'peerName', uid, name });
  }

  async #answerAuth(handle: WorkerHandle, message: AuthRequestMessage): Promise<void> {
    const restarts = this.#memory.workers.restarts(handle.worker);
    const reply = await this.#options.onAuthRequest(message);
    if (handle.phase !== 'serving' || this.#memory.workers.restarts(handle.worker) !== restarts) return;
    handle.outbox.post(reply);
  }

  #hasEnded({ phase }: WorkerHandle): boolean {
    return phase === 'stopped' || phase === 'crashed';
  }
}
