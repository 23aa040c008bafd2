/** Batches for several shards when something goes wrong in the middle, when they are held, when they are many, and what is counted of them. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import { Chance } from '../../chaos/chance.js';
import {
  BATCH_GENERAL,
  BATCH_TABLES,
  BatchPair,
  inOneWrite,
  type Sending,
  TIMEOUT_MS,
} from '../../support/batch-pair.js';
import {
  INSERT,
  inserts,
  one,
  READ,
  READ_ALL,
  UPDATE,
  UPDATE_ALL,
  updates,
} from '../../support/batch-words.js';
import { forEachDriver } from '../../support/drivers.js';
import { Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RandomBatches, shown } from '../../support/random-batches.js';
import { RawClient, type RawResult } from '../../support/raw-client.js';
import { SHOP, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

/**
 * The same each time, for a refusal or an error may come without the answers that one Postgres would give ahead of it in the same
 * batch, which not every session can be compared with; PGDOG_BATCH_SEED makes others.
 */
const SEED = Number(process.env.PGDOG_BATCH_SEED ?? 1000);
const SESSIONS = Number(process.env.PGDOG_BATCH_SESSIONS ?? 12);
const BATCHES = 12;
const CLIENTS = 8;
const ROUNDS = 6;

let pair: BatchPair;
before(async () => {
  pair = await BatchPair.start();
});
after(() => pair.stop());

const sleeping = (shard: number): Buffer[] =>
  one('SELECT pg_sleep(600), id FROM thing WHERE id = $1', pair.old(shard));

