/** Limits over several pools: exact over all workers, told with their value, and none of them starves a pool. */
import assert from 'node:assert/strict';
import { after, afterEach, before, it } from 'node:test';
import { forOneDriver, type TestDriver } from '../support/drivers.js';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { startupPacket } from '../support/frames.js';
import { databaseOf, startProxy, type TestProxy } from '../support/proxy.js';
import { RawClient } from '../support/raw-client.js';
import type { TomlTable } from '../support/toml-text.js';
import {
  backends,
  clientOf,
  eventually,
  firstValue,
  run,
  sleep,
  sqlstateOf,
  untilWaiting,
} from '../support/wire.js';

let server: TestPostgres;
before(async () => {
  server = await startPostgres({ users: [{ name: 'alice' }, { name: 'bob' }] });
});
after(() => server.stop());

interface Setting {
  general?: TomlTable;
  /** Of database `one`; `two` is the same server's database under another name. */
  one?: TomlTable;
  alice?: TomlTable;
}

/** Those whose test failed before it stopped them: the next would count what is theirs. */
const started: TestProxy[] = [];
afterEach(() => Promise.all(started.splice(0).map((proxy) => proxy.stop())));

/** Two databases, two users, three workers: four pools of five. */
async function start(driver: TestDriver, setting: Setting): Promise<TestProxy> {
  // Server processes of an earlier proxy would be counted as this one's.
  await eventually('nobody is left', async () => (await backends(server)).length === 0);
  const target = { database_name: 'postgres', user: 'postgres', password: 'postgres', pool_size: 5 };
  const proxy = await startProxy({
    workers: 3,
    ioDriver: driver,
    databases: [
      databaseOf(server, { ...target, ...setting.one, name: 'one' }),
      databaseOf(server, { ...target, name: 'two' }),
    ],
    users: [
      { name: 'alice', password: 'a', ...setting.alice },
      { name: 'bob', password: 'b' },
    ],
    general: {
      min_pool_size: 0,
      auth_type: 'trust',
      log_connections: false,
      log_disconnections: false,
      ...setting.general,
    },
  });
  started.push(proxy);
  return proxy;
}

const ALICE = { user: 'alice', database: 'one' };
const BOB = { user: 'bob', database: 'one' };

async function loginError(proxy: TestProxy, who: { user: string; database: string }) {
  const client = await RawClient.open({ port: proxy.port, ...who });
  const { error } = await client.login();
  client.destroy();
  return error;
}

async function open(
  proxy: TestProxy,
  count: number,
  who: { user: string; database: string },
): Promise<RawClient[]> {
  return Promise.all(Array.from({ length: count }, () => clientOf(proxy, who)));
}

const destroy = (clients: RawClient[]): void => {
  for (const client of clients) client.destroy();
};

/** Highest number of the proxy's server connections seen while `body` runs. */
async function highestSeen(body: () => Promise<unknown>): Promise<number> {
  let highest = 0;
  let isOver = false;
  const sampler = (async () => {
    while (!isOver) {
      const [row] = await server.query<{ count: string }>(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
      );
      highest = Math.max(highest, Number(row?.count));
      await sleep(10);
    }
  })();
  await body();
  isOver = true;
  await sampler;
  return highest;
}

/** Every client runs until the time is over; how many statements each got through. */
function load(clients: RawClient[], ms: number): Promise<number[]> {
  const until = performance.now() + ms;
  return Promise.all(
    clients.map(async (client) => {
      let done = 0;
      for (; performance.now() < until; done++) await run(client, 'SELECT pg_sleep(0.002)');
      return done;
    }),
  );
}

