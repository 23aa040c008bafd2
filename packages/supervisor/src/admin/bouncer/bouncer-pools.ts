import type { ClientReport, PoolSnapshot, ServerReport } from '@pgdog-cluster/core';
import type { AdminContext } from '../admin-context.js';
import { readPoolFigures } from '../pool-figures.js';
import { column, defineShow } from '../show.js';

const US_PER_S = 1_000_000;

interface BouncerPoolRow {
  database: string;
  user: string;
  clientsActive: number;
  clientsWaiting: number;
  /** Server connections by state, as a worker names it. */
  servers: ReadonlyMap<string, number>;
  maxWaitUs: number;
  mode: string;
  hosts: number;
}

const WAITING: ReadonlySet<string> = new Set(['waiting', 'held', 'login']);

function countOf({ servers }: BouncerPoolRow, ...states: string[]): number {
  return states.reduce((sum, state) => sum + (servers.get(state) ?? 0), 0);
}

/** PgBouncer has one pool for a database and a user; here there is one for each of its hosts and shards. */
function groupPools(pools: readonly PoolSnapshot[]): Map<string, PoolSnapshot[]> {
  const groups = new Map<string, PoolSnapshot[]>();
  for (const pool of pools) {
    const key = JSON.stringify([pool.database, pool.user]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [pool]);
    else group.push(pool);
  }
  return groups;
}

function toRow(
  { memory, nowMs }: AdminContext,
  pools: readonly PoolSnapshot[],
  clients: readonly ClientReport[],
  servers: readonly ServerReport[],
): BouncerPoolRow {
  const { database, user, poolerMode } = pools[0];
  const indexes = new Set(pools.map(({ index }) => index));
  const states = new Map<string, number>();
  for (const { pool, state } of servers) {
    if (indexes.has(pool)) states.set(state, (states.get(state) ?? 0) + 1);
  }
  const own = clients.filter((client) => client.database === database && client.user === user);
  const waiting = own.filter(({ state }) => WAITING.has(state)).length;
  const waits = pools.map((pool) => readPoolFigures(memory, pool, nowMs()).maxWaitMs * 1000);
  return {
    database,
    user,
    clientsActive: own.length - waiting,
    clientsWaiting: waiting,
    servers: states,
    maxWaitUs: Math.max(...waits),
    mode: poolerMode,
    hosts: new Set(pools.map(({ hostIndex }) => hostIndex)).size,
  };
}

/** SHOW POOLS of database pgbouncer. */
export const BOUNCER_POOLS = defineShow<BouncerPoolRow>({
  name: 'pools',
  privilege: 'admin',
  description: 'One row per database and user, over all of its hosts.',
  columns: [
    column('database', 'text', 'Name clients ask for.', (row) => row.database),
    column('user', 'text', 'User of the clients.', (row) => row.user),
    column('cl_active', 'int', 'Clients that do not wait.', (row) => row.clientsActive),
    column(
      'cl_waiting',
      'int',
      'Clients that wait for a server connection or for the end of an order.',
      (row) => row.clientsWaiting,
    ),
    column('cl_active_cancel_req', 'int', 'Always 0: cancels are no clients.', () => 0),
    column('cl_waiting_cancel_req', 'int', 'Always 0.', () => 0),
    column('sv_active', 'int', 'Server connections that serve a client.', (row) =>
      countOf(row, 'active', 'idle in transaction'),
    ),
    column('sv_active_cancel', 'int', 'Always 0: cancels have connections of their own.', () => 0),
    column('sv_being_canceled', 'int', 'Not to be used before a cancel under way has ended.', (row) =>
      countOf(row, 'active_cancel'),
    ),
    column('sv_idle', 'int', 'Free ones.', (row) => countOf(row, 'idle', 'lending')),
    column('sv_used', 'int', 'Always 0: what must be checked is, when it is needed.', () => 0),
    column('sv_tested', 'int', 'Being checked, or reset.', (row) => countOf(row, 'testing', 'cleaning')),
    column('sv_login', 'int', 'Connecting.', (row) => countOf(row, 'connecting')),
    column('maxwait', 'int', 'How long the oldest client waits, whole seconds.', (row) =>
      Math.floor(row.maxWaitUs / US_PER_S),
    ),
    column('maxwait_us', 'int', 'And microseconds.', (row) => row.maxWaitUs % US_PER_S),
    column('pool_mode', 'text', 'transaction, session or statement.', (row) => row.mode),
    column('load_balance_hosts', 'text', 'round-robin where there are several hosts.', (row) =>
      row.hosts > 1 ? 'round-robin' : null,
    ),
  ],
  async rows(context) {
    const [clients, servers] = await Promise.all([context.reportClients(), context.reportServers()]);
    const groups = groupPools(context.config().pools);
    return [...groups.values()].map((pools) => toRow(context, pools, clients, servers));
  },
});
