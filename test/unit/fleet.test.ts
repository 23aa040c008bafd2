/** The fleet with fake workers; over 400 lines: all of its tests share one rig. */
import assert from 'node:assert/strict';
import { fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ConfigSnapshot, PgDogError } from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { Supervisor } from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';
import { load } from '../support/load-configuration.js';
import { PATIENCE_MS, soon } from '../support/patience.js';

const SERVE_FILE = fileURLToPath(new URL('../support/fake-serve.js', import.meta.url));

interface Rig {
  supervisor: Supervisor;
  logger: FakeLogger;
  port: number;
}

const rigs: Rig[] = [];
const sockets: Socket[] = [];
/** Of files by which deaf workers hear again. */
const folder = mkdtempSync(join(tmpdir(), 'pgdog-fleet-'));
after(async () => {
  for (const socket of sockets) socket.destroy();
  for (const { supervisor } of rigs) await supervisor.cut();
  rmSync(folder, { recursive: true });
});

function configuration(workers: number, listen: string[] = ['127.0.0.1:6432']): LoadedConfig {
  const urls = ['postgres://app:secret@127.0.0.1:1/shop?pool_size=100'];
  const loaded = load({ urls, commandLine: { workers, listen } });
  // Any free port: not something a configuration can say.
  return {
    ...loaded,
    listen: loaded.listen.map(({ host, port }) => ({ host, port: port === 6432 ? 0 : port })),
  };
}

async function makeSnapshot(loaded: LoadedConfig, epoch: number): Promise<ConfigSnapshot> {
  const none = { reservePoolSize: 0, databaseServersMax: 0, userServersMax: 0 };
  const free = { databaseClientsMax: 0, userClientsMax: 0 };
  const pool = { index: 0, database: 'shop', user: 'app', poolSize: 100, ...none, ...free };
  const tcp = {
    keepalive: true,
    keepaliveTimeS: 7,
    keepaliveIntervalS: 0,
    keepaliveRetries: 0,
    userTimeoutMs: 0,
    // The fake worker speaks first.
    deferAcceptS: 0,
  };
  const general = {
    shutdownTimeoutMs: loaded.general.shutdown_timeout,
    shutdownTerminationTimeoutMs: 0,
    maxClientConn: 0,
    maxServerConn: 0,
  };
  const nothing = { databases: [], hosts: [], users: [], clusters: [] };
  return { epoch, ...nothing, pools: [pool], general, tcp } as unknown as ConfigSnapshot;
}

function make(loaded: LoadedConfig): { supervisor: Supervisor; logger: FakeLogger } {
  const logger = new FakeLogger();
  return {
    logger,
    supervisor: new Supervisor({ loaded, logger, serveFile: SERVE_FILE, makeSnapshot, testHooks: true }),
  };
}

async function startRig(workers: number): Promise<Rig> {
  const { supervisor, logger } = make(configuration(workers));
  await supervisor.start();
  const rig = { supervisor, logger, port: supervisor.addresses[0].port };
  rigs.push(rig);
  return rig;
}

interface Client {
  socket: Socket;
  worker: number;
  line: string;
}

function client(port: number): Promise<Client> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.once('error', reject);
    socket.once('data', (data) => {
      const line = data.toString();
      resolve({ socket, line, worker: Number(line.split(' ')[1]) });
    });
  });
}

function tell({ supervisor }: Rig, worker: number, text: string): void {
  supervisor.fleet.order(worker, {
    type: 'adminReply',
    slot: 0,
    generation: 0,
    bytes: Buffer.from(text),
    isLast: true,
  });
}

let deafCount = 0;
/** The worker has stopped reading its mail, and does so until what this gives is called. */
async function deafen(rig: Rig, worker: number): Promise<() => void> {
  const file = join(folder, String(++deafCount));
  const { length } = rig.logger.of('deaf');
  tell(rig, worker, `be deaf until ${file}`);
  await until(() => rig.logger.of('deaf').length > length, 'deaf');
  return () => writeFileSync(file, '');
}

async function until(isTrue: () => boolean, what: string, deadlineMs = PATIENCE_MS): Promise<void> {
  const endMs = Date.now() + deadlineMs;
  while (!isTrue()) {
    assert.ok(Date.now() < endMs, `never: ${what}`);
    await sleep(5);
  }
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    socket.on('error', () => {}).once('close', () => resolve());
    socket.resume();
  });
}