// What is counted, and who waits behind whom, is decided in shared memory, however the bytes came.
forOneDriver('clients of a database and of a user', (driver) => {
  it('general, per database and per user: 53300 with the limit and its value, exact, and a place comes free', async () => {
    const proxy = await start(driver, {
      general: { max_db_client_connections: 6 },
      one: { max_db_client_connections: 4 },
      alice: { max_user_client_connections: 3 },
    });
    try {
      const attempts = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const client = await RawClient.open({ port: proxy.port, ...ALICE });
          const { error } = await client.login();
          return { client, error };
        }),
      );
      const alice = attempts.filter(({ error }) => error === null).map(({ client }) => client);
      assert.equal(alice.length, 3);
      for (const { error } of attempts) {
        if (error === null) continue;
        assert.equal(error['C'], '53300');
        assert.equal(error['S'], 'FATAL');
        assert.match(
          error['M'] ?? '',
          /too many clients for user "alice" \(max_user_client_connections = 3\)/,
        );
      }
      const other = await loginError(proxy, { user: 'alice', database: 'two' });
      assert.equal(other?.['C'], '53300', 'over all databases');
      const bobs = await open(proxy, 1, BOB);
      const refused = await loginError(proxy, BOB);
      assert.equal(refused?.['C'], '53300');
      assert.match(
        refused?.['M'] ?? '',
        /too many clients for database "one" \(max_db_client_connections = 4\)/,
      );
      const elsewhere = await open(proxy, 6, { user: 'bob', database: 'two' });
      assert.match((await loginError(proxy, { user: 'bob', database: 'two' }))?.['M'] ?? '', /= 6\)/);
      // A refusal leaves no trace in the other counts; whoever leaves makes room.
      await bobs[0]?.end();
      alice[0]?.destroy(true);
      await eventually('both places are free', async () => {
        const next = await RawClient.open({ port: proxy.port, ...ALICE });
        const isIn = (await next.login()).error === null;
        if (isIn) alice.push(next);
        else next.destroy();
        return isIn;
      });
      bobs.push(...(await open(proxy, 1, BOB)));
      assert.equal((await loginError(proxy, BOB))?.['C'], '53300');
      assert.equal(sqlstateOf(await (bobs[1] as RawClient).query('SELECT 1')), '');
      destroy([...alice, ...bobs, ...elsewhere]);
    } finally {
      await proxy.stop();
    }
  });

  it('a stranger cannot fill the places of a user, and learns nothing from them', async () => {
    const proxy = await start(driver, {
      general: { auth_type: 'scram' },
      alice: { max_user_client_connections: 1 },
    });
    try {
      const strangers = await Promise.all(
        Array.from({ length: 5 }, () => RawClient.open({ port: proxy.port, ...ALICE, password: 'wrong' })),
      );
      // They stay in the middle of the login.
      for (const stranger of strangers) stranger.send(startupPacket(ALICE));
      for (const stranger of strangers) assert.equal((await stranger.readFrame()).type, 'R');
      const alice = await clientOf(proxy, { ...ALICE, password: 'a' });
      const wrong = await RawClient.open({ port: proxy.port, ...ALICE, password: 'wrong' });
      assert.equal((await wrong.login()).error?.['C'], '28P01');
      const second = await RawClient.open({ port: proxy.port, ...ALICE, password: 'a' });
      assert.equal((await second.login()).error?.['C'], '53300');
      destroy([...strangers, alice, wrong, second]);
    } finally {
      await proxy.stop();
    }
  });

  it('an operator gets in when max_client_conn is reached', async () => {
    const proxy = await start(driver, { general: { max_client_conn: 3 } });
    try {
      const clients = await open(proxy, 3, ALICE);
      const error = await loginError(proxy, ALICE);
      assert.match(error?.['M'] ?? '', /max_client_conn = 3/);
      const rows = await proxy.adminQuery<{ used_clients: string }>('SHOW LISTS');
      assert.equal(rows[0]?.used_clients, '3');
      destroy(clients);
    } finally {
      await proxy.stop();
    }
  });
});

forOneDriver('server connections of a database and of a user', (driver) => {
  it('a database limit below the pools together: never passed, and both pools work', async () => {
    const proxy = await start(driver, { one: { max_db_connections: 4 } });
    const clients = [...(await open(proxy, 12, ALICE)), ...(await open(proxy, 12, BOB))];
    try {
      let done: number[] = [];
      const highest = await highestSeen(async () => {
        done = await load(clients, 2500);
      });
      assert.equal(highest, 4);
      const shares = [done.slice(0, 12), done.slice(12)].map((part) => part.reduce((a, b) => a + b, 0));
      assert.ok(Math.min(...done) > 0, `every client was served: ${done.join(' ')}`);
      assert.ok(Math.min(...shares) * 4 > Math.max(...shares), `shares ${shares.join(' and ')}`);
    } finally {
      destroy(clients);
      await proxy.stop();
    }
  });

  it('a user limit of one connection over two databases serves both', async () => {
    const proxy = await start(driver, { alice: { max_user_connections: 1 } });
    const clients = [
      ...(await open(proxy, 4, ALICE)),
      ...(await open(proxy, 4, { user: 'alice', database: 'two' })),
    ];
    try {
      let done: number[] = [];
      const highest = await highestSeen(async () => {
        done = await load(clients, 2000);
      });
      assert.equal(highest, 1);
      assert.ok(Math.min(...done) > 0, done.join(' '));
    } finally {
      destroy(clients);
      await proxy.stop();
    }
  });

  it('idle connections of other pools make room at once, whichever worker has them', async () => {
    const proxy = await start(driver, { general: { max_server_conn: 3, checkout_timeout: 20_000 } });
    try {
      for (let round = 0; round < 6; round++) {
        const who = [ALICE, BOB, { user: 'bob', database: 'two' }][round % 3] ?? ALICE;
        const clients = await open(proxy, 3, who);
        await Promise.all(clients.map((client) => run(client, 'BEGIN')));
        await Promise.all(clients.map((client) => run(client, 'COMMIT')));
        await Promise.all(clients.map((client) => client.end()));
      }
      const rows = await proxy.adminQuery<{ sv_total: string }>('SHOW POOLS');
      assert.equal(
        rows.reduce((sum, row) => sum + Number(row.sv_total), 0),
        3,
      );
    } finally {
      await proxy.stop();
    }
  });

  it('connections in use are not taken away: the other pool waits, is told, and gets the first that comes free', async () => {
    const proxy = await start(driver, { one: { max_db_connections: 1 }, general: { checkout_timeout: 600 } });
    // The first one's connection has to go before the second gets in: that may take longer than it has.
    const enter = async (who: typeof ALICE): Promise<RawClient> => {
      let client: RawClient | undefined;
      await eventually('it is in', async () => {
        [client] = await open(proxy, 1, who).catch(() => []);
        return client !== undefined;
      });
      return client as RawClient;
    };
    const [a, b] = [await enter(ALICE), await enter(BOB)];
    try {
      await eventually('it has the connection', async () => (await a.query('BEGIN')).error === null);
      const refused = await b.query('SELECT 1');
      assert.equal(sqlstateOf(refused), '58000');
      assert.match(refused.error?.['M'] ?? '', /max_db_connections = 1/);
      assert.equal(await firstValue(a, 'SELECT 2'), '2');
      await run(a, 'COMMIT');
      await eventually('served', async () => (await b.query('SELECT 3')).error === null);
    } finally {
      destroy([a, b]);
      await proxy.stop();
    }
  });
});

