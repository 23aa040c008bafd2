import { allHostFigures, formatLsn, type HostFigures } from './host-figures.js';
import { column, defineShow } from './show.js';

export const SHOW_REPLICAS = defineShow<HostFigures>({
  name: 'replicas',
  privilege: 'admin',
  description: 'Every host: what it is, how it is, how far behind, what it is used for.',
  columns: [
    column('id', 'bigint', 'Number of the host.', (row) => row.host.index),
    column('addr', 'text', 'Host, as configured.', (row) => row.host.host),
    column('port', 'numeric', 'Port.', (row) => row.host.port),
    column('addresses', 'text', 'What its name resolves to.', (row) =>
      row.host.addresses.map(({ text }) => text).join(', '),
    ),
    column('databases', 'text', 'Databases clients reach there.', (row) => row.databases.join(', ')),
    column('configured', 'text', 'Role by the configuration.', (row) => row.configured),
    column(
      'role',
      'text',
      'primary, replica or unknown, as measured; of a database with one host: not measured.',
      (row) => row.role,
    ),
    column('health', 'text', 'healthy, failing or unknown (not checked yet).', (row) => row.health),
    column('ban_reason', 'text', 'Why it is not used; empty: it is.', (row) => row.banReason),
    column('orders', 'text', "The operator's orders.", (row) => row.orders),
    column('replica_lag', 'bigint', 'ms behind the primary.', (row) => row.lagMs),
    column('replica_lag_bytes', 'numeric', 'Bytes of the log not replayed yet.', (row) => row.lagBytes),
    column('pg_lsn', 'text', 'Position written (a primary) or replayed.', (row) =>
      row.lsn === null ? null : formatLsn(row.lsn),
    ),
    column('timeline', 'numeric', 'Timeline it is on.', (row) => row.timeline),
    column('latency_us', 'numeric', 'How long the last check took, microseconds.', (row) => row.latencyUs),
    column('check_age', 'bigint', 'ms since a check passed.', (row) => row.ageMs),
    column('in_flight', 'numeric', 'Server connections that serve a client.', (row) => row.inFlight),
    column(
      'connect_failures',
      'numeric',
      'Connects that failed, as workers met them; refused logins are not counted.',
      (row) => row.connectFailures,
    ),
    column('resets', 'numeric', 'Connections lost while they served.', (row) => row.resets),
    column('shutdowns', 'numeric', 'Errors 57P01, 57P02, 57P03.', (row) => row.shutdowns),
  ],
  rows: ({ memory, config, nowMs }) => allHostFigures(memory.hosts, config(), nowMs()),
});