const isEven = (counts: readonly number[]) => Math.min(...counts) >= 5 && Math.max(...counts) <= 16;

/**
 * A thread that others keep from its core takes fewer of those that come at once: again then, three times at most, each
 * time with workers that have none yet (a worker that got few would get the more in the next round).
 */
async function spreadClients() {
  for (let round = 1; ; round++) {
    const rig = await startRig(4);
    const clients = await Promise.all(Array.from({ length: 40 }, () => client(rig.port)));
    const counts = [0, 1, 2, 3].map((worker) => clients.filter((one) => one.worker === worker).length);
    if (isEven(counts) || round === 3) return { rig, clients, counts };
  }
}

test('four workers come up, and clients spread evenly with their addresses', async () => {
  const { rig, clients, counts } = await spreadClients();
  assert.equal(rig.supervisor.ioDriver, 'epoll');
  assert.ok(isEven(counts), `clients of the workers: ${counts}`);
  const { socket, line } = clients[0];
  assert.equal(line.trim().split(' ').slice(2).join(':'), `127.0.0.1:${socket.localPort}`);
});

test('the least loaded worker gets the next client', async () => {
  const rig = await startRig(3);
  const { workers } = rig.supervisor.memory;
  workers.setClients(0, 50);
  workers.setClients(1, 20);
  workers.setClients(2, 60);
  const clients = [];
  for (let n = 0; n < 3; n++) {
    clients.push((await client(rig.port)).worker);
    workers.setClients(1, 20 + n);
  }
  assert.deepEqual(clients, [1, 1, 1]);
});

test('a worker that does not read its mail gets no more than its share of a burst', async () => {
  const rig = await startRig(2);
  const { fds } = rig.supervisor.memory;
  const ownedCount = (): number => fds.owned(0).length + fds.owned(1).length;
  const before = ownedCount();
  const hear = await deafen(rig, 0);
  const coming = Promise.all(Array.from({ length: 20 }, () => client(rig.port)));
  await until(() => ownedCount() === before + 20, 'all have been given to a worker');
  hear();
  const clients = await coming;
  const deaf = clients.filter(({ worker }) => worker === 0).length;
  assert.ok(deaf >= 5 && deaf <= 14, `${deaf}`);
});

for (const [order, reason] of [
  ['throw', 'crash ordered by a test'],
  ['exit', 'exited with code: 7'],
  ['leave', 'ended unasked'],
  ['throw outside', 'outside the task'],
]) {
  test(`a worker that ends by "${order}" is cleared up and started again; others go on`, async () => {
    const rig = await startRig(2);
    const { memory, fleet } = rig.supervisor;
    const clients = await Promise.all(Array.from({ length: 24 }, () => client(rig.port)));
    const victims = clients.filter(({ worker }) => worker === 1);
    const owned = memory.fds.owned(1);
    const count = victims.length;
    assert.ok(count > 0, 'an even spread leaves none without');
    assert.deepEqual([owned.length, memory.capacity.claimed(0)], [count + 1, clients.length]);
    if (order === 'throw') rig.supervisor.crashWorker(1);
    else tell(rig, 1, order);
    await Promise.all(victims.map(({ socket }) => ended(socket)));
    await until(() => memory.workers.restarts(1) === 1 && fleet.isServing(1), 'served again');
    assert.ok(
      rig.logger.of('worker_crashed')[0].message.includes(reason),
      rig.logger.of('worker_crashed')[0].message,
    );
    const left = clients.length - count;
    assert.deepEqual([memory.capacity.claimed(0), memory.capacity.claimedBy(1, 0)], [left, 0]);
    assert.equal(memory.capacity.clientsClaimed(), left);
    assert.deepEqual([memory.load.workersWaiting(0), memory.workers.clients(1)], [1, 0]);
    assert.equal(memory.fds.owned(1).length, 1, 'only what the new one opened');
    for (const { socket } of clients.filter(({ worker }) => worker === 0)) assert.ok(!socket.destroyed);
    memory.workers.setClients(0, 100);
    const next = await client(rig.port);
    assert.equal(next.worker, 1, 'it takes clients again');
    assert.equal(memory.workers.restarts(0), 0);
    await rig.supervisor.cut();
  });
}