forOneDriver('reserve pool', (driver) => {
  it('opens beyond the pool size once a client has waited, and closes again when calm', async () => {
    const proxy = await start(driver, {
      one: { pool_size: 1, reserve_pool_size: 2 },
      general: { reserve_pool_timeout: 300, checkout_timeout: 30_000 },
    });
    const clients = await open(proxy, 4, ALICE);
    const total = async (): Promise<number> => {
      const rows = await proxy.adminQuery<{ database: string; user: string; sv_total: string }>('SHOW POOLS');
      return Number(rows.find((row) => row.database === 'one' && row.user === 'alice')?.sv_total);
    };
    try {
      // Where the logins took long, they have waited themselves.
      await eventually('none of the reserve', async () => (await total()) <= 1);
      const since = performance.now();
      const served: number[] = [];
      const answers = clients.map(async (client) => {
        assert.equal(sqlstateOf(await client.query('BEGIN')), '');
        served.push(performance.now() - since);
        return client;
      });
      // Not in the place of what fails first.
      for (const answer of answers) answer.catch(() => undefined);
      await eventually('one of the pool, two of the reserve', async () => served.length >= 3);
      assert.ok(served.filter((ms) => ms < 280).length <= 1, `waited ${served.join(' ')} ms`);
      // There is no more of it, however long one waits.
      await sleep(400);
      assert.equal(served.length, 3);
      assert.equal(await total(), 3);
      const first = await Promise.race(answers);
      await first.query('ROLLBACK');
      for (const client of await Promise.all(answers)) if (client !== first) await client.query('ROLLBACK');
      await eventually('back at the pool size', async () => (await total()) <= 1);
      assert.equal(await firstValue(clients[3] as RawClient, 'SELECT 1'), '1');
      assert.equal(await total(), 1);
    } finally {
      destroy(clients);
      await proxy.stop();
    }
  });
});

forOneDriver('queue length', (driver) => {
  it('exactly so many wait, over all workers; the others are told and stay', async () => {
    const proxy = await start(driver, {
      one: { pool_size: 1 },
      general: { queue_length_max: 3, checkout_timeout: 60_000 },
    });
    // One after another: a first login waits for a server connection too.
    const clients: RawClient[] = [];
    while (clients.length < 20) clients.push(...(await open(proxy, 1, ALICE)));
    const [holder, ...others] = clients as [RawClient, ...RawClient[]];
    try {
      await run(holder, 'BEGIN');
      const answers = others.map(async (client) => ({
        client,
        result: await client.query('SELECT 1'),
      }));
      const refused: RawClient[] = [];
      const told = Promise.all(
        answers.map(async (answer) => {
          const { client, result } = await answer;
          if (result.error === null) return;
          assert.equal(result.error['C'], '53300');
          assert.equal(result.error['S'], 'ERROR');
          assert.match(result.error['M'] ?? '', /queue_length_max = 3/);
          refused.push(client);
        }),
      );
      told.catch(() => undefined);
      await eventually('all others are told', async () => refused.length >= others.length - 3);
      await untilWaiting(proxy, 3, 'one');
      await run(holder, 'COMMIT');
      await told;
      assert.equal(refused.length, others.length - 3);
      // Places in the queue were given back, whether served or gone.
      for (const client of refused) assert.equal(await firstValue(client, 'SELECT 1'), '1');
      await run(holder, 'BEGIN');
      const gone = others.slice(0, 3);
      for (const client of gone) void client.query('SELECT 1').catch(() => undefined);
      await untilWaiting(proxy, 3, 'one');
      for (const client of gone) client.destroy();
      await untilWaiting(proxy, 0, 'one');
      const next = others.slice(3, 6).map((client) => client.query('SELECT 7'));
      await untilWaiting(proxy, 3, 'one');
      assert.equal(sqlstateOf(await (others[6] as RawClient).query('SELECT 1')), '53300');
      await run(holder, 'COMMIT');
      for (const result of await Promise.all(next)) assert.deepEqual(result.rows, [['7']]);
    } finally {
      destroy(clients);
      await proxy.stop();
    }
  });
});
