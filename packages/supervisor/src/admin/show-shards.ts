import type { PoolSnapshot, ServerReport } from '@pgdog-cluster/core';
import type { AdminCaller, AdminContext } from './admin-context.js';
import { type PoolFigures, readPoolFigures } from './pool-figures.js';
import { column, defineShow } from './show.js';

interface ShardRow {
  pool: PoolSnapshot;
  role: string;
  state: 'up' | 'down' | 'banned';
  connections: number;
  idle: number;
  active: number;
  waiting: number;
  isLast?: boolean;
}

/** A client sees the databases it may enter itself; the admin sees all. */
function visibleHosts({ config }: AdminContext, { isAdmin, user }: AdminCaller): PoolSnapshot[][] {
  const hosts = new Map<string, PoolSnapshot[]>();
  for (const pool of config().pools) {
    const key = JSON.stringify([pool.database, pool.shard, pool.host, pool.port]);
    const sharing = hosts.get(key);
    if (sharing === undefined) hosts.set(key, [pool]);
    else sharing.push(pool);
  }
  return [...hosts.values()].filter((pools) => isAdmin || pools.some((pool) => pool.user === user));
}

async function readHost(
  context: AdminContext,
  pools: readonly PoolSnapshot[],
  servers: readonly ServerReport[],
): Promise<ShardRow> {
  const now = context.nowMs();
  const figures = pools.map((pool) => readPoolFigures(context.memory, pool, now));
  const sum = (read: (figure: PoolFigures) => number) => figures.reduce((all, one) => all + read(one), 0);
  // A server connection that is logged in proves the host alive; only without one is there something to try.
  const isConnected = servers.some(
    ({ pool, state }) => state !== 'connecting' && pools.some(({ index }) => index === pool),
  );
  const isUp = !figures[0].isHostFailing && (isConnected || (await context.isReachable(pools[0])));
  return {
    pool: pools[0],
    role: figures[0].role,
    state: !isUp ? 'down' : figures[0].isBanned ? 'banned' : 'up',
    connections: sum(({ claimed }) => claimed),
    idle: sum(({ idle }) => idle),
    active: sum(({ active }) => active),
    waiting: sum(({ waiting }) => waiting),
  };
}

export const SHOW_SHARDS = defineShow<ShardRow>({
  name: 'pgdog.shards',
  privilege: 'client',
  description:
    'Hosts of the databases one may enter, their state and connections. Also in ordinary databases.',
  columns: [
    column('name', 'text', 'Name of the database.', (row) => row.pool.database),
    column('shard', 'numeric', 'Number of the shard.', (row) => row.pool.shard),
    column('host', 'text', 'Host, as configured.', (row) => row.pool.host),
    column('port', 'numeric', 'Port.', (row) => row.pool.port),
    column('role', 'text', 'primary or replica; with role = "auto" as found, or unknown.', (row) => row.role),
    column('state', 'text', 'up, down, or banned: up, and not read from.', (row) => row.state),
    column(
      'connections',
      'numeric',
      'Server connections now, of all users and workers.',
      (row) => row.connections,
    ),
    column('idle', 'numeric', 'Of these, unused.', (row) => row.idle),
    column('active', 'numeric', 'Of these, in use.', (row) => row.active),
    column('waiting', 'numeric', 'Clients waiting for one.', (row) => row.waiting),
    column(
      'last',
      'bool',
      "The session's last statement was asked of this shard.",
      (row) => row.isLast === true,
    ),
  ],
  async rows(context, caller) {
    const servers = await context.reportServers();
    const rows = await Promise.all(
      visibleHosts(context, caller).map((pools) => readHost(context, pools, servers)),
    );
    const { database, lastShards } = caller;
    return rows.map((row) => ({
      ...row,
      isLast: row.pool.database === database && lastShards?.includes(row.pool.shard) === true,
    }));
  },
});
