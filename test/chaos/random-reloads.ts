/**
 * Reloads by chance under load: databases, users, hosts, sizes and settings come and go, and some files are wrong. Who is
 * not concerned must notice nothing: no error, the same server connections, figures that only grow.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProxy } from '../support/proxy.js';
import { type TomlTable, toToml } from '../support/toml-text.js';
import { eventually } from '../support/wire.js';
import { Chance } from './chance.js';
import { ResidentSamples } from './resident.js';

export interface RandomReloadsOptions {
  proxy: TestProxy;
  /** The server that all databases are on. */
  port: number;
  rounds: number;
  seed: number;
  /** Clients that are not concerned by any reload. */
  steadyCount?: number;
}

export interface RandomReloadsReport {
  okCount: number;
  refusedCount: number;
  /** Transactions of the clients that are not concerned. */
  queries: number;
  resident: ResidentSamples;
  /** Longest time from RELOAD to its answer, ms. */
  slowestMs: number;
}

/** Of its memory, over all rounds. */
const SAMPLES = 200;
/** What the server connections of the steady pool may not lose. */
const STEADY = { pool_size: 4, min_pool_size: 4 };
const ADMIN = { password: 'admin' };
/** Texts that cannot be used, and what is said of them. */
const WRONG: readonly [string, RegExp][] = [
  ['[[databases]]\nname = "broken"\n', /databases\[\d+\]\.host/],
  ['[[databases]\n', /not valid TOML/],
  ['[nonsense]\n', /unknown key/],
  ['[[databases]]\nname = "x"\nhost = "h"\nport = 99999\n', /port/],
];

interface Model {
  databases: Map<string, TomlTable>;
  users: Map<string, TomlTable>;
  general: TomlTable;
}

class SteadyClients {
  readonly pids = new Set<number>();
  queries = 0;
  failure: Error | null = null;
  readonly #clients: pg.Client[] = [];
  #isOver = false;
  #running: Promise<void>[] = [];

  async open(url: string, count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const client = new pg.Client({ connectionString: url });
      client.on('error', (error) => this.#fail(error));
      await client.connect();
      this.#clients.push(client);
    }
    this.#running = this.#clients.map((client, index) => this.#run(client, index));
  }

  #fail(error: Error): void {
    if (!this.#isOver) this.failure ??= error;
  }

