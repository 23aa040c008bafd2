/**
 * Clients coming and going over many tenants by chance, while tenants are forgotten as soon as nobody is there and the
 * configuration is reloaded. Each must find itself in the database that it asked for, or be told that there is none.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestDriver } from '../support/drivers.js';
import type { TestPostgres } from '../support/embedded-postgres.js';
import { startProxy, type TestProxy } from '../support/proxy.js';
import { type TomlTable, toToml } from '../support/toml-text.js';
import { eventually } from '../support/wire.js';
import { Chance } from './chance.js';

export interface RandomTenantsOptions {
  server: TestPostgres;
  driver?: TestDriver;
  seed: number;
  /** Of each client. */
  rounds: number;
  clients?: number;
  workers?: number;
}

export interface RandomTenantsReport {
  sessions: number;
  /** Names that no server has. */
  missing: number;
  reloads: number;
  made: number;
  dropped: number;
  residentBytes: number;
}

/** Databases `t_0` and so on of the server; those after the last are missing. */
export const TENANT_COUNT = 12;
const MISSING_COUNT = 3;
/** The one that has an entry of its own now and then: its clients may be told to leave when that goes. */
const SOMETIMES = 't_0';

export async function makeTenants(server: TestPostgres): Promise<void> {
  for (let number = 0; number < TENANT_COUNT; number++) await server.query(`CREATE DATABASE t_${number}`);
}

class Run {
  readonly #proxy: TestProxy;
  readonly #options: RandomTenantsOptions;
  readonly #general: TomlTable;
  readonly report = { sessions: 0, missing: 0, reloads: 0 };
  isOver = false;

  constructor(proxy: TestProxy, options: RandomTenantsOptions, general: TomlTable) {
    this.#proxy = proxy;
    this.#options = options;
    this.#general = general;
  }

  async client(number: number): Promise<void> {
    const chance = new Chance(this.#options.seed * 1000 + number);
    for (let round = 0; round < this.#options.rounds; round++) {
      const name = `t_${chance.between(0, TENANT_COUNT + MISSING_COUNT - 1)}`;
      const isMissing = Number(name.slice(2)) >= TENANT_COUNT;
      await this.#visit(name, isMissing, chance);
      if (chance.is(30)) await sleep(chance.between(1, 120));
    }
  }

  async #visit(database: string, isMissing: boolean, chance: Chance): Promise<void> {
    const client = new pg.Client({ connectionString: this.#proxy.url(database) });
    // Between two statements it is told apart from their answers.
    let toldToLeave = false;
    client.on('error', (error) => {
      toldToLeave ||= (error as { code?: string }).code === '57P01';
    });
    try {
      await client.connect();
      assert.ok(!isMissing, `${database} does not exist, and let somebody in`);
      for (let left = chance.between(0, 4); left > 0; left--) {
        const isBlock = chance.is(30);
        if (isBlock) await client.query('BEGIN');
        const { rows } = await client.query('SELECT current_database() AS name, $1::int AS n', [left]);
        assert.deepEqual(rows[0], { name: database, n: left });
        if (isBlock) await client.query('COMMIT');
        if (chance.is(20)) await sleep(chance.between(1, 60));
      }
      this.report.sessions++;
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (isMissing && code === '3D000') this.report.missing++;
      else if (database !== SOMETIMES || !(toldToLeave || code === '57P01')) {
        throw new Error(`${database}: ${code} ${(error as Error).message}`, { cause: error });
      }
    } finally {
      await client.end().catch(() => {});
    }
  }

  async reload(): Promise<void> {
    const { seed, server } = this.#options;
    const chance = new Chance(seed + 1);
    const admin = new pg.Client({ connectionString: this.#proxy.adminUrl });
    admin.on('error', () => {});
    await admin.connect();
    let hasEntry = false;
    let poolSize = 5;
    while (!this.isOver) {
      await sleep(chance.between(20, 300));
      if (chance.is(40)) hasEntry = !hasEntry;
      if (chance.is(50)) poolSize = chance.between(2, 9);
      const here = { host: server.host, port: server.port };
      const databases = [
        { name: 't_*', ...here, pool_size: poolSize },
        ...(hasEntry ? [{ name: SOMETIMES, ...here }] : []),
      ];
      const general = { ...this.#general, query_timeout: chance.between(100_000, 999_999) };
      const text = toToml({ general, admin: { password: 'admin' } }, { databases });
      writeFileSync(join(this.#proxy.directory, 'pgdog.toml'), text);
      await admin.query('RELOAD');
      this.report.reloads++;
    }
    await admin.end();
  }
}

export async function runRandomTenants(options: RandomTenantsOptions): Promise<RandomTenantsReport> {
  const { server, driver, clients = 8, workers = 2 } = options;
  const general = { min_pool_size: 0, idle_timeout: 30, tenant_idle_timeout: 60, config_watch: false };
  const proxy = await startProxy({
    workers,
    ...(driver === undefined ? {} : { ioDriver: driver }),
    databases: [{ name: 't_*', host: server.host, port: server.port }],
    users: [{ name: 'postgres', password: 'postgres', all_databases: true }],
    general,
  });
  try {
    const run = new Run(proxy, options, general);
    const reloading = run.reload();
    try {
      await Promise.all(Array.from({ length: clients }, (_, number) => run.client(number)));
    } finally {
      run.isOver = true;
      await reloading;
    }
    const figures = async () => (await proxy.adminQuery('SHOW TENANTS'))[0];
    await eventually('all tenants are forgotten', async () => Number((await figures())['tenants']) === 0);
    const { made_count: made, dropped_count: dropped } = await figures();
    const status = readFileSync(`/proc/${proxy.pid}/status`, 'utf8');
    const residentBytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
    return { ...run.report, made: Number(made), dropped: Number(dropped), residentBytes };
  } catch (error) {
    console.error(proxy.output.slice(-3000));
    throw error;
  } finally {
    await proxy.stop();
  }
}
