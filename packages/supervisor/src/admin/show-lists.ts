import { column, defineShow } from './show.js';

interface ListsRow {
  databases: number;
  users: number;
  pools: number;
  clients: number;
  idle: number;
  active: number;
}

export const SHOW_LISTS = defineShow<ListsRow>({
  name: 'lists',
  privilege: 'admin',
  description: 'How many of everything there are, in one row.',
  columns: [
    column('databases', 'numeric', 'Databases that have a pool.', (row) => row.databases),
    column('users', 'numeric', 'Users.', (row) => row.users),
    column('pools', 'numeric', 'Pools.', (row) => row.pools),
    column('used_clients', 'numeric', 'Clients, over all workers.', (row) => row.clients),
    column('free_servers', 'numeric', 'Server connections nobody uses.', (row) => row.idle),
    column('used_servers', 'numeric', 'All other server connections.', (row) => row.active),
  ],
  rows({ memory, config }) {
    const { pools, users } = config();
    const { load, capacity, handles } = memory;
    const row: ListsRow = {
      databases: new Set(pools.map(({ database }) => database)).size,
      users: users.length,
      pools: pools.length,
      clients: capacity.clientsClaimed(),
      idle: 0,
      active: 0,
    };
    for (const { index } of pools) {
      for (let worker = 0; worker < handles.dimensions.workers; worker++) {
        row.idle += load.idle(worker, index);
        row.active += load.active(worker, index);
      }
    }
    return [row];
  },
});