test('a worker that runs out of heap ends alone', { timeout: 600_000 }, async () => {
  const rig = await startRig(2);
  const { memory, fleet } = rig.supervisor;
  const bystander = await client(rig.port);
  tell(rig, 1 - bystander.worker, 'run out of memory');
  await until(() => rig.logger.of('worker_crashed').length === 1, 'a crash', 500_000);
  await until(() => fleet.servingWorkers().length === 2, 'served again');
  assert.equal(memory.workers.restarts(bystander.worker), 0);
  assert.ok(!bystander.socket.destroyed);
  await rig.supervisor.cut();
});

test('mail of a crashed worker: descriptors in it are closed, nothing can be posted until it is back', async () => {
  const rig = await startRig(2);
  const { memory } = rig.supervisor;
  const hear = await deafen(rig, 0);
  rig.supervisor.crashWorker(0);
  const fd = openSync('/dev/null', 'r');
  assert.ok(memory.mailboxes.post(1, 0, { type: 'cancel', fd, slot: 0, secret: new Uint8Array(4) }));
  assert.equal(memory.fds.owner(fd), 0);
  hear();
  await until(() => rig.logger.of('worker_crashed').length === 1, 'a crash');
  assert.equal(memory.mailboxes.post(1, 0, { type: 'lendRequest', pool: 0, fromWorker: 1 }), false);
  await until(() => rig.logger.of('worker_restart').length === 1, 'cleared up');
  assert.equal(rig.logger.of('worker_restart')[0].fields.droppedMessageCount, 1);
  assert.throws(() => fstatSync(fd), { code: 'EBADF' });
  await until(() => memory.mailboxes.post(1, 0, { type: 'epoch', epoch: 1 }), 'open again');
});

test('crashes in a row wait longer each time', async () => {
  const rig = await startRig(1);
  for (let n = 1; n <= 3; n++) {
    await until(() => rig.supervisor.fleet.isServing(0), 'serving');
    rig.supervisor.crashWorker(0);
    await until(() => rig.logger.of('worker_restart').length === n, `restart ${n}`);
  }
  assert.deepEqual(
    rig.logger.of('worker_restart').map(({ fields }) => fields.backOffMs),
    [100, 200, 400],
  );
});

test('with no worker to serve them clients wait in the backlog and none is lost', async () => {
  const rig = await startRig(1);
  rig.supervisor.crashWorker(0);
  await until(() => !rig.supervisor.fleet.isServing(0), 'crashed');
  const clients = await Promise.all(Array.from({ length: 5 }, () => client(rig.port)));
  assert.deepEqual(
    clients.map(({ worker }) => worker),
    [0, 0, 0, 0, 0],
  );
});

test('a worker keeps the client that the least loaded one has no room in its mailbox for', async () => {
  const rig = await startRig(2);
  const { mailboxes, workers } = rig.supervisor.memory;
  const hear = await deafen(rig, 0);
  const big = {
    type: 'adminReply' as const,
    slot: 0,
    generation: 0,
    bytes: new Uint8Array(60_000),
    isLast: true,
  };
  while (mailboxes.post(-1, 0, big));
  while (mailboxes.post(-1, 0, { type: 'epoch', epoch: 1 }));
  workers.setClients(1, 100);
  assert.equal((await client(rig.port)).worker, 1);
  hear();
});

test('an admin answer arrives whole, in pieces of at most 32 KB, also when it does not fit the mailbox', async () => {
  const rig = await startRig(1);
  rig.supervisor.setAdminQueryHandler(async ({ text }) => {
    if (text === 'fail') throw new Error('secret path');
    return [new Uint8Array(400_000).fill(65), Buffer.from(`the end of ${text}`)];
  });
  tell(rig, 0, 'ask SHOW ALL');
  await until(() => rig.logger.of('answered').length === 1, 'an answer');
  const { sizes, end } = rig.logger.of('answered')[0].fields;
  const pieces = String(sizes).split(' ').map(Number);
  assert.equal(
    pieces.reduce((sum, size) => sum + size, 0),
    400_000 + 'the end of SHOW ALL'.length,
  );
  assert.equal(Math.max(...pieces), 32 * 1024);
  assert.ok(String(end).endsWith('the end of SHOW ALL'));
  tell(rig, 0, 'ask fail');
  await until(() => rig.logger.of('answered').length === 2, 'an error');
  const failure = String(rig.logger.of('answered')[1].fields.end);
  assert.ok(failure.includes('CXX000\0') && failure.includes('SERROR\0'), failure);
  assert.ok(rig.logger.of('admin_failed')[0].message.includes('secret path'));
  assert.ok(!failure.includes('secret path'));
});

