// A host whose name changes its address while clients use it.
import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { Supervisor, toHostAddress } from 'pgdog-cluster';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { FakeLogger } from '../support/fake-logger.js';
import { Q } from '../support/frames.js';
import { load } from '../support/load-configuration.js';
import { clientOf, eventually, run } from '../support/wire.js';

/** The same server at several addresses, which must have one port. */
class Door {
  readonly sockets = new Set<Socket>();
  #server: Server | undefined;

  async open(address: string, port: number, target: number): Promise<void> {
    const server = createServer((near) => {
      const far = connect(target, '127.0.0.1');
      this.sockets.add(near);
      near.on('error', () => far.destroy()).on('close', () => this.sockets.delete(near));
      far.on('error', () => near.destroy());
      near.pipe(far).pipe(near);
    });
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    this.#server = server;
  }

  close(): void {
    this.#server?.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

let postgres: TestPostgres;
let supervisor: Supervisor;
const [before1, after1] = [new Door(), new Door()];
const logger = new FakeLogger();
let answer: string[] = [];

before(async () => {
  postgres = await startPostgres();
  // One number for both doors, beside the server's own.
  const port = postgres.port === 65_535 ? 1_025 : postgres.port + 1;
  await before1.open('127.0.0.2', port, postgres.port);
  await after1.open('127.0.0.3', port, postgres.port);
  const loaded = load({
    config:
      '[general]\nhost = "127.0.0.1"\nport = 6432\nworkers = 2\ndns_ttl = 20\nmin_pool_size = 0\n' +
      `[[databases]]\nname = "postgres"\nhost = "moving.invalid"\nport = ${port}\n`,
    users: '[[users]]\nname = "postgres"\nall_databases = true\npassword = "postgres"\n',
  });
  loaded.listen = [{ host: '127.0.0.1', port: 0 }];
  supervisor = new Supervisor({
    loaded,
    logger,
    resolve: async () => answer.map((text) => toHostAddress(text, port)),
  });
  await supervisor.start();
});

after(async () => {
  await supervisor?.cut();
  before1.close();
  after1.close();
  await postgres?.stop();
});

async function client(): Promise<pg.Client> {
  const [{ port }] = supervisor.addresses;
  const made = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: 'postgres',
    database: 'postgres',
  });
  await made.connect();
  return made;
}

it('a name that does not resolve yet, then moves: a transaction ends where it began, everything after it goes on there', async () => {
  const waiting = client();
  answer = ['127.0.0.2'];
  const [first, second] = [await waiting, await client()];
  await first.query('BEGIN');
  await second.query('SELECT 1');
  // More may have been opened while the name was not known.
  assert.ok(before1.sockets.size >= 2);
  answer = ['127.0.0.3'];
  await eventually(
    'the idle connection to the old address is closed',
    async () => before1.sockets.size === 1,
  );
  const { rows } = await first.query('SELECT 7 AS seven');
  assert.equal(rows[0].seven, 7);
  await second.query('SELECT 1');
  assert.ok(after1.sockets.size >= 1);
  await first.query('COMMIT');
  await eventually('the other one with its transaction', async () => before1.sockets.size === 0);
  await first.query('SELECT 1');
  assert.equal(logger.of('host_moved').length, 2);
  // What does not resolve now is where it was.
  answer = [];
  await eventually('the loss is told', async () => logger.of('name_lost').length === 1);
  await first.query('SELECT 1');
  await Promise.all([first.end(), second.end()]);
});

it('a cancel goes to the address of the server connection, not to the first of the name', async () => {
  // Nobody listens at the first one: a connect there is in vain.
  const movedCount = logger.of('host_moved').length;
  answer = ['127.0.0.4', '127.0.0.3'];
  await eventually('it has moved', async () => logger.of('host_moved').length > movedCount);
  const [{ port }] = supervisor.addresses;
  const asked = await clientOf({ port });
  await run(asked, 'SELECT 1');
  asked.send(Q('SELECT pg_sleep(30)'));
  await eventually('it runs', async () => {
    const rows = await postgres.query("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)'");
    return rows.length === 1;
  });
  await asked.cancel();
  assert.equal((await asked.readUntilReady()).error?.['C'], '57014');
  await asked.end();
});

it('more addresses than there is room for: the old ones stay, and nothing ends', async () => {
  const asked = await client();
  const text = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  answer = Array.from({ length: 800_000 }, (_, index) => text(index));
  await eventually('the refusal is told', async () => logger.of('host_not_moved').length > 0);
  answer = ['127.0.0.3'];
  assert.match(
    logger.of('host_not_moved')[0].message,
    /^the new addresses of moving\.invalid cannot be taken up, the old ones stay: configuration packs to /,
  );
  await asked.query('SELECT 1');
  await asked.end();
});
