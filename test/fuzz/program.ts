/**
 * The whole program under fire: a real proxy with one worker, hostile clients over TCP, a fake server that lies
 * now and then, and honest clients beside them who must notice nothing they would not notice of a server that fails.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { TestDriver } from '../support/drivers.js';
import { Q, startupPacket } from '../support/frames.js';
import { PATIENCE_MS } from '../support/patience.js';
import type { TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import { clientOf, eventually, sleep, startWireProxy } from '../support/wire.js';
import { mutate } from './byte-mutations.js';
import { caseSeed, FuzzRandom } from './fuzz-random.js';
import { conversation, FRONTEND_MAKERS, passwordMessage, STARTUP_MAKERS } from './message-grammar.js';
import { foreignTokens, tokenOf } from './simulation/sim-clients.js';
import { SimPostgres } from './simulation/sim-postgres.js';

const HONEST = 2;
const HOSTILE_AT_ONCE = 8;
/** A cut-off frame is waited for by both sides: then it is the hostile client that goes. */
const STAY_MS = 25;
const RESIDENT_GROWTH_MAX = 256 * 1024 * 1024;

export interface ProgramOptions {
  driver: TestDriver;
  seed: number;
  milliseconds: number;
  /** One answer in so many is a lie; 0 = never. */
  lieOneIn: number;
}

function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * 4096;
}

/** A reset of a socket that is shutting down is refused by libuv, and its handle would live for ever. */
function vanish(socket: Socket, isReset: boolean): void {
  if (isReset && !socket.writableEnded && !socket.readableEnded) socket.resetAndDestroy();
  else socket.destroy();
}

/** Simulated servers behind a real port. */
class SimServer {
  lieOneIn = 0;
  random = new FuzzRandom(0);
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((socket) => this.accept(socket));

  async start(): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const address = this.server.address();
    return { host: '127.0.0.1', port: address !== null && typeof address === 'object' ? address.port : 0 };
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  private accept(socket: Socket): void {
    this.sockets.add(socket);
    socket.setNoDelay(true);
    const peer = new SimPostgres(this);
    peer.attach({
      say: (bytes) => void (socket.writable && socket.write(bytes)),
      end: () => socket.end(),
      reset: () => vanish(socket, true),
    });
    socket.on('data', (bytes) => peer.receive(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      peer.closed();
      this.sockets.delete(socket);
    });
  }
}

/** Asks for its own token again and again; an error or a lost connection is borne where servers lie. */
class Witness {
  answers = 0;
  private isOver = false;
  private readonly token: string;
  private readonly proxy: TestProxy;
  private readonly isLenient: boolean;
  readonly done: Promise<void>;

  constructor(proxy: TestProxy, number: number, isLenient: boolean) {
    this.proxy = proxy;
    this.token = tokenOf(number);
    this.isLenient = isLenient;
    this.done = this.run();
  }

  async stop(): Promise<void> {
    this.isOver = true;
    await this.done;
  }

  private async run(): Promise<void> {
    while (!this.isOver) {
      let client: RawClient | null = null;
      try {
        client = await clientOf(this.proxy, { timeoutMs: this.isLenient ? 8000 : PATIENCE_MS });
        for (let round = 0; !this.isOver; round++) await this.ask(client, round);
        await client.end();
      } catch (error) {
        if (!this.isLenient) throw error;
        const foreign = foreignTokens(Buffer.concat(client?.received ?? []), this.token);
        assert.deepEqual(foreign, [], `${this.token} was sent bytes of another`);
        client?.destroy();
        await sleep(5);
      }
    }
  }

  private async ask(client: RawClient, round: number): Promise<void> {
    const sql = `SELECT '${this.token}-${round}'`;
    const { rows, error } = await client.query(sql, this.isLenient ? 8000 : PATIENCE_MS);
    assert.deepEqual(
      foreignTokens(Buffer.concat(client.received), this.token),
      [],
      `${this.token} was sent bytes of another`,
    );
    client.received = [];
    if (this.isLenient) return;
    assert.equal(error, null);
    assert.deepEqual(rows, [[sql]]);
    this.answers++;
  }
}

/** One hostile connection from beginning to end. */
async function attack(proxy: TestProxy, random: FuzzRandom, number: number): Promise<void> {
  const token = tokenOf(number);
  const isLoggedIn = !random.oneIn(3);
  const client = isLoggedIn
    ? await clientOf(proxy, { timeoutMs: 3000 }).catch(() => null)
    : await RawClient.open({ port: proxy.port });
  // Servers that lie refuse logins as well.
  if (client === null) return;
  const marked = Q(`SELECT '${token}'`);
  const bytes = isLoggedIn
    ? mutate(random, Buffer.concat([marked, conversation(random, FRONTEND_MAKERS, 12), marked]))
    : mutate(
        random,
        Buffer.concat([
          random.pick([
            startupPacket({ user: 'postgres', database: 'postgres' }),
            ...STARTUP_MAKERS.map((make) => make(random)),
          ]),
          passwordMessage(random),
        ]),
      );
  for (const piece of random.oneIn(2) ? [bytes] : random.pieces(bytes).slice(0, 20)) {
    client.send(piece);
    if (random.oneIn(3)) await sleep(1);
  }
  await Promise.race([client.expectClosed(1000).catch(() => undefined), sleep(random.below(STAY_MS))]);
  assert.deepEqual(
    foreignTokens(Buffer.concat(client.received), token),
    [],
    `${token} was sent bytes of another`,
  );
  vanish(client.socket, random.oneIn(2));
}

