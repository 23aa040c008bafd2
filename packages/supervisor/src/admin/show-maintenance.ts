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
    column('cl_held', 'numeric', 'Clients that wait for its end.', (row) => row.held),
  ],
  async rows({ config, reportClients }) {
    const clients = await reportClients();
    const { databases, maintenance = [] } = config();
    return databases.map(({ name }) => ({
      database: name,
      isOn: maintenance.includes(name),
      held: clients.filter(({ database, state }) => database === name && state === 'held').length,
    }));
  },
});
