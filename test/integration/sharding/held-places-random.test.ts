/**
 * Many clients over several shards under a limit that is too small for them, whose waits are cancelled and left: everybody is answered,
 * what has failed has done nothing, and nothing stays counted. HELD_SEED and HELD_MS repeat and lengthen it.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { Chance } from '../../chaos/chance.js';
import { cancelClient } from '../../support/cancel-client.js';
import { forOneDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually, sleep } from '../../support/wire.js';

const SEED = Number(process.env['HELD_SEED'] ?? 20_261_201);
const MS = Number(process.env['HELD_MS'] ?? 6_000);
const SHARDS = 3;
const CLIENTS = 10;
const ROWS_EACH = 12;
/** checkout_timeout is far above it. */
const ANSWERED_MS = 20_000;
/** Given way, cancelled. */
const EXPECTED = new Set(['40P01', '57014']);

type PgError = Error & { code?: string };

class Player {
  readonly number: number;
  readonly #chance: Chance;
  readonly #proxy: TestProxy;
  #client: pg.Client | null = null;
  /** What its rows must come to; null: it has left in the middle. */
  sum: number | null = 0;
  readonly counts: Record<string, number> = {};

  constructor(number: number, chance: Chance, proxy: TestProxy) {
    this.number = number;
    this.#chance = chance;
    this.#proxy = proxy;
  }

