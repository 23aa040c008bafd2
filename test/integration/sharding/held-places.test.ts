/** Limits over several pools, all of whose places are held by sessions that wait for one more. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import type pg from 'pg';
import { cancelClient } from '../../support/cancel-client.js';
import { crashWorkers } from '../../support/crash-worker.js';
import { driverOfSeed, forOneDriver, type TestDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { ShardServers } from '../../support/shard-servers.js';
import type { TomlTable } from '../../support/toml-text.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = 'CREATE TABLE item (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)';
const TABLES = [{ name: 'item', column: 'id' }];
const ITEMS = 30;
/** Far below checkout_timeout, which would end a wait that nobody else ends. */
const ANSWERED_MS = 10_000;
const ALL = 'UPDATE item SET n = n + 1';
const ONE = `${ALL} WHERE id = $1`;

type PgError = Error & { code?: string; detail?: string; hint?: string };

let servers: ShardServers;
/** A row of each shard. */
let ids: number[];
before(async () => {
  servers = await ShardServers.start(SCHEMA);
  const proxy = await startShardedProxy(servers.direct, driverOfSeed(0) ?? 'epoll', { tables: TABLES });
  const client = await shopClient(proxy);
  const rows = Array.from({ length: ITEMS }, (_, index) => `(${index + 1})`);
  await client.query(`INSERT INTO item (id) VALUES ${rows.join(', ')}`);
  await client.end();
  await proxy.stop();
  ids = [];
  for (const shard of servers.servers.keys()) {
    const [row] = await servers.shard(shard, 'SELECT min(id)::int AS id FROM item');
    ids.push(Number(row?.id));
  }
});
after(() => servers.stop());

const started: TestProxy[] = [];
const connected: pg.Client[] = [];
afterEach(async () => {
  await Promise.all(connected.splice(0).map((client) => client.end().catch(() => undefined)));
  await Promise.all(started.splice(0).map((proxy) => proxy.stop()));
});

async function start(driver: TestDriver, general: TomlTable, workers = 1): Promise<TestProxy> {
  const proxy = await startShardedProxy(servers.gated, driver, {
    tables: TABLES,
    workers,
    general: { default_pool_size: 10, min_pool_size: 0, checkout_timeout: 60_000, ...general },
  });
  started.push(proxy);
  await servers.all('UPDATE item SET n = 0 WHERE n <> 0');
  return proxy;
}

/** One on each worker, in turn. Who has accepted them is left to chance: more are opened than are needed. */
async function clientsOf(proxy: TestProxy, count: number, workers = 1): Promise<pg.Client[]> {
  const opened: { client: pg.Client; worker: number }[] = [];
  const of = (worker: number): pg.Client[] =>
    opened.filter((each) => each.worker === worker).map(({ client }) => client);
  while (opened.length < 40) {
    const client = await shopClient(proxy);
    connected.push(client);
    client.on('error', () => undefined);
    const { stream } = (client as unknown as { connection: { stream: { localPort: number } } }).connection;
    const rows = await proxy.adminQuery<{ port: string; worker: string }>('SHOW CLIENTS');
    const own = rows.find(({ port }) => Number(port) === stream.localPort);
    opened.push({ client, worker: Number(own?.worker) });
    const wanted = Array.from(
      { length: count },
      (_, index) => of(index % workers)[Math.floor(index / workers)],
    );
    if (wanted.every((each) => each !== undefined)) return wanted;
  }
  throw new Error('the workers do not share');
}

