/** Three servers, the databases on them, and a proxy in front whose settings change; what was done to it lately. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { TestDriver } from '../../support/drivers.js';
import { ADMIN, startProxy, type TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA } from '../../support/shard-cluster.js';
import { ShardServers } from '../../support/shard-servers.js';
import { eventually } from '../../support/wire.js';
import { CHECKOUT_TIMEOUT, type Surroundings } from './stress-client.js';
import { StressLedger } from './stress-ledger.js';
import { ACCOUNTS, BALANCE } from './stress-reads.js';
import {
  fileOf,
  generalOf,
  isImpatient,
  KEEPER,
  listsOf,
  PART,
  PASSWORD,
  PLAIN,
  placesOf,
  SHARDS,
  SHOP,
  type StressSettings,
  USERS,
  usersOf,
} from './stress-settings.js';

const TABLES = `
  CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL, note text COLLATE "en-x-icu");
  CREATE TABLE ledger (id bigint NOT NULL, token text NOT NULL);
  CREATE TABLE mover (id bigint PRIMARY KEY, token text NOT NULL);
  CREATE TABLE note (id bigint NOT NULL, a int);`;
/** What `pgdog-cluster setup` notes there: recovery asks which of its shards a server is. */
const claimOf = (shard: number): string => `
  CREATE TABLE pgdog.shard (cluster uuid NOT NULL, number int NOT NULL, count int NOT NULL);
  INSERT INTO pgdog.shard VALUES ('b3c1e0c2-52b6-4a44-8c0b-0d6a3a4d1f22', ${shard}, ${SHARDS});`;
const ROLES = [...USERS, KEEPER]
  .map((name) => `CREATE ROLE ${name} LOGIN SUPERUSER PASSWORD '${PASSWORD}';`)
  .join('\n');
/** How long what was done to servers and connections is felt. */
const ECHO_MS = 8_000;

type Row = Record<string, unknown>;

/** Servers outlive many runs. */
export class StressServers {
  /** One was killed: temporary tables of then stay in its catalogs until another backend takes their schema. */
  hasOrphans = false;
  readonly servers: ShardServers;
  readonly #clients = new Map<string, pg.Client>();

  private constructor(servers: ShardServers) {
    this.servers = servers;
  }

  static async start(): Promise<StressServers> {
    const settings = { deadlock_timeout: '100' };
    const servers = await ShardServers.start(`${TABLES}\n${ROLES}`, SHARDS, settings);
    const all = new StressServers(servers);
    for (const shard of servers.servers.keys()) {
      for (const name of shard === 0 ? [PART, PLAIN] : [PART]) {
        await servers.shard(shard, `CREATE DATABASE ${name}`);
        await all.on(shard, name, `${TABLES} ${PGDOG_SCHEMA} ${claimOf(shard)}`);
      }
    }
    return all;
  }

  get ports(): number[] {
    return this.servers.servers.map(({ port }) => port);
  }

  /** Past the proxy, in one database of one server. */
  async on(shard: number, database: string, sql: string): Promise<Row[]> {
    const key = `${shard}/${database}`;
    let client = this.#clients.get(key);
    if (client === undefined) {
      const name = database === SHOP ? 'postgres' : database;
      client = new pg.Client({ connectionString: this.servers.servers[shard]?.url(name) });
      client.on('error', () => this.#clients.delete(key));
      client.once('end', () => this.#clients.delete(key));
      await client.connect();
      this.#clients.set(key, client);
    }
    const result: unknown = await client.query(sql);
    return (Array.isArray(result) ? result.at(-1) : result).rows;
  }

  /** Shards of a database. */
  shardsOf(database: string): number[] {
    return database === PLAIN ? [0] : Array.from({ length: SHARDS }, (_, shard) => shard);
  }

  async all(database: string, sql: string): Promise<Row[]> {
    const rows = await Promise.all(this.shardsOf(database).map((shard) => this.on(shard, database, sql)));
    return rows.flat();
  }

  /** Of all databases and servers. */
  async everywhere(sql: string): Promise<Row[]> {
    const rows = await Promise.all([SHOP, PART, PLAIN].map((database) => this.all(database, sql)));
    return rows.flat();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.values()) await client.end().catch(() => undefined);
    await this.servers.stop();
  }
}

export class StressWorld implements Surroundings {
  readonly servers: StressServers;
  readonly settings: StressSettings;
  readonly proxy: TestProxy;
  readonly ledger = new StressLedger();
  readonly homes = new Map<number, number>();
  /** What was done to it, for whoever reads of a failure. */
  readonly deeds: string[] = [];
  isOpen = false;
  isDefining = false;
  /** Most places that each pool has had since the phase began: who is connected stays. */
  readonly placesMax = new Map<string, number>();
  #violenceMs = Number.NEGATIVE_INFINITY;
  #violenceCount = 0;
  #impatienceMs = Number.NEGATIVE_INFINITY;
  /** Since the last reload. */
  #wasImpatient: boolean;
  readonly #own: Record<string, string | number>;

