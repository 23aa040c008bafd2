import { ordersOf, type PoolSnapshot } from '@pgdog-cluster/core';
import { isPaused } from '../../orders/operator-desk.js';
import type { AdminContext } from '../admin-context.js';
import { column, defineShow } from '../show.js';

interface DatabaseRow {
  name: string;
  /** Of this database at this host, one for each user; empty: it has none yet. */
  pools: readonly PoolSnapshot[];
  servers: number;
  clients: number;
  isPaused: boolean;
  isDisabled: boolean;
}

function rowsOf({ memory, config }: AdminContext): DatabaseRow[] {
  const snapshot = config();
  const { capacity } = memory;
  return snapshot.databases.flatMap(({ name }) => {
    const own = snapshot.pools.filter(({ database }) => database === name);
    const hosts = [...new Set(own.map(({ hostIndex, shard }) => `${shard} ${hostIndex}`))];
    const groups = hosts.map((key) => own.filter((pool) => `${pool.shard} ${pool.hostIndex}` === key));
    const orders = ordersOf(snapshot.orders, name);
    return (groups.length === 0 ? [[]] : groups).map((pools) => ({
      name,
      pools,
      servers: pools.reduce((sum, { index }) => sum + capacity.claimed(index), 0),
      clients: own.reduce((sum, { index }) => sum + capacity.poolClients(index), 0),
      isPaused: isPaused(snapshot, name),
      isDisabled: orders.isDisabled,
    }));
  });
}

/** The server's user where it is the same for all clients, whoever they are. */
function forcedUser(pools: readonly PoolSnapshot[]): string | null {
  const names = new Set(pools.map(({ serverUser }) => serverUser));
  const [name] = names;
  const isForced = pools.some(({ user, serverUser }) => user !== serverUser);
  return names.size === 1 && isForced && name !== undefined ? name : null;
}

export const SHOW_DATABASES = defineShow<DatabaseRow>({
  name: 'databases',
  privilege: 'admin',
  description: 'One row per database and host, with what PAUSE and DISABLE have made of it.',
  columns: [
    column('name', 'text', 'Name clients ask for.', (row) => row.name),
    column('host', 'text', 'Host, as configured.', ({ pools: [pool] }) => pool?.host ?? null),
    column('port', 'int', 'Port.', ({ pools: [pool] }) => pool?.port ?? null),
    column('database', 'text', 'Name on the server.', ({ pools: [pool] }) => pool?.serverDatabase ?? null),
    column('force_user', 'text', 'User on the server, whoever the client is; NULL: the client.', (row) =>
      forcedUser(row.pools),
    ),
    column('pool_size', 'int', 'Most server connections of one user.', ({ pools }) =>
      pools.reduce((most, { poolSize }) => Math.max(most, poolSize), 0),
    ),
    column('min_pool_size', 'int', 'Kept open.', ({ pools: [pool] }) => pool?.minPoolSize ?? 0),
    column(
      'reserve_pool_size',
      'int',
      'Beyond pool_size, for clients that have waited.',
      ({ pools: [pool] }) => pool?.reservePoolSize ?? 0,
    ),
    column('server_lifetime', 'int', 'Seconds; 0: no limit.', ({ pools: [pool] }) =>
      Math.round((pool?.serverLifetimeMs ?? 0) / 1000),
    ),
    column(
      'pool_mode',
      'text',
      'transaction, session or statement; NULL where users have different ones.',
      ({ pools }) => common(pools, ({ poolerMode }) => poolerMode) || null,
    ),
    column('load_balance_hosts', 'text', 'Always NULL: SHOW REPLICAS and SHOW CONFIG say more.', () => null),
    column(
      'max_connections',
      'int',
      'max_db_connections; 0: no limit.',
      ({ pools: [pool] }) => pool?.databaseServersMax ?? 0,
    ),
    column('current_connections', 'int', 'Server connections at this host.', (row) => row.servers),
    column(
      'max_client_connections',
      'int',
      'max_db_client_connections; 0: no limit.',
      ({ pools: [pool] }) => pool?.databaseClientsMax ?? 0,
    ),
    column(
      'current_client_connections',
      'int',
      'Clients of the database, at all hosts.',
      (row) => row.clients,
    ),
    column('paused', 'int', '1: PAUSE is in force.', (row) => (row.isPaused ? 1 : 0)),
    column('disabled', 'int', '1: DISABLE is in force.', (row) => (row.isDisabled ? 1 : 0)),
  ],
  rows: rowsOf,
});

interface UserRow {
  name: string;
  pools: readonly PoolSnapshot[];
  servers: number;
  clients: number;
}

export const SHOW_USERS = defineShow<UserRow>({
  name: 'users',
  privilege: 'admin',
  description: 'One row per user, configured or looked up.',
  columns: [
    column('name', 'text', 'Name.', (row) => row.name),
    column('pool_size', 'text', 'Of its pools, where it is the same for all; empty: it is not.', (row) =>
      common(row.pools, ({ poolSize }) => String(poolSize)),
    ),
    column('reserve_pool_size', 'text', 'The same.', (row) =>
      common(row.pools, ({ reservePoolSize }) => String(reservePoolSize)),
    ),
    column('pool_mode', 'text', 'The same.', (row) => common(row.pools, ({ poolerMode }) => poolerMode)),
    column(
      'max_user_connections',
      'int',
      'Server connections; 0: no limit.',
      ({ pools: [pool] }) => pool?.userServersMax ?? 0,
    ),
    column('current_connections', 'int', 'Server connections it has.', (row) => row.servers),
    column(
      'max_user_client_connections',
      'int',
      'Clients; 0: no limit.',
      ({ pools: [pool] }) => pool?.userClientsMax ?? 0,
    ),
    column('current_client_connections', 'int', 'Clients it has.', (row) => row.clients),
  ],
  rows({ memory, config }) {
    const { users, pools } = config();
    const names = new Set([...users.map(({ name }) => name), ...pools.map(({ user }) => user)]);
    return [...names].map((name) => {
      const own = pools.filter(({ user }) => user === name);
      return {
        name,
        pools: own,
        servers: own.reduce((sum, { index }) => sum + memory.capacity.claimed(index), 0),
        clients: own.reduce((sum, { index }) => sum + memory.capacity.poolClients(index), 0),
      };
    });
  },
});

function common(pools: readonly PoolSnapshot[], textOf: (pool: PoolSnapshot) => string): string {
  const values = new Set(pools.map(textOf));
  return values.size === 1 ? [...values].join('') : '';
}