async function soon<Value>(what: string, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not in ${ANSWERED_MS} ms`)), ANSWERED_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** What an answer comes to, so that nobody minds a refusal before it is looked at. */
const outcome = (answer: Promise<unknown>): Promise<PgError | null> =>
  answer.then(
    () => null,
    (error: PgError) => error,
  );

/** Server connections of sessions that wait for one more. */
async function held(proxy: TestProxy): Promise<number> {
  const rows = await proxy.adminQuery<{ cell: string; value: string }>('SHOW SHARED_MEMORY');
  const value = rows.find(({ cell }) => cell === 'held waiting')?.value ?? '';
  const sum = /sum (\d+)/.exec(value);
  return sum === null ? value.split(' ').reduce((all, each) => all + Number(each), 0) : Number(sum[1]);
}

const heldBecomes = (proxy: TestProxy, count: number): Promise<void> =>
  eventually(`${count} are held`, async () => (await held(proxy)) === count);

const LIMITS: TomlTable[] = [{ max_user_connections: 3 }, { max_db_connections: 3 }, { max_server_conn: 3 }];

forOneDriver('places held by who waits for one more', (driver) => {
  for (const workers of [1, 2]) {
    for (const limit of LIMITS) {
      const [name] = Object.keys(limit);
      it(`what has run nothing yet gives back, and nobody is told: ${name}, ${workers} workers`, async () => {
        const proxy = await start(driver, limit, workers);
        const [holder, writer] = await clientsOf(proxy, 2, workers);
        await holder.query('BEGIN');
        await holder.query(ONE, [ids[2]]);
        // It has shards 0 and 1, and waits for the third.
        const all = outcome(writer.query(ALL));
        await heldBecomes(proxy, 2);
        await soon('who closes the circle', holder.query(ONE, [ids[1]]));
        await soon('its commit', holder.query('COMMIT'));
        assert.equal(await soon('who has given back', all), null);
        assert.equal(await held(proxy), 0);
        const [{ sum }] = await servers
          .all(`SELECT sum(n)::int AS sum FROM item WHERE id = ${ids[1]}`)
          .then((rows) => rows.filter(({ sum }) => sum !== null));
        assert.equal(sum, 2);
      });
    }

    it(`a transaction that has run something is told, and the other goes on: ${workers} workers`, async () => {
      const proxy = await start(driver, { max_user_connections: 2 }, workers);
      const [one, other] = await clientsOf(proxy, 2, workers);
      await one.query('BEGIN');
      await one.query(ONE, [ids[0]]);
      await other.query('BEGIN');
      await other.query(ONE, [ids[1]]);
      await other.query('SAVEPOINT a');
      // Nothing that is locked.
      const first = outcome(one.query('SELECT n FROM item WHERE id = $1', [ids[1]]));
      await heldBecomes(proxy, 1);
      const second = await soon('who closes the circle', outcome(other.query(ONE, [ids[2]])));
      assert.equal(second?.code, '40P01');
      assert.match(second.message, /^deadlock detected$/);
      assert.match(second.detail ?? '', /max_user_connections = 2.* holds 1 and waits for one of shard 2/s);
      assert.match(second.hint ?? '', /raise the limit above n x \(S - 1\)/);
      // Its places are free before it says so.
      assert.equal(await soon('who goes on', first), null);
      await soon('its commit', one.query('COMMIT'));
      assert.equal((await outcome(other.query(ONE, [ids[2]])))?.code, '25P02');
      assert.equal((await outcome(other.query('ROLLBACK TO a')))?.code, '25P02');
      const { command } = await soon('its end', other.query('COMMIT'));
      assert.equal(command, 'ROLLBACK');
      assert.equal(await held(proxy), 0);
      const rows = await servers.all('SELECT id::int FROM item WHERE n > 0');
      assert.deepEqual(
        rows.map(({ id }) => id),
        [ids[0]],
      );
      await soon('what it asks next', other.query(ONE, [ids[2]]));
    });
  }

  it('who waits no more is not counted: cancelled, gone, out of time', async () => {
    const proxy = await start(driver, { max_user_connections: 3, checkout_timeout: 1_500 });
    const [holder, writer, leaver] = await clientsOf(proxy, 3);
    await holder.query('BEGIN');
    await holder.query(ONE, [ids[0]]);
    await holder.query(ONE, [ids[1]]);
    const cancelled = outcome(writer.query(ALL));
    await heldBecomes(proxy, 1);
    await cancelClient(proxy, writer);
    assert.equal((await soon('the cancelled', cancelled))?.code, '57014');
    assert.equal(await held(proxy), 0);
    const left = outcome(leaver.query(ALL));
    await heldBecomes(proxy, 1);
    const { stream } = (leaver as unknown as { connection: { stream: { destroy(): void } } }).connection;
    stream.destroy();
    await left;
    await heldBecomes(proxy, 0);
    const late = outcome(writer.query(ALL));
    await heldBecomes(proxy, 1);
    assert.equal((await soon('who has no time left', late))?.code, '58000');
    assert.equal(await held(proxy), 0);
    await holder.query('ROLLBACK');
    await soon('what it asks next', writer.query(ALL));
  });

  it('what needs more at a time than a limit allows is refused at once', async () => {
    const proxy = await start(driver, { max_user_connections: 2 });
    const [client] = await clientsOf(proxy, 1);
    const refused = await soon('a statement', outcome(client.query(ALL)));
    assert.equal(refused?.code, '53300');
    assert.match(refused.message, /3 server connections .* max_user_connections = 2/);
    await client.query('BEGIN');
    await client.query(ONE, [ids[0]]);
    await client.query(ONE, [ids[1]]);
    assert.equal((await soon('within a transaction', outcome(client.query(ONE, [ids[2]]))))?.code, '53300');
    await client.query('ROLLBACK');
    // Shards are read one after the other, and none is kept.
    assert.equal((await soon('a read', client.query('SELECT n FROM item'))).rows.length, ITEMS);
  });

  it('two that hold what they cannot give back do not give way to one another for ever', async () => {
    const proxy = await start(driver, { max_user_connections: 3 });
    const clients = await clientsOf(proxy, 2);
    for (const [index, client] of clients.entries()) {
      await client.query('BEGIN');
      await client.query(ONE, [ids[2 * index]]);
    }
    // Each has one of three, and needs two more.
    const answers = clients.map((client) => outcome(client.query('SELECT count(*) FROM item')));
    const told = await soon(
      'one of them',
      Promise.race(answers.map((answer, index) => answer.then((error) => ({ error, index })))),
    );
    assert.equal(told.error?.code, '40P01');
    assert.equal(await soon('the other', answers[1 - told.index]), null);
    for (const client of clients) await client.query('ROLLBACK');
    assert.equal(await held(proxy), 0);
  });

  it('a read whose parts are held until all are there', async () => {
    const proxy = await start(driver, { max_user_connections: 2 });
    const [client] = await clientsOf(proxy, 1);
    const read = outcome(client.query("SELECT id, repeat('x', 500000) FROM item ORDER BY id"));
    const error = await soon('it is told', read);
    assert.equal(error?.code, '40P01');
    assert.match(error.detail ?? '', /holds 2 and waits for one of shard 2/);
    assert.equal(
      (await soon('a short one', client.query('SELECT id FROM item ORDER BY id'))).rows.length,
      ITEMS,
    );
  });

  it('nothing stays of a worker that has crashed', async () => {
    const proxy = await start(driver, { max_user_connections: 3 }, 2);
    const [holder, writer] = await clientsOf(proxy, 2, 2);
    await holder.query('BEGIN');
    await holder.query(ONE, [ids[2]]);
    const lost = outcome(writer.query(ALL));
    await heldBecomes(proxy, 2);
    await crashWorkers(proxy, 1);
    await lost;
    await heldBecomes(proxy, 0);
    await soon('who is left', holder.query(ONE, [ids[1]]));
    await holder.query('COMMIT');
  });

  it('a limit that is lowered while they wait', async () => {
    const proxy = await start(driver, { max_user_connections: 4 });
    const [one, other, third, fourth] = await clientsOf(proxy, 4);
    for (const [index, client] of [one, other].entries()) {
      await client.query('BEGIN');
      await client.query(ONE, [ids[index]]);
    }
    for (const client of [third, fourth]) {
      await client.query('BEGIN');
      await client.query('SELECT n FROM item WHERE id = $1', [ids[2]]);
    }
    const answers = [outcome(one.query('SELECT n FROM item WHERE id = $1', [ids[2]]))];
    answers.push(outcome(other.query('SELECT n FROM item WHERE id = $1', [ids[2]])));
    await heldBecomes(proxy, 2);
    await proxy.adminQuery('SET max_user_connections = 2');
    const told = answers.map((each) => each.then((error) => assert.equal(error?.code, '40P01')));
    await soon('one is told', Promise.any(told));
    await third.query('COMMIT');
    await fourth.query('COMMIT');
    const all = await soon('both are answered', Promise.all(answers));
    assert.equal(all.filter((error) => error === null).length, 1);
  });

  it('one that is lost before it was asked anything is taken again', async () => {
    const proxy = await start(driver, { max_user_connections: 3 });
    const [holder, writer] = await clientsOf(proxy, 2);
    await holder.query('BEGIN');
    await holder.query(ONE, [ids[2]]);
    const all = outcome(writer.query(ALL));
    await heldBecomes(proxy, 2);
    const { port } = servers.gates[0];
    const pidOf = async (): Promise<string | undefined> => {
      const rows = await proxy.adminQuery<{ port: string; state: string; remote_pid: string }>(
        'SHOW SERVERS',
      );
      return rows.find((row) => Number(row.port) === port && row.state === 'active')?.remote_pid;
    };
    const before = await pidOf();
    assert.notEqual(before, undefined);
    await servers.shard(0, `SELECT pg_terminate_backend(${before})`);
    await eventually('there is another one', async () => {
      const now = await pidOf();
      return now !== undefined && now !== before;
    });
    await heldBecomes(proxy, 2);
    await holder.query('COMMIT');
    assert.equal(await soon('who has lost one', all), null);
    assert.equal(await held(proxy), 0);
  });
});