/** After a batch: the worker is the same, an ordinary client is served, everything is given back. */
async function inspect(proxy: TestProxy, servers: SimServer, honestCount: number): Promise<void> {
  const workers = await proxy.adminQuery('SHOW WORKERS');
  assert.deepEqual(
    workers.map((row) => [row['state'], row['restarts']]),
    [['serving', '0']],
    proxy.output.slice(-4000),
  );
  assert.ok(Number(workers[0]?.['heartbeat_age_ms']) < 5000, 'the worker hangs');
  servers.lieOneIn = 0;
  await eventually('an ordinary client is served', async () => {
    const client = await clientOf(proxy).catch(() => null);
    const rows =
      client === null
        ? []
        : await client.query('SELECT ordinary').then(
            (result) => result.rows,
            () => [],
          );
    client?.destroy();
    return rows[0]?.[0] === 'SELECT ordinary';
  });
  await eventually('all clients but the honest are forgotten', async () => {
    const clients = (await proxy.adminQuery('SHOW CLIENTS')).filter((row) => row['database'] !== 'admin');
    return clients.length <= honestCount;
  });
}

/** Returns how many hostile connections there were. */
export async function runProgram({ driver, seed, milliseconds, lieOneIn }: ProgramOptions): Promise<number> {
  const servers = new SimServer();
  const proxy = await startWireProxy(await servers.start(), driver, {
    database: { pool_size: 3 },
    general: {
      // Honest servers answer, whatever a busy machine takes for it.
      query_timeout: lieOneIn > 0 ? 5000 : 60_000,
      rollback_timeout: 1000,
      client_idle_in_transaction_timeout: 1000,
      client_login_timeout: 2000,
      connect_timeout: 1000,
      checkout_timeout: 20_000,
    },
  });
  const witnesses: Witness[] = [];
  let count = 0;
  try {
    for (let number = 0; number < HONEST; number++) witnesses.push(new Witness(proxy, number, lieOneIn > 0));
    const endMs = performance.now() + milliseconds;
    let residentBefore = 0;
    while (performance.now() < endMs) {
      servers.random = new FuzzRandom(caseSeed(seed, count));
      servers.lieOneIn = lieOneIn;
      const batch = Array.from({ length: HOSTILE_AT_ONCE * 5 }, (_, index) => {
        const random = new FuzzRandom(caseSeed(seed, count + index));
        return () => attack(proxy, random, HONEST + (index % HOSTILE_AT_ONCE));
      });
      await Promise.race([inTurns(batch, HOSTILE_AT_ONCE), ...witnesses.map(({ done }) => done)]);
      count += batch.length;
      await inspect(proxy, servers, HONEST);
      if (residentBefore === 0) residentBefore = residentBytes(proxy.pid);
    }
    const grown = residentBytes(proxy.pid) - residentBefore;
    assert.ok(grown < RESIDENT_GROWTH_MAX, `memory has grown by ${grown} bytes`);
    for (const witness of witnesses) await witness.stop();
    if (lieOneIn === 0 && count > 0)
      assert.ok(
        witnesses.every(({ answers }) => answers > 0),
        'an honest client was never served',
      );
    await checkCounters(proxy);
    if (lieOneIn === 0) {
      const [pool] = await proxy.adminQuery('SHOW POOLS');
      assert.equal(pool?.['out_of_sync'], '0', proxy.output.slice(-4000));
    }
    return count;
  } catch (cause) {
    throw new Error(
      `whole program, ${driver}, seed ${seed}, after ${count} connections: ${(cause as Error).message}`,
      { cause },
    );
  } finally {
    await proxy.stop();
    servers.stop();
  }
}

/** `limit` at a time. */
async function inTurns(tasks: (() => Promise<void>)[], limit: number): Promise<void> {
  const left = [...tasks];
  await Promise.all(
    Array.from({ length: limit }, async () => {
      for (let task = left.shift(); task !== undefined; task = left.shift()) await task();
    }),
  );
}

/** With everybody gone nothing is active, waiting or counted. */
async function checkCounters(proxy: TestProxy): Promise<void> {
  let last: unknown = null;
  await eventually('counters are back to zero', async () => {
    const pools = await proxy.adminQuery('SHOW POOLS');
    const clients = (await proxy.adminQuery('SHOW CLIENTS')).filter((row) => row['database'] !== 'admin');
    last = { pools, clients };
    const isQuiet = pools.every((row) => ['cl_waiting', 'sv_active'].every((name) => row[name] === '0'));
    return isQuiet && clients.length === 0;
  }).catch((cause: unknown) => {
    throw new Error(`counters are not back to zero: ${JSON.stringify(last)}`, { cause });
  });
}