test('reports come from all workers; one that hangs or crashed is left out', async () => {
  const rig = await startRig(2);
  assert.deepEqual(await rig.supervisor.requestReport('clients'), []);
  tell(rig, 0, 'stand still');
  const startedMs = performance.now();
  const rows = await soon('an answer without it', rig.supervisor.requestReport('servers'));
  assert.deepEqual(rows, []);
  const tookMs = performance.now() - startedMs;
  // It waits 2 s, and no longer but for a machine that is busy.
  assert.ok(tookMs > 1500 && tookMs < 20_000, `${tookMs}`);
  await soon('a thread that stands still is ended', rig.supervisor.cut());
  assert.equal(rig.logger.of('shutdown_forced').length, 1);
});

test('drain: no new clients, waits for the busy, and a cut ends it at once', async () => {
  const rig = await startRig(2);
  const { socket } = await client(rig.port);
  const drained = rig.supervisor.drain('SIGTERM');
  assert.equal(rig.supervisor.drain('again'), drained);
  await assert.rejects(client(rig.port), { code: 'ECONNREFUSED' });
  await sleep(100);
  assert.deepEqual([rig.supervisor.shutdownPhase, socket.destroyed], ['draining', false]);
  // A busy client would have a minute.
  await soon('the end', rig.supervisor.cut());
  await soon('the end of draining', drained);
  await ended(socket);
  assert.equal(rig.supervisor.shutdownPhase, 'ended');
  assert.deepEqual(
    [0, 1].map((worker) => rig.supervisor.memory.fds.owned(worker).length),
    [0, 0],
  );
});

test('a worker that comes up after the end was ordered is told, and nobody waits for it in vain', async () => {
  const rig = await startRig(2);
  const { fleet } = rig.supervisor;
  const isStarting = (): boolean => fleet.handles[0].phase === 'starting';
  // It answers later than the other is up.
  const hear = await deafen(rig, 1);
  const endMs = Date.now() + PATIENCE_MS;
  for (let crashes = 1; !isStarting() && Date.now() < endMs; crashes++) {
    rig.supervisor.crashWorker(0);
    await until(() => rig.logger.of('worker_restart').length === crashes, 'cleared up');
    // Each turn of the loop: a pause could be longer than it takes, and where others have the core, so can a turn. Then again.
    while (!isStarting() && !fleet.isServing(0) && Date.now() < endMs) await nextTurn();
  }
  assert.ok(isStarting());
  const drained = rig.supervisor.drain('SHUTDOWN', 'clients');
  await until(() => fleet.isServing(0), 'up again');
  assert.equal(rig.supervisor.shutdownPhase, 'draining');
  hear();
  await soon('the end', drained);
  assert.equal(rig.logger.of('shutdown_forced').length, 0);
});

test('drain with nobody there ends by itself', async () => {
  const rig = await startRig(2);
  await rig.supervisor.drain('SIGTERM');
  assert.deepEqual([rig.logger.of('shutdown_forced').length, rig.logger.of('worker_crashed').length], [0, 0]);
});

test('a port in use, a name without address and a foreign address are said by name, and leave nothing open', async () => {
  const rig = await startRig(1);
  for (const [listen, text] of [
    [`127.0.0.1:${rig.port}`, `cannot listen on 127.0.0.1:${rig.port}: the address is already in use`],
    ['192.0.2.1:7001', 'cannot listen on 192.0.2.1:7001: this machine has no such address'],
    ['no.such.name.invalid:7001', 'cannot listen on no.such.name.invalid:7001: the name has no address'],
  ]) {
    const { supervisor } = make(configuration(1, ['127.0.0.1:6432', listen]));
    await assert.rejects(supervisor.start(), (error: PgDogError) => {
      assert.equal(error.message, text);
      assert.equal(error.code, 'configuration');
      assert.notEqual(error.hint, '');
      return true;
    });
    await supervisor.cut();
  }
});

test('a worker that cannot start fails the start with its reason', async () => {
  process.env.FAKE_SERVE_FAIL = '1';
  try {
    const { supervisor } = make(configuration(2));
    await assert.rejects(supervisor.start(), /a worker could not start: no ring to be had/);
  } finally {
    delete process.env.FAKE_SERVE_FAIL;
  }
});
