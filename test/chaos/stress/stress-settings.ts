/** What a proxy of the stress run is started with, and what reloads make of it: drawn, within what cannot hang by design. */
import { type TomlTable, toToml } from '../../support/toml-text.js';
import type { Chance } from '../chance.js';

export const SHOP = 'shop';
export const PLAIN = 'plain';
/** A database whose number of shards changes. */
export const PART = 'part';
export const SHARDS = 3;
export const USERS = ['alice', 'bob'] as const;
/** Who reads the catalogs, and is no client. */
export const KEEPER = 'keeper';
export const PASSWORD = 'postgres';
/** Longer than any client is given to wait: whoever meets it, hangs. */
const NEVER_MS = 120_000;

/**
 * Of each user: room for one statement over all shards, beside what a client of the plain database keeps (session mode, a pin). It is far
 * from enough for all, who come to hold places that others wait for (docs/internals/limits.md, "Held by who waits for one more").
 */
const TIGHT_MIN = SHARDS + 1;
const TIGHT_MAX = 2 * SHARDS;

export interface StressSettings {
  workers: number;
  /** Server connections of each user in each shard of a database. */
  poolSize: Record<typeof SHOP | typeof PLAIN | typeof PART, number>;
  reserve: number;
  checkoutTimeoutMs: number;
  /** Server connections of one user in all databases; 0: any. */
  userLimit: number;
  plainMode: 'transaction' | 'session';
  partShards: number;
  lifetimeMs: number;
  idleTimeoutMs: number;
  healthcheckMs: number;
  preparedLimit: number;
}

export function drawSettings(chance: Chance, userLimit?: number): StressSettings {
  const settings: StressSettings = {
    workers: chance.between(1, 4),
    poolSize: { shop: 1, plain: 1, part: 1 },
    reserve: 0,
    checkoutTimeoutMs: NEVER_MS,
    userLimit: chance.is(30) ? chance.between(TIGHT_MIN, TIGHT_MAX) : 0,
    plainMode: chance.is(30) ? 'session' : 'transaction',
    partShards: SHARDS,
    lifetimeMs: 0,
    idleTimeoutMs: 0,
    healthcheckMs: 0,
    preparedLimit: chance.is(30) ? 3 : 500,
  };
  if (userLimit !== undefined) settings.userLimit = userLimit;
  redraw(settings, chance);
  return settings;
}

/** What a RELOAD may change. */
export function redraw(settings: StressSettings, chance: Chance): void {
  for (const name of [SHOP, PLAIN, PART] as const) settings.poolSize[name] = chance.between(1, 3);
  // What is kept there is kept for long, and no statement over shards may lack it for good.
  if (settings.userLimit > 0) settings.poolSize.plain = 1;
  settings.reserve = settings.userLimit > 0 ? 0 : chance.is(30) ? chance.between(1, 2) : 0;
  settings.checkoutTimeoutMs = chance.is(15) ? chance.between(50, 1_000) : NEVER_MS;
  settings.partShards = chance.is(30) ? SHARDS - 1 : SHARDS;
  settings.lifetimeMs = chance.is(40) ? 1_000 : 86_400_000;
  settings.idleTimeoutMs = chance.pick([200, 1_000, 60_000]);
  settings.healthcheckMs = chance.pick([0, 1, 100, 30_000]);
}

/** All of them may be out of patience: with so short a checkout_timeout, or while there are fewer places than are held. */
export const isImpatient = ({ checkoutTimeoutMs }: StressSettings): boolean => checkoutTimeoutMs < NEVER_MS;

/** Most server connections that one user may have in one shard of a database. */
export const placesOf = (settings: StressSettings, database: keyof StressSettings['poolSize']): number =>
  settings.poolSize[database] + settings.reserve;

export function generalOf(settings: StressSettings): TomlTable {
  return {
    min_pool_size: 0,
    log_connections: false,
    log_disconnections: false,
    config_watch: false,
    // KILL_CLIENT, worker crashes and cuts are many here.
    server_login_retry: 50,
    two_phase_recovery_interval: 200,
    load_schema_interval: 2_000,
    query_wait_notify: 0,
    checkout_timeout: settings.checkoutTimeoutMs,
    reserve_pool_size: settings.reserve,
    reserve_pool_timeout: 100,
    max_user_connections: settings.userLimit,
    server_lifetime: settings.lifetimeMs,
    idle_timeout: settings.idleTimeoutMs,
    healthcheck_interval: settings.healthcheckMs,
    prepared_statements_limit: settings.preparedLimit,
  };
}

/** Lists of pgdog.toml for servers on these ports. */
export function listsOf(settings: StressSettings, ports: readonly number[]): Record<string, TomlTable[]> {
  const entry = (name: keyof StressSettings['poolSize'], shard: number): TomlTable => ({
    name,
    host: '127.0.0.1',
    port: ports[shard],
    shard,
    database_name: name === SHOP ? 'postgres' : name,
    pool_size: settings.poolSize[name],
    ...(name === PLAIN ? { pooler_mode: settings.plainMode } : {}),
  });
  const numbers = Array.from({ length: SHARDS }, (_, shard) => shard);
  return {
    databases: [
      ...numbers.map((shard) => entry(SHOP, shard)),
      ...numbers.slice(0, settings.partShards).map((shard) => entry(PART, shard)),
      { ...entry(PLAIN, 0) },
    ],
    sharded_tables: [SHOP, PART].flatMap((database) =>
      ['account', 'ledger', 'mover', 'note'].map((name) => ({
        database,
        name,
        column: 'id',
        data_type: 'bigint',
      })),
    ),
  };
}

export const usersOf = (): (TomlTable & { name: string })[] => [
  ...USERS.map((name) => ({ name, password: PASSWORD, all_databases: true })),
  { name: KEEPER, password: PASSWORD, all_databases: true, schema_admin: true, pool_size: 1 },
];

/** The file that a RELOAD reads; `own` is what the program was started with. */
export const fileOf = (
  settings: StressSettings,
  ports: readonly number[],
  own: TomlTable,
  admin: TomlTable,
) =>
  toToml(
    { general: { ...own, ...generalOf(settings) }, admin, rewrite: { shard_key: 'rewrite' } },
    listsOf(settings, ports),
  );