  get #own(): string {
    return `owner = ${this.number}`;
  }

  async run(endMs: number): Promise<void> {
    while (performance.now() < endMs) {
      this.#client ??= await this.#connect();
      await this.#act(this.#client);
    }
    await this.#client?.end();
  }

  async #connect(): Promise<pg.Client> {
    const client = await shopClient(this.#proxy);
    client.on('error', () => undefined);
    return client;
  }

  async #act(client: pg.Client): Promise<void> {
    const chance = this.#chance;
    switch (chance.weighted([8, 6, 3, 3, 1, 2, 2])) {
      case 0:
        await this.#ask(client, `UPDATE item SET n = n + 1 WHERE ${this.#own}`, ROWS_EACH);
        return;
      case 1:
        await this.#transact(client);
        return;
      case 2:
        await this.#ask(client, `SELECT id, n FROM item WHERE ${this.#own} ORDER BY n, id`, 0);
        return;
      case 3:
        await this.#ask(client, `UPDATE item SET n = n + 1 WHERE id = ${this.#row()}`, 1);
        return;
      case 4:
        await this.#leave(client);
        return;
      case 5:
        await this.#read(client);
        return;
      default:
        // One shard is asked for the time first.
        await this.#ask(client, `UPDATE item SET n = n + 1, at = now() WHERE ${this.#own}`, ROWS_EACH);
    }
  }

  #row(): number {
    return this.number * 100 + this.#chance.between(0, ROWS_EACH - 1);
  }

  /** @param worth what its rows gain by it */
  async #ask(client: pg.Client, sql: string, worth: number): Promise<boolean> {
    const answer = client.query(sql).then(
      () => 'done',
      (error: PgError) => error.code ?? error.message,
    );
    if (this.#chance.is(10)) {
      await sleep(this.#chance.between(0, 30));
      await cancelClient(this.#proxy, client);
    }
    const came = await this.#soon(sql, answer);
    this.counts[came] = (this.counts[came] ?? 0) + 1;
    assert.ok(came === 'done' || EXPECTED.has(came), `client ${this.number}: ${sql}: ${came}`);
    if (came === 'done' && this.sum !== null) this.sum += worth;
    return came === 'done';
  }

  async #soon(what: string, answer: Promise<string>): Promise<string> {
    const late = new AbortController();
    const time = sleepUntil(ANSWERED_MS, late.signal).then(() => `no answer in ${ANSWERED_MS} ms: ${what}`);
    return Promise.race([answer, time]).finally(() => late.abort());
  }

  async #transact(client: pg.Client): Promise<void> {
    let gained = 0;
    let isGood = await this.#ask(client, 'BEGIN', 0);
    for (let left = this.#chance.between(1, 5); left > 0 && isGood; left--) {
      const isAll = this.#chance.is(20);
      const where = isAll ? this.#own : `id = ${this.#row()}`;
      isGood = await this.#ask(client, `UPDATE item SET n = n + 1 WHERE ${where}`, 0);
      if (isGood) gained += isAll ? ROWS_EACH : 1;
    }
    if (isGood && this.#chance.is(80)) await this.#ask(client, 'COMMIT', gained);
    // A cancel that came too late for what it was meant for.
    else while (!(await this.#ask(client, 'ROLLBACK', 0)));
    while (!(await this.#ask(client, 'ROLLBACK', 0)));
  }

  async #read(client: pg.Client): Promise<void> {
    let isGood = await this.#ask(client, this.#chance.is(50) ? 'BEGIN READ ONLY' : 'BEGIN', 0);
    for (let left = this.#chance.between(1, 3); left > 0 && isGood; left--) {
      const where = this.#chance.is(50) ? this.#own : `id = ${this.#row()}`;
      isGood = await this.#ask(client, `SELECT id, n FROM item WHERE ${where} ORDER BY n, id`, 0);
    }
    while (!(await this.#ask(client, 'ROLLBACK', 0)));
  }

  async #leave(client: pg.Client): Promise<void> {
    this.sum = null;
    const left = client.query(`UPDATE item SET n = n + 1 WHERE ${this.#own}`).catch(() => undefined);
    await sleep(this.#chance.between(0, 30));
    const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
    stream.destroy();
    await left;
    this.#client = null;
  }
}

const sleepUntil = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => clearTimeout(timer));
  });

let cluster: ShardCluster;
before(async () => {
  const schema = `${PGDOG_SCHEMA} CREATE TABLE item (id bigint PRIMARY KEY, owner int NOT NULL, n int NOT NULL DEFAULT 0, at timestamptz)`;
  cluster = await ShardCluster.start({ schema, shardCount: SHARDS });
});
after(() => cluster.stop());

forOneDriver(
  'a limit that is too small for who asks several shards',
  (driver) => {
    it(`everybody is answered (HELD_SEED=${SEED})`, async () => {
      const chance = new Chance(SEED);
      const key = chance.pick(['max_user_connections', 'max_db_connections', 'max_server_conn']);
      const value = chance.between(SHARDS, 2 * SHARDS);
      const workers = chance.between(1, 3);
      const hasReplicas = chance.is(40);
      // The same server under another name: reads in transactions find what was written.
      const replicas = cluster.entries.map((entry) => ({ ...entry, host: 'localhost', role: 'replica' }));
      const entries = hasReplicas ? [...cluster.entries, ...replicas] : cluster.entries;
      const proxy = await startShardedProxy({ entries }, driver, {
        tables: [{ name: 'item', column: 'id' }],
        workers,
        general: { default_pool_size: 10, min_pool_size: 0, checkout_timeout: 60_000, [key]: value },
      });
      try {
        const filler = await shopClient(proxy);
        const rows = Array.from({ length: CLIENTS * ROWS_EACH }, (_, index) => {
          const owner = Math.floor(index / ROWS_EACH);
          return `(${owner * 100 + (index % ROWS_EACH)}, ${owner})`;
        });
        await filler.query(`INSERT INTO item (id, owner) VALUES ${rows.join(', ')}`);
        await filler.end();
        const players = Array.from({ length: CLIENTS }, (_, n) => new Player(n, chance.fork(n), proxy));
        const endMs = performance.now() + MS;
        await Promise.all(players.map((player) => player.run(endMs)));
        const told = players.map(({ counts }) => JSON.stringify(counts)).join(' ');
        console.log(`${key} = ${value}, ${workers} workers, ${hasReplicas ? '' : 'no '}replicas: ${told}`);
        await eventually('nothing stays counted', async () => {
          const cells = await proxy.adminQuery<{ cell: string; value: string }>('SHOW SHARED_MEMORY');
          const held = cells.filter(({ cell }) => cell === 'held waiting' || cell === 'held givable');
          return held.length === 2 && held.every(({ value: of }) => /^[0 ]+$|sum 0,/.test(of));
        });
        assert.ok(!proxy.output.includes('worker_crashed'));
        const sums = await cluster.all('SELECT owner, sum(n)::int AS sum FROM item GROUP BY owner');
        for (const { number, sum } of players) {
          const came = sums
            .filter(({ owner }) => owner === number)
            .reduce((all, row) => all + Number(row['sum']), 0);
          if (sum !== null) assert.equal(came, sum, `client ${number}`);
        }
      } finally {
        await proxy.stop();
      }
    });
  },
  SEED,
);
