/**
 * A whole worker in this thread, between simulated servers and clients, with a simulated clock: everything
 * follows from the seed. Throws at the first thing that must not be.
 */
import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import {
  createSharedMemory,
  type SqlParser,
  SUPERVISOR_PRODUCER,
  type SupervisorMessage,
} from '@pgdog-cluster/core';
import {
  KernelMemory,
  Loop,
  libc,
  makeContext,
  openStreamSocket,
  PlanCache,
  type WorkerContext,
} from '@pgdog-cluster/worker';
import { buildSnapshot } from 'pgdog-cluster';
import { load } from '../../support/load-configuration.js';
import { FuzzRandom } from '../fuzz-random.js';
import { HonestClient, HostileClient, SIM_DATABASE, SIM_PASSWORD, SIM_USER } from './sim-clients.js';
import { SimDriver, type SimPeer } from './sim-driver.js';
import { SimPostgres } from './sim-postgres.js';

const BUFFERS = { bigCount: 512, smallCount: 512 };
/** Turns without any event after which everybody waits for a timer. */
const QUIET_TURNS = 12;
const TURNS_MAX = 60_000;
const QUIET_STEP_MS = 60;

export interface WorldOptions {
  seed: number;
  authType: 'trust' | 'md5' | 'scram';
  poolerMode: 'transaction' | 'session' | 'statement';
  honest: number;
  hostile: number;
  exchanges: number;
  /** One server answer in so many is a lie; 0 = never. */
  lieOneIn: number;
}

const kernelMemories: KernelMemory[] = [];

export class SimWorld {
  private readonly options: WorldOptions;
  private readonly random: FuzzRandom;
  private readonly parser: SqlParser;
  private readonly honest: HonestClient[] = [];
  private readonly hostile: HostileClient[] = [];
  private readonly clients = new Map<number, SimPeer>();
  private readonly told: SupervisorMessage[] = [];
  private readonly logged: string[] = [];
  private nowMs = 1000;
  private turns = 0;
  private quietTurns = 0;
  private phase: 'playing' | 'leaving' | 'ending' = 'playing';

  constructor(options: WorldOptions, parser: SqlParser) {
    this.options = options;
    this.random = new FuzzRandom(options.seed);
    this.parser = parser;
  }

  async run(): Promise<void> {
    const { now } = performance;
    const { random } = Math;
    performance.now = () => this.nowMs;
    Math.random = () => this.random.next() / 0x1_0000_0000;
    try {
      await this.play();
    } finally {
      performance.now = now;
      Math.random = random;
    }
  }

  private async play(): Promise<void> {
    const { authType, poolerMode, lieOneIn } = this.options;
    const loaded = load({
      config:
        `[general]\nauth_type = "${authType}"\npooler_mode = "${poolerMode}"\nmin_pool_size = 0\ncheckout_timeout = 600000\n` +
        `rollback_timeout = 3000\nconnect_timeout = 2000\nlog_connections = false\nlog_disconnections = false\nidle_timeout = 600000\n` +
        `client_login_timeout = 600000\nquery_timeout = ${lieOneIn > 0 ? 4000 : 0}\n` +
        `[[databases]]\nname = "${SIM_DATABASE}"\nhost = "127.0.0.1"\ntls_verify = "disabled"\npool_size = ${poolerMode === 'session' ? 8 : 2}\n`,
      users: `[[users]]\nname = "${SIM_USER}"\ndatabase = "${SIM_DATABASE}"\npassword = "${SIM_PASSWORD}"\n`,
    });
    const config = await buildSnapshot(loaded, 1);
    const shared = createSharedMemory({ workers: 1, poolsMax: 4, fdMax: 65_536 });
    shared.capacity.setPoolLimit(0, config.pools[0]?.poolSize ?? 1);
    shared.routing.publish(config);
    const memory = kernelMemories.pop() ?? new KernelMemory(BUFFERS);
    const driver = new SimDriver(memory, this.random, (fd) => this.peerAt(fd));
    const context = this.makeContext(driver, shared);
    // What the worker keeps for itself is taken by now.
    const freeBefore = memory.bigFreeCount;
    const smallBefore = memory.smallFreeCount;
    const loop = new Loop(context, false);
    driver.onAwake = () => loop.tick();
    driver.onTurn = () => this.step(context, driver, loop);
    this.openClients(context);
    loop.tick();
    await loop.run();
    this.settle(context, driver);
    memory.checkInvariants();
    assert.equal(memory.bigFreeCount, freeBefore, 'big buffers are lost');
    assert.equal(memory.smallFreeCount, smallBefore, 'small buffers are lost');
    assert.equal(context.sessions.count, 0, 'sessions are left');
    assert.equal(shared.fds.owned(0).length, 0, 'descriptors are left');
    assert.equal(shared.capacity.clientsClaimed(), 0, 'claims of clients are left');
    assert.equal(shared.capacity.totalClaimed(), 0, 'claims of server connections are left');
    if (lieOneIn === 0) this.checkLog();
    context.tls.destroy();
    // A worker's own buffers stay taken: a mapping is good for so many workers.
    if (memory.smallFreeCount > BUFFERS.smallCount / 2) kernelMemories.push(memory);
  }