  async #run(client: pg.Client, index: number): Promise<void> {
    try {
      while (!this.#isOver) {
        const isBlock = this.queries % 5 === 0;
        if (isBlock) await client.query('BEGIN');
        const { rows } = await client.query('SELECT pg_backend_pid() AS pid, $1::int AS n', [index]);
        if (isBlock) await client.query('COMMIT');
        assert.equal(rows[0].n, index);
        this.pids.add(rows[0].pid);
        this.queries++;
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
    await Promise.all(this.#clients.map((client) => client.end()));
  }
}

class Reloads {
  readonly #proxy: TestProxy;
  readonly #port: number;
  readonly #chance: Chance;
  readonly #model: Model;
  readonly #admin: pg.Client;
  readonly report = { okCount: 0, refusedCount: 0, slowestMs: 0 };
  #lastCount = 0;

  constructor({ proxy, port, seed }: RandomReloadsOptions, admin: pg.Client, general: TomlTable) {
    this.#proxy = proxy;
    this.#port = port;
    this.#chance = new Chance(seed);
    this.#admin = admin;
    const steady = { name: 'steady', host: '127.0.0.1', port, database_name: 'postgres', ...STEADY };
    this.#model = {
      databases: new Map([['steady', steady]]),
      users: new Map([['postgres', { name: 'postgres', password: 'postgres', all_databases: true }]]),
      general,
    };
  }

  /** Nothing but the steady ones. */
  async begin(): Promise<void> {
    this.#write('');
    await this.#reload();
    // The first configuration has the steady database under another name, which there is not.
    await this.#untilTakenUp();
  }

  /** One change or several, and a reload that is to succeed or not. */
  async round(): Promise<void> {
    const chance = this.#chance;
    for (let left = chance.between(1, 3); left > 0; left--) this.#change();
    if (chance.is(20)) {
      const [text, reason] = chance.pick(WRONG);
      this.#write(text);
      await assert.rejects(this.#reload(), { code: 'F0000', message: reason });
      this.report.refusedCount++;
      return;
    }
    this.#write('');
    await this.#reload();
    this.report.okCount++;
    if (chance.is(30)) await this.#checkOne();
    await this.#checkFigures();
  }

  async #reload(): Promise<void> {
    const sinceMs = performance.now();
    try {
      await this.#admin.query('RELOAD');
    } finally {
      this.report.slowestMs = Math.max(this.report.slowestMs, performance.now() - sinceMs);
    }
  }

  #change(): void {
    const chance = this.#chance;
    const { databases, users, general } = this.#model;
    const name = `d${chance.between(0, 7)}`;
    const known = databases.get(name);
    switch (chance.between(0, 6)) {
      case 0:
      case 1:
        if (known === undefined) {
          databases.set(name, { name, host: '127.0.0.1', port: this.#port, database_name: 'postgres' });
        } else databases.delete(name);
        return;
      case 2:
        if (known !== undefined) known['pool_size'] = chance.between(1, 9);
        return;
      case 3:
        if (known !== undefined) known['lock_timeout'] = chance.between(1, 9999);
        return;
      case 4:
        if (known !== undefined) known['host'] = known['host'] === 'localhost' ? '127.0.0.1' : 'localhost';
        return;
      case 5: {
        const user = `u${chance.between(0, 3)}`;
        if (!users.delete(user)) users.set(user, { name: user, password: 'postgres', all_databases: true });
        return;
      }
      default:
        general['query_timeout'] = chance.between(100_000, 999_999);
    }
  }

  #write(wrong: string): void {
    const { directory } = this.#proxy;
    const { databases, users, general } = this.#model;
    const config = toToml({ general, admin: ADMIN }, { databases: [...databases.values()] });
    writeFileSync(join(directory, 'pgdog.toml'), `${config}\n${wrong}`);
    writeFileSync(join(directory, 'users.toml'), toToml({}, { users: [...users.values()] }));
  }

  /** A client of one of the databases that change: it gets the settings of the last reload. */
  async #checkOne(): Promise<void> {
    const entries = [...this.#model.databases.values()].filter(({ name }) => name !== 'steady');
    if (entries.length === 0) return;
    const { name, lock_timeout: timeout } = this.#chance.pick(entries);
    await this.#untilTakenUp();
    const client = new pg.Client({ connectionString: this.#proxy.url(String(name)) });
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query("SELECT setting FROM pg_settings WHERE name = 'lock_timeout'");
    await client.end();
    assert.equal(rows[0].setting, String(timeout ?? 0), `lock_timeout of ${name}`);
  }

  async #untilTakenUp(): Promise<void> {
    const { rows } = await this.#admin.query('SHOW CONFIG_STATUS');
    await eventually('all workers have taken it up', async () => {
      const workers = await this.#admin.query('SHOW WORKERS');
      return workers.rows.every(({ epoch }) => Number(epoch) >= Number(rows[0].epoch));
    });
  }

  async #checkFigures(): Promise<void> {
    const { rows } = await this.#admin.query('SHOW STATS');
    const row = rows.find(({ database, user }) => database === 'steady' && user === 'postgres');
    const count = Number(row?.total_xact_count);
    assert.ok(count >= this.#lastCount, `${count} transactions after ${this.#lastCount}`);
    this.#lastCount = count;
  }
}

/** Throws at the first thing that is not as it should be; the seed tells it again. */
export async function runRandomReloads(options: RandomReloadsOptions): Promise<RandomReloadsReport> {
  const { proxy, rounds, steadyCount = 6 } = options;
  const general = {
    min_pool_size: 0,
    idle_timeout: 0,
    server_lifetime: 0,
    log_connections: false,
    log_disconnections: false,
    config_watch: false,
  };
  const admin = new pg.Client({ connectionString: proxy.adminUrl });
  await admin.connect();
  const reloads = new Reloads(options, admin, general);
  const steady = new SteadyClients();
  try {
    await reloads.begin();
    await steady.open(proxy.url('steady'), steadyCount);
    await eventually('every server connection has served', async () => steady.pids.size === STEADY.pool_size);
    const pids = [...steady.pids].sort();
    const resident = new ResidentSamples(proxy.pid);
    for (let round = 0; round < rounds; round++) {
      await reloads.round();
      if (steady.failure !== null) throw steady.failure;
      if (round % Math.ceil(rounds / SAMPLES) === 0) resident.take();
    }
    assert.deepEqual([...steady.pids].sort(), pids, 'server connections of a pool that did not change');
    return { ...reloads.report, queries: steady.queries, resident };
  } finally {
    await steady.close();
    await admin.end();
  }
}
