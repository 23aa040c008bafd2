import { HOLD_MAINTENANCE, ordersOf } from '@pgdog-cluster/core';
import { column, defineShow } from './show.js';

interface MaintenanceRow {
  database: string;
  isOn: boolean;
  held: number;
}

export const SHOW_MAINTENANCE = defineShow<MaintenanceRow>({
  name: 'maintenance',
  privilege: 'admin',
  description: 'One row per database: whether its clients wait before their next transaction.',
  columns: [
    column('database', 'text', 'Name clients ask for.', (row) => row.database),
    column('maintenance', 'bool', 'MAINTENANCE ON is in force.', (row) => row.isOn),
    column(
      'cl_held',
      'numeric',
      'Clients that wait, for its end or that of another order.',
      (row) => row.held,
    ),
  ],
  async rows({ config, reportClients }) {
    const clients = await reportClients();
    const { databases, orders } = config();
    return databases.map(({ name }) => ({
      database: name,
      isOn: (ordersOf(orders, name).holds & HOLD_MAINTENANCE) !== 0,
      held: clients.filter(({ database, state }) => database === name && state === 'held').length,
    }));
  },
});