  private constructor(
    servers: StressServers,
    settings: StressSettings,
    proxy: TestProxy,
    driver: TestDriver,
  ) {
    this.servers = servers;
    this.settings = settings;
    this.#wasImpatient = isImpatient(settings);
    this.proxy = proxy;
    this.#own = { host: '127.0.0.1', port: proxy.port, workers: settings.workers, io_driver: driver };
    this.notePlaces(true);
  }

  static async start(
    servers: StressServers,
    settings: StressSettings,
    driver: TestDriver,
  ): Promise<StressWorld> {
    const { databases, ...lists } = listsOf(settings, servers.ports);
    const proxy = await startProxy({
      workers: settings.workers,
      ioDriver: driver,
      users: usersOf(),
      databases: databases as never,
      lists,
      sections: { rewrite: { shard_key: 'rewrite' } },
      general: generalOf(settings),
    });
    const world = new StressWorld(servers, settings, proxy, driver);
    await world.fill();
    return world;
  }

  get port(): number {
    return this.proxy.port;
  }

  get isTight(): boolean {
    return this.settings.userLimit > 0;
  }

  /** The same rows in each database, through the proxy. */
  async fill(): Promise<void> {
    await this.servers.everywhere('TRUNCATE account, ledger, mover, note');
    for (const name of [SHOP, PART, PLAIN]) {
      const rows = Array.from(
        { length: ACCOUNTS },
        (_, index) => `(${index + 1}, ${BALANCE}, md5('${index}'))`,
      );
      await this.fillIn(name, `INSERT INTO account (id, balance, note) VALUES ${rows.join(', ')}`);
    }
    for (const shard of this.servers.shardsOf(SHOP))
      for (const { id } of await this.servers.on(shard, SHOP, 'SELECT id FROM account'))
        this.homes.set(Number(id), shard);
  }

  /** Through the proxy, until it is done: nobody may wait for long. */
  async fillIn(database: string, sql: string): Promise<void> {
    await eventually(`${sql.slice(0, 40)} is done`, async () => {
      const client = new pg.Client({ connectionString: this.proxy.url(database, USERS[0], PASSWORD) });
      client.on('error', () => undefined);
      const isDone = await client
        .connect()
        .then(() => client.query(sql))
        .then(
          () => true,
          (error: Error & { code?: string }) => {
            if (error.code !== CHECKOUT_TIMEOUT) throw error;
            return false;
          },
        );
      await client.end().catch(() => undefined);
      return isDone;
    });
  }

  /** Files with the settings as they are now, and a reload. */
  async reload(): Promise<void> {
    const text = fileOf(this.settings, this.servers.ports, this.#own, { ...ADMIN });
    writeFileSync(join(this.proxy.directory, 'pgdog.toml'), text);
    this.notePlaces(false);
    // Until it is through, those of before hold.
    const isOrWas = this.#wasImpatient || isImpatient(this.settings);
    if (isOrWas) this.#impatienceMs = performance.now();
    await this.proxy.adminQuery('RELOAD');
    this.notePlaces(false);
    if (isOrWas) this.#impatienceMs = performance.now();
    this.#wasImpatient = isImpatient(this.settings);
  }

  notePlaces(isNew: boolean): void {
    for (const name of [SHOP, PART, PLAIN] as const) {
      const places = placesOf(this.settings, name);
      this.placesMax.set(name, Math.max(places, isNew ? 0 : (this.placesMax.get(name) ?? 0)));
    }
  }

  note(deed: string): void {
    this.deeds.push(`${Math.round(performance.now())} ${deed}`);
  }

  /** While `deed` is done, and for a while after it, connections may be lost. */
  async violently(deed: () => Promise<void>): Promise<void> {
    this.#violenceCount++;
    try {
      await deed();
    } finally {
      this.#violenceCount--;
      this.#violenceMs = performance.now();
    }
  }

  excuseFor(sinceMs: number): string {
    if (this.#violenceCount > 0) return 'something is being broken';
    return this.#violenceMs > sinceMs - ECHO_MS ? 'something was broken' : '';
  }

  isImpatientSince(sinceMs: number): boolean {
    return isImpatient(this.settings) || this.#impatienceMs > sinceMs - ECHO_MS;
  }
}