  /** A number is reused after close(2): each client is at its own once. */
  private peerAt(fd: number): SimPeer {
    const client = this.clients.get(fd);
    this.clients.delete(fd);
    return client ?? new SimPostgres({ random: this.random, lieOneIn: this.options.lieOneIn });
  }

  private makeContext(driver: SimDriver, shared: ReturnType<typeof createSharedMemory>): WorkerContext {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    const task = {
      worker: 0,
      handles: shared.handles,
      port: port1,
      eventFd: -1,
      ioDriver: 'auto' as const,
      testHooks: false,
    };
    const context = makeContext(task, driver, new PlanCache(this.parser, 500, 1 << 20), this.parser);
    context.log = (_level, code, message) => {
      this.logged.push(`${code}: ${message}`);
    };
    context.tell = (message) => {
      this.told.push(message);
    };
    return context;
  }

  private openClients(context: WorkerContext): void {
    const { honest, hostile, exchanges, lieOneIn } = this.options;
    for (let number = 0; number < honest + hostile; number++) {
      const client =
        number < honest
          ? new HonestClient(this.random, number, { exchanges, isLenient: lieOneIn > 0 })
          : new HostileClient(this.random, number);
      if (client instanceof HonestClient) this.honest.push(client);
      else this.hostile.push(client);
      const fd = openStreamSocket(libc.AF_INET);
      this.clients.set(fd, client);
      context.memory.mailboxes.post(SUPERVISOR_PRODUCER, 0, {
        type: 'newClient',
        fd,
        addr: '127.0.0.1',
        port: number,
      });
    }
  }

  /** Once a turn: clients act, time goes on, and the play comes to its end. */
  private step(context: WorkerContext, driver: SimDriver, loop: Loop): void {
    this.turns++;
    this.nowMs += 1;
    let isActive = false;
    for (const client of [...this.honest, ...this.hostile]) isActive = client.step() || isActive;
    for (const message of this.told.splice(0)) {
      isActive = true;
      if (message.type !== 'adminQuery') continue;
      const bytes = Buffer.from('4300000009' + '53484f5700', 'hex');
      const { slot, generation } = message;
      context.memory.mailboxes.post(SUPERVISOR_PRODUCER, 0, {
        type: 'adminReply',
        slot,
        generation,
        bytes,
        isLast: true,
      });
    }
    for (const socket of driver.sockets.values()) {
      isActive ||=
        socket.toProxy.length > 0 ||
        socket.sending !== null ||
        socket.isDetaching ||
        socket.connecting !== 'no';
    }
    this.quietTurns = isActive ? 0 : this.quietTurns + 1;
    if (this.quietTurns >= QUIET_TURNS) this.nowMs += QUIET_STEP_MS;
    if (this.turns > TURNS_MAX) throw new Error(`no end after ${TURNS_MAX} turns: ${this.describe(context)}`);
    if (this.quietTurns >= QUIET_TURNS) this.nextPhase(context, driver, loop);
  }

  private nextPhase(context: WorkerContext, driver: SimDriver, loop: Loop): void {
    if (this.phase === 'playing') {
      for (const client of this.hostile) client.leave();
      for (const socket of driver.sockets.values()) socket.isPeerStalled = false;
      this.phase = 'leaving';
      this.quietTurns = 0;
      return;
    }
    if (this.phase === 'leaving') {
      // Whoever is honest gets served in the end, though time-outs of ours may have to run out first.
      if (!this.honest.every(({ isDone }) => isDone)) return;
      for (const client of this.honest) if (!client.isClosed) client.end();
      this.phase = 'ending';
      this.quietTurns = 0;
      return;
    }
    const isClean = [...context.pools.values()].every((pool) =>
      [...pool.all].every(({ state }) => state === 'idle'),
    );
    if (isClean && context.sessions.count === 0) loop.cut();
  }

  /** Servers hang up; what is detached is told so. */
  private settle(context: WorkerContext, driver: SimDriver): void {
    for (const pool of context.pools.values()) for (const server of [...pool.all]) pool.close(server);
    for (const socket of driver.sockets.values()) socket.end();
    driver.onTurn = () => undefined;
    for (let turn = 0; turn < 500 && driver.sockets.size > 0; turn++) {
      context.outputs.flushAll();
      driver.turn();
      this.nowMs += 100;
      context.deadlines.check(context.nowMs + turn * 1000);
    }
    assert.equal(driver.sockets.size, 0, 'sockets are left');
  }

  /** Servers told the truth: nothing may look like a lie. */
  private checkLog(): void {
    const bad = this.logged.filter((line) => /^(out_of_sync|internal|server_protocol): /.test(line));
    assert.deepEqual(bad, [], 'an honest server was taken for a liar');
  }

  private describe(context: WorkerContext): string {
    const servers = [...context.pools.values()].flatMap((pool) =>
      [...pool.all].map(
        (server) => `${server.state}/${String.fromCharCode(server.readyStatus)}/${server.pending.length}`,
      ),
    );
    const left = this.honest.filter(({ isDone }) => !isDone).map(({ token, done }) => `${token}:${done}`);
    return `${this.phase}, ${context.sessions.count} sessions, servers ${servers.join(' ')}, honest ${left.join(' ')}`;
  }
}
