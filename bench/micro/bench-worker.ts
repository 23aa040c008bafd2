/** A whole worker in this thread, between fake clients and fake servers. */
import { createSharedMemory, type SharedMemory, type SqlParser } from '@pgdog-cluster/core';
import {
  Arrivals,
  AT_REST,
  clusterFor,
  Deadlines,
  Directory,
  Holds,
  KernelMemory,
  KeyDerivation,
  LoginBudget,
  Loop,
  libc,
  Mirrors,
  OutputQueueSet,
  openStreamSocket,
  PeerNames,
  PlanCache,
  Pool,
  PubSub,
  QueryStats,
  SessionTable,
  ShardedDatabases,
  SlowLog,
  StatementRegistry,
  TlsWorker,
  takeUpClusters,
  type WorkerContext,
} from '@pgdog-cluster/worker';
import { benchConfig } from './bench-config.js';
import { FakeDriver } from './fake-driver.js';
import { ByteHash, FakeClient, FakeServer } from './fake-peers.js';

const WORKER = 0;
const SUPERVISOR = -1;
const PLANS_MAX = 5000;
const CATALOG_BYTES = 16 * 1024;
const PLAN_TEXT_BYTES_MAX = 16 * 1024 * 1024;
/** Terminate sent, told so, detached: and one to spare. */
const CLOSING_TURNS = 4;

/** What a bench plays. */
export interface Play {
  clientCount: number;
  poolSize: number;
  /** More than one: statements are read and spread over them. */
  hostCount?: number;
  /** More than one: each statement goes to the shard of its key. */
  shardCount?: number;
  /** Start-up settings of each client by number. */
  settingsOf(client: number): readonly (readonly [string, string])[];
  /** Sent once by each client; null = nothing. */
  first: Uint8Array | null;
  /** Sent by each client round and round. */
  requests: readonly Uint8Array[];
}

export class BenchWorker {
  readonly context: WorkerContext;
  readonly toServers = new ByteHash();
  readonly toClients = new ByteHash();
  private readonly play: Play;
  private readonly driver: FakeDriver;
  private readonly clients = new Map<number, FakeClient>();
  private loop: Loop | null = null;
  private busyClients = 0;

  constructor(play: Play, parser: SqlParser) {
    this.play = play;
    const config = benchConfig(play.poolSize, play.hostCount ?? 1, play.shardCount ?? 1);
    const memory = createSharedMemory({
      workers: 1,
      poolsMax: 4,
      fdMax: 65_536,
      catalogAreaBytes: CATALOG_BYTES,
    });
    for (const { index } of config.pools) memory.capacity.setPoolLimit(index, play.poolSize);
    memory.catalogs.publish(config.catalogs ?? []);
    memory.routing.publish(config);
    const buffers = new KernelMemory({ bigCount: 1024, smallCount: 1024 });
    this.driver = new FakeDriver(buffers, (fd) => this.clients.get(fd) ?? new FakeServer(this.toServers));
    this.context = makeContext(this.driver, memory, parser);
  }

  /** Logs all clients in and has them send what comes first. */
  async open(): Promise<void> {
    const { play } = this;
    for (let i = 0; i < play.clientCount; i++) {
      const fd = openStreamSocket(libc.AF_INET);
      this.clients.set(fd, new FakeClient(this.toClients, play.requests, () => this.clientDone()));
      this.context.memory.mailboxes.post(SUPERVISOR, WORKER, {
        type: 'newClient',
        fd,
        addr: 'fake',
        port: i,
      });
    }
    // One turn takes the clients up; they speak in those that follow.
    let number = 0;
    this.busyClients = play.clientCount;
    await this.runLoop(() => {
      for (const client of this.clients.values()) client.logIn(play.settingsOf(number++));
    });
    const { first } = play;
    if (first !== null) await this.forAll((client) => client.sendFirst(first));
  }

  /** Exchanges until each client has sent all its requests once: after a part of them it may be in a transaction. */
  get round(): number {
    return this.play.clientCount * this.play.requests.length;
  }

