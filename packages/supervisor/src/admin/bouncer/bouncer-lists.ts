import type { SettingRow } from '@pgdog-cluster/core/config';
import { isRestartOnly } from '../../config/restart-only.js';
import type { AdminContext } from '../admin-context.js';
import { column, defineShow } from '../show.js';

interface ListItem {
  list: string;
  items: number;
}

function itemsOf({ memory, config }: AdminContext): ListItem[] {
  const { databases, users, pools, hosts } = config();
  const { load, capacity, handles } = memory;
  let [free, used] = [0, 0];
  for (const { index } of pools) {
    for (let worker = 0; worker < handles.dimensions.workers; worker++) {
      free += load.idle(worker, index);
      used += load.active(worker, index);
    }
  }
  const counts: Record<string, number> = {
    databases: databases.length,
    users: users.length,
    peers: 0,
    pools: new Set(pools.map(({ database, user }) => JSON.stringify([database, user]))).size,
    peer_pools: 0,
    free_clients: 0,
    used_clients: capacity.clientsClaimed(),
    login_clients: 0,
    free_servers: free,
    used_servers: used,
    dns_names: new Set(hosts.map(({ host }) => host)).size,
    dns_zones: 0,
    dns_queries: 0,
    dns_pending: 0,
  };
  return Object.entries(counts).map(([list, items]) => ({ list, items }));
}

/** SHOW LISTS of database pgbouncer. */
export const BOUNCER_LISTS = defineShow<ListItem>({
  name: 'lists',
  privilege: 'admin',
  description: 'How many of everything there are, one row each. What has no meaning here is 0.',
  columns: [
    column('list', 'text', 'What is counted.', (row) => row.list),
    column('items', 'int', 'How many there are.', (row) => row.items),
  ],
  rows: itemsOf,
});

/** SHOW CONFIG of database pgbouncer. */
export const BOUNCER_CONFIG = defineShow<SettingRow>({
  name: 'config',
  privilege: 'admin',
  description: 'Settings in force, by our names. Secrets are left out.',
  columns: [
    column('key', 'text', 'Name of the setting.', (row) => row.name),
    column('value', 'text', 'Value in force; times in ms. Empty: none set.', (row) => row.value ?? ''),
    column('default', 'text', 'Value it has when nothing is configured.', (row) => row.default ?? ''),
    column(
      'changeable',
      'text',
      'yes: RELOAD takes another value up, and SET where it says so; no: a restart.',
      (row) => (isRestartOnly(row.name) ? 'no' : 'yes'),
    ),
  ],
  rows: ({ settings }) => settings(),
});
