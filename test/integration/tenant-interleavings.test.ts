/** A client comes in the moment in which its database is being forgotten: the order of both is forced. */
import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { Supervisor } from 'pgdog-cluster';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { FakeLogger } from '../support/fake-logger.js';
import { startupPacket } from '../support/frames.js';
import { load } from '../support/load-configuration.js';
import { RawClient } from '../support/raw-client.js';
import { eventually, firstValue } from '../support/wire.js';

/** How long this thread, which is the supervisor's, stands still: a worker needs some ms for a login. */
const STILL_MS = 700;

let server: TestPostgres;
let supervisor: Supervisor;
before(async () => {
  server = await startPostgres({ auth: 'trust' });
  await server.query('CREATE DATABASE tenant_a');
});
after(() => server?.stop());

beforeEach(async () => {
  const loaded = load({
    config:
      '[general]\nhost = "127.0.0.1"\nport = 6432\nworkers = 1\nmin_pool_size = 0\nauth_type = "trust"\n' +
      'idle_timeout = 100\ntenant_idle_timeout = 400\n' +
      `[[databases]]\nname = "tenant_*"\nhost = "${server.host}"\nport = ${server.port}\n`,
    users: '[[users]]\nname = "postgres"\nall_databases = true\n',
  });
  loaded.listen = [{ host: '127.0.0.1', port: 0 }];
  supervisor = new Supervisor({ loaded, logger: new FakeLogger() });
  await supervisor.start();
});
afterEach(() => supervisor.cut());

const made = () => supervisor.tenants.rows()[0].made;
const dropped = () => supervisor.tenants.rows()[0].dropped;
const port = () => supervisor.addresses[0].port;

async function visit(): Promise<string | null> {
  const client = await RawClient.connect({ port: port(), user: 'postgres', database: 'tenant_a' });
  const name = await firstValue(client, 'SELECT current_database()');
  await client.end();
  return name;
}

/** Connected, and nothing sent yet. */
async function arrive(): Promise<Socket> {
  const socket = connect(port(), '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

/** Sends the start-up packet without giving this thread's loop a turn, and lets the worker work on it. */
function logInNow(socket: Socket): void {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  writeSync(fd, startupPacket({ user: 'postgres', database: 'tenant_a' }));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STILL_MS);
}

/** Waits for ReadyForQuery, or the end. */
async function outcome(socket: Socket): Promise<string> {
  let seen = Buffer.alloc(0);
  for await (const chunk of socket) {
    seen = Buffer.concat([seen, chunk as Buffer]);
    if (seen.includes(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) return 'ready';
  }
  return `ended: ${seen.toString('latin1')}`;
}

/** Calls `act` when the sweep closes a pool: before it does, or right after. */
function whenClosing(when: 'before' | 'after', act: () => void): void {
  const { capacity } = supervisor.memory;
  const original = capacity.setPoolClosed.bind(capacity);
  let isDone = false;
  capacity.setPoolClosed = (pool, isClosed) => {
    const isMoment = isClosed && !isDone;
    if (isMoment) isDone = true;
    if (isMoment && when === 'before') act();
    original(pool, isClosed);
    if (isMoment && when === 'after') act();
  };
}

it('after the pool was closed: the database is forgotten and made again, and the client is in', async () => {
  assert.equal(await visit(), 'tenant_a');
  const socket = await arrive();
  whenClosing('after', () => logInNow(socket));
  assert.equal(await outcome(socket), 'ready');
  assert.deepEqual([made(), dropped()], [2, 1]);
  assert.equal(supervisor.tenants.tenants.count, 1);
  assert.equal(await visit(), 'tenant_a');
  socket.destroy();
  await eventually('it is forgotten again', async () => dropped() === 2);
});

it('before the pool was closed: nothing is forgotten', async () => {
  assert.equal(await visit(), 'tenant_a');
  const socket = await arrive();
  whenClosing('before', () => logInNow(socket));
  assert.equal(await outcome(socket), 'ready');
  assert.deepEqual([made(), dropped()], [1, 0]);
  socket.destroy();
  await eventually('it is forgotten when the client has left', async () => dropped() === 1);
});

it('a database that is forgotten while its name is asked for is asked for again', async () => {
  assert.equal(await visit(), 'tenant_a');
  await eventually('it is forgotten', async () => dropped() === 1);
  const names = await Promise.all(Array.from({ length: 20 }, visit));
  assert.deepEqual([...new Set(names)], ['tenant_a']);
  // Where the machine stood still for longer than a tenant is kept, it has been forgotten in between.
  assert.ok(made() <= 1 + dropped(), `by one for all: ${made()} made, ${dropped()} forgotten`);
});