  /** Plays `count` exchanges, a multiple of a round. Returns a hash of what went both ways. */
  async exchange(count: number): Promise<number> {
    const countEach = count / this.play.clientCount;
    await this.forAll((client) => client.run(countEach));
    return (Math.imul(this.toServers.value, 31) + this.toClients.value) | 0;
  }

  set isHashing(isOn: boolean) {
    this.toServers.isOn = isOn;
    this.toClients.isOn = isOn;
  }

  close(): void {
    const { context, driver } = this;
    context.sessions.forEach(({ connection }) => {
      connection.close();
    });
    for (const pool of context.pools.values()) for (const server of [...pool.all]) pool.close(server);
    for (let i = 0; i < CLOSING_TURNS; i++) {
      context.outputs.flushAll();
      driver.turn();
    }
    driver.memory.destroy();
  }

  private async forAll(start: (client: FakeClient) => void): Promise<void> {
    this.busyClients = this.clients.size;
    await this.runLoop(() => {
      for (const client of this.clients.values()) start(client);
    });
  }

  private async runLoop(start: () => void): Promise<void> {
    const loop = new Loop(this.context, false);
    this.loop = loop;
    let hasStarted = false;
    this.driver.onAwake = () => {
      loop.tick();
      if (hasStarted || this.context.sessions.count < this.play.clientCount) return;
      hasStarted = true;
      start();
    };
    await loop.run();
  }

  private clientDone(): void {
    this.busyClients--;
    if (this.busyClients === 0) this.loop?.cut();
  }
}

function makeContext(driver: FakeDriver, memory: SharedMemory, parser: SqlParser): WorkerContext {
  const fail = (what: string): never => {
    throw new Error(`the bench did not expect ${what}`);
  };
  const config = memory.routing.read();
  const loginBudget = new LoginBudget();
  const plans = new PlanCache(parser, PLANS_MAX, PLAN_TEXT_BYTES_MAX);
  const context: WorkerContext = {
    worker: WORKER,
    driver,
    outputs: new OutputQueueSet(driver.memory),
    memory,
    plans,
    queries: new QueryStats(plans),
    parser,
    statements: new StatementRegistry(),
    tls: new TlsWorker(driver.memory, loginBudget),
    loginBudget,
    sessions: new SessionTable(),
    ...AT_REST,
    pools: new Map(),
    clusters: new Map(),
    deadlines: new Deadlines(),
    vacating: new Map(),
    peerNames: new PeerNames(),
    holds: new Holds(),
    config,
    directory: new Directory(config),
    derivation: new KeyDerivation(),
    nowMs: Date.now(),
    nowUs: 0,
    hungryPools: new Set(),
    get arrivals() {
      return arrivals;
    },
    get pubSub() {
      return pubSub;
    },
    get mirrors() {
      return mirrors;
    },
    get sharded() {
      return sharded;
    },
    get slow() {
      return slow;
    },
    flushLog() {},
    linger() {},
    countAuthAttempt() {},
    post: (target, message) => memory.mailboxes.post(WORKER, target, message),
    tell: (message) => fail(`a message to the supervisor: ${message.type}`),
    log: (_level, code, message) => fail(`a log line: ${code}: ${message}`),
    forgetFd: (fd) => memory.fds.clear(fd),
    closeFd: (fd) => fail(`the descriptor ${fd} to be left over`),
    poolFor(snapshot) {
      clusterFor(context, snapshot.database, snapshot.user);
      const pool = context.pools.get(snapshot.index) ?? new Pool(context, snapshot);
      context.pools.set(snapshot.index, pool);
      return pool;
    },
    clusterFor: (database, user, shard) => clusterFor(context, database, user, shard),
  };
  takeUpClusters(context, () => true);
  const [arrivals, pubSub, mirrors] = [new Arrivals(context), new PubSub(context), new Mirrors(context)];
  const sharded = new ShardedDatabases(context);
  const slow = new SlowLog(context);
  return context;
}