forEachDriver('faults in batches for several shards', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startShardedProxy(pair.cluster, driver, {
      tables: BATCH_TABLES,
      general: { ...BATCH_GENERAL, default_pool_size: 2, min_pool_size: 0, checkout_timeout: 60_000 },
    });
  });
  after(() => proxy.stop());
  beforeEach(() => pair.refill(proxy));

  const connected = (): Promise<RawClient> =>
    RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      timeoutMs: TIMEOUT_MS,
      port: proxy.port,
      database: SHOP,
    });
  const ask = async (client: RawClient, ...parts: Buffer[]): Promise<RawResult> => {
    client.send(...parts);
    return client.readUntilReady();
  };
  const asleep = (): Promise<void> =>
    eventually('it sleeps', async () => {
      const rows = await pair.cluster.reference(
        "SELECT 1 FROM pg_stat_activity WHERE datname LIKE 'shard_%' AND wait_event = 'PgSleep'",
      );
      return rows.length > 0;
    });
  /** Nothing is left, and as many clients as there are server connections can be served at once. */
  const assertFree = async (before: unknown): Promise<void> => {
    await pair.settled();
    assert.deepEqual(await pair.kept(), before);
    const clients = await Promise.all([connected(), connected()]);
    for (const client of clients) {
      await ask(client, Q('BEGIN'));
      assert.equal(
        (await ask(client, ...one(READ, pair.old(0)), ...one(READ, pair.old(1)), S())).error,
        null,
      );
    }
    for (const client of clients) {
      assert.equal((await ask(client, ...one(READ_ALL), ...one('COMMIT'), S())).error, null);
      await client.end();
    }
  };

  const lose = async (shard: number): Promise<void> => {
    // What it was to do before may still be under way while another shard sleeps.
    await eventually(`shard ${shard} waits in a transaction`, async () => {
      const killed = await pair.cluster.reference(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shard_${shard}' AND state LIKE 'idle in%'`,
      );
      assert.ok(killed.length <= 1);
      return killed.length === 1;
    });
  };
  /** Of the loss of a shard, by an error or by the end of the connection. */
  const assertTold = async (client: RawClient): Promise<void> => {
    const answer = await client.readUntilReady().catch((error: Error) => error);
    if (answer instanceof Error) assert.match(answer.message, /closed/);
    else assert.match(answer.error?.C ?? 'no error', /^(08006|57P01|08007)$/);
  };

  for (const [how, opening] of [
    ['outside of a transaction', []],
    ['in one', one('BEGIN')],
  ] as const) {
    it(`a client that vanishes while a statement runs, ${how}`, async () => {
      const before = await pair.kept();
      for (const isReset of [false, true]) {
        const client = await connected();
        client.send(...opening, ...updates(pair), ...sleeping(1), ...inserts(pair), S());
        await asleep();
        client.destroy(isReset);
        await assertFree(before);
      }
    });
    it(`a client that vanishes before its Sync, ${how}`, async () => {
      const before = await pair.kept();
      const whole = Buffer.concat([...opening, ...updates(pair), ...one(UPDATE_ALL), ...inserts(pair)]);
      for (const cut of [whole.length, whole.length - 3, whole.length >> 1]) {
        const client = await connected();
        // A Query before it tells when it has been taken.
        await ask(client, Q('SELECT 1'));
        client.send(whole.subarray(0, cut));
        client.socket.end();
        await client.expectClosed();
        await assertFree(before);
      }
    });
    it(`a client that vanishes in a batch of more than is held, ${how}`, async () => {
      const before = await pair.kept();
      const client = await connected();
      const rows = Array.from({ length: 200 }, (_, index) =>
        one(INSERT, pair.fresh(index % 3, index), 1, 'v'.repeat(1000)),
      ).flat();
      client.send(...opening, ...rows, ...sleeping(2), ...rows.slice(0, 40));
      await asleep();
      client.destroy();
      await assertFree(before);
    });
    it(`a cancel in the middle, ${how}`, async () => {
      const before = await pair.kept();
      const client = await connected();
      client.send(...opening, ...updates(pair), ...sleeping(0), ...inserts(pair), S());
      await asleep();
      await client.cancel();
      const { error, tags, status } = await client.readUntilReady();
      assert.equal(error?.C, '57014', error?.M);
      assert.deepEqual(
        tags.filter((tag) => tag !== 'BEGIN'),
        ['UPDATE 1', 'UPDATE 1', 'UPDATE 1'],
      );
      assert.equal(status, opening.length === 0 ? 'I' : 'E');
      assert.equal((await client.query('ROLLBACK')).error, null);
      assert.equal(
        (await ask(client, ...one(READ, pair.old(0)), ...one(READ, pair.old(1)), S())).error,
        null,
      );
      await client.end();
      await assertFree(before);
    });
    for (const lost of [0, 2]) {
      it(`shard ${lost} is lost while a statement runs on shard 1, ${how}`, async () => {
        const before = await pair.kept();
        const client = await connected();
        // Had nobody noticed, all of them would come to their end.
        const short = one('SELECT pg_sleep(20), id FROM thing WHERE id = $1', pair.old(1));
        client.send(...opening, ...updates(pair), ...short, ...one(READ, pair.old(1)), S());
        await asleep();
        await lose(lost);
        await assertTold(client);
        client.destroy();
        await assertFree(before);
      });
    }
  }

  it('a shard is lost between two batches of a transaction', async () => {
    const before = await pair.kept();
    const client = await connected();
    await ask(client, ...one('BEGIN'), ...updates(pair), S());
    await lose(1);
    client.send(...updates(pair, 1), ...one('COMMIT'), S());
    await assertTold(client);
    client.destroy();
    await assertFree(before);
  });

  for (const [on, off] of [
    [`PAUSE ${SHOP}`, `RESUME ${SHOP}`],
    ['MAINTENANCE ON', 'MAINTENANCE OFF'],
  ] as const) {
    it(`${on}: what runs comes to its end, what comes then is held`, async () => {
      const client = await connected();
      const other = await connected();
      await ask(client, ...one('BEGIN'), ...updates(pair), S());
      const order = proxy.adminQuery(on);
      await eventually('the order is in force', async () => {
        const maintained = await proxy.adminQuery<Record<string, unknown>>('SHOW MAINTENANCE');
        const pools = await proxy.adminQuery<Record<string, unknown>>('SHOW POOLS');
        return maintained.some((row) => row.maintenance === true) || pools.some((row) => row.paused === true);
      });
      let isAnswered = false;
      other.send(...updates(pair, 1), ...inserts(pair), S());
      const held = other.readUntilReady().finally(() => {
        isAnswered = true;
      });
      const { error } = await ask(
        client,
        ...updates(pair, 2),
        ...one(UPDATE, pair.old(0), 1),
        ...one('COMMIT'),
        S(),
      );
      assert.equal(error, null, error?.M);
      await order;
      assert.equal(isAnswered, false);
      await proxy.adminQuery(off);
      assert.equal((await held).error, null);
      await client.end();
      await other.end();
      await pair.settled();
      const changed = await pair.cluster.all('SELECT id FROM thing WHERE n <> 10');
      assert.equal(changed.length, 12);
    });
  }

  const counted = async (frames: Buffer[]): Promise<Record<string, number>> => {
    const own = async (): Promise<Record<string, string>> => {
      let rows: Record<string, string>[] = [];
      await eventually('nobody else is left', async () => {
        rows = await proxy.adminQuery<Record<string, string>>('SHOW CLIENTS');
        rows = rows.filter(({ database }) => database === SHOP);
        return rows.length === 1;
      });
      return rows[0];
    };
    await proxy.adminQuery('RESET QUERY_CACHE');
    const before = await own();
    const { error } = await ask(pair.ours, ...frames, S());
    assert.equal(error, null, error?.M);
    const now = await own();
    const counts: Record<string, number> = {};
    for (const name of ['transactions', 'errors']) counts[name] = Number(now[name]) - Number(before[name]);
    // Over several shards BEGIN is no server's.
    for (const row of await proxy.adminQuery<Record<string, string>>('SHOW QUERIES LIMIT 1000'))
      if (row.query !== 'begin') counts[`${row.query}`] = Number(row.calls) * 1000 + Number(row.rows);
    return counts;
  };
  const mixed = (shards: readonly number[]): Buffer[] =>
    [
      ...shards.map((shard, index) => one(UPDATE, pair.old(shard, index), 1)),
      ...shards.map((shard, index) => one(READ, pair.old(shard, index))),
      ...shards.map((shard, index) => one(INSERT, pair.fresh(shard, index), 1, 'x')),
    ].flat();
  it('each statement counts once, with its rows, as in a batch for one shard', async () => {
    await counted(mixed([0]));
    await pair.refill(proxy);
    const wanted = await counted(mixed([1, 1, 1, 1]));
    await pair.refill(proxy);
    assert.deepEqual(await counted(mixed([0, 1, 2, 0])), wanted);
    await pair.refill(proxy);
    const inside = await counted([...one('BEGIN'), ...mixed([1, 1, 1, 1]), ...one('COMMIT')]);
    await pair.refill(proxy);
    assert.deepEqual(await counted([...one('BEGIN'), ...mixed([0, 1, 2, 0]), ...one('COMMIT')]), inside);
  });
  it('a statement of all shards in the middle counts once', async () => {
    const counts = await counted([...updates(pair), ...one(UPDATE_ALL), ...one(READ_ALL)]);
    const calls = Object.entries(counts).filter(([name]) => name.includes(' '));
    assert.deepEqual(
      calls.map(([, count]) => count).sort((a, b) => a - b),
      [1030, 1030, 3003],
    );
    assert.deepEqual([counts.transactions, counts.errors], [1, 0]);
  });

  it('many clients with few server connections: every batch is kept or nothing of it, and nobody waits for ever', async () => {
    const chance = new Chance(SEED);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, connected));
    const codes: string[] = [];
    const outcomes = await Promise.all(
      clients.map(async (client, who) => {
        let count = 0;
        for (let round = 0; round < ROUNDS; round++) {
          const shards = [0, 1, 2].sort(() => chance.between(-1, 1));
          const frames = shards.flatMap((shard) =>
            one(INSERT, pair.fresh(shard, 20 + who * ROUNDS + round), who, 'mine'),
          );
          const { error } = await ask(client, ...frames, ...one('SELECT count(*) FROM whole'), S());
          if (error === null) count += 3;
          else codes.push(`${error.C} ${error.M}`);
        }
        await client.end();
        return count;
      }),
    );
    await pair.settled();
    for (const [who, count] of outcomes.entries()) {
      const rows = await pair.cluster.all(`SELECT id FROM thing WHERE name = 'mine' AND n = ${who}`);
      assert.equal(rows.length, count, `client ${who}, seed ${SEED}`);
    }
    assert.deepEqual(codes, []);
  });

  it('many clients at the same rows, in one order', async () => {
    const clients = await Promise.all([connected(), connected(), connected(), connected()]);
    await Promise.all(
      clients.map(async (client) => {
        for (let round = 0; round < 10; round++) {
          const { error } = await ask(client, ...updates(pair), S());
          assert.equal(error, null, error?.M);
        }
        await client.end();
      }),
    );
    await pair.settled();
    for (let shard = 0; shard < 3; shard++) {
      const [row] = await pair.cluster.shard(shard, `SELECT n FROM thing WHERE id = ${pair.old(shard)}`);
      assert.equal(row?.n, 50);
    }
  });

  it(`batches of seed ${SEED} are answered as by one Postgres`, {
    timeout: 20 * TIMEOUT_MS,
  }, async (context) => {
    const reasons = new Map<string, number>();
    for (let session = 0; session < SESSIONS; session++) {
      const chance = new Chance(SEED + session);
      const batches = new RandomBatches(chance, pair);
      await pair.refill(proxy);
      const history: string[] = [];
      for (let i = 0; i < BATCHES; i++) {
        const next = batches.next();
        history.push(`${pair.status}: ${shown(next.frames)}`);
        try {
          const refusal = await pair.same([next], sendingOf(chance), /./);
          if (refusal === '') continue;
          reasons.set(refusal, (reasons.get(refusal) ?? 0) + 1);
          await pair.refill(proxy);
        } catch (error) {
          throw new Error(
            `PGDOG_BATCH_SEED=${SEED + session}\n${history.join('\n')}\n${(error as Error).message}`,
          );
        }
      }
      for (const client of [pair.ours, pair.theirs]) await client.query('ROLLBACK');
      await pair.settled();
      await pair.assertSameRows();
    }
    for (const [reason, count] of reasons) context.diagnostic(`refused ${count} times: ${reason}`);
  });
});

function sendingOf(chance: Chance): Sending {
  if (chance.is(60)) return inOneWrite;
  return async (client, bytes) => {
    for (let at = 0; at < bytes.length; ) {
      const end = at + chance.between(1, 2000);
      client.send(bytes.subarray(at, end));
      at = end;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
}
