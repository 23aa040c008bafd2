import type { HostFigures } from '../admin/host-figures.js';
import type { Labels, Metric } from './metric.js';

const HOST_LABELS = ['host', 'port'] as const;

const labelsOf = ({ host }: HostFigures): Labels => ({ host: host.host, port: String(host.port) });

/** One sample per host; none where `value` is null. */
function hostMetric(
  name: string,
  type: Metric['type'],
  help: string,
  value: (figures: HostFigures) => number | null,
): Metric {
  return {
    name,
    type,
    help,
    labels: HOST_LABELS,
    *samples({ hosts }) {
      for (const figures of hosts) {
        const number = value(figures);
        if (number !== null) yield [labelsOf(figures), number];
      }
    },
  };
}

const seconds = (ms: number | null) => (ms === null ? null : ms / 1000);

export const HOST_METRICS: readonly Metric[] = [
  hostMetric('host_up', 'gauge', '1 when its last checks passed, 0 when they failed.', ({ health }) =>
    health === 'unknown' ? null : Number(health === 'healthy'),
  ),
  {
    name: 'host_role',
    type: 'gauge',
    help: 'Always 1; `role` says what it was found to be: primary, replica, unknown.',
    labels: [...HOST_LABELS, 'role'],
    *samples({ hosts }) {
      for (const figures of hosts) yield [{ ...labelsOf(figures), role: figures.role }, 1];
    },
  },
  {
    name: 'host_banned',
    type: 'gauge',
    help: '1 while it is not read from, with the reason (`admin`: by BAN); else 0.',
    labels: [...HOST_LABELS, 'reason'],
    *samples({ hosts }) {
      for (const figures of hosts) {
        const reason = figures.isBanOrdered ? 'admin' : figures.banReason;
        yield [{ ...labelsOf(figures), reason }, Number(reason !== '')];
      }
    },
  },
  hostMetric('host_replica_lag_seconds', 'gauge', 'Behind the primary.', ({ lagMs }) => seconds(lagMs)),
  hostMetric('host_replica_lag_bytes', 'gauge', 'Log not replayed yet.', ({ lagBytes }) => lagBytes),
  hostMetric('host_timeline', 'gauge', 'Timeline it is on.', ({ timeline }) => timeline),
  hostMetric(
    'host_check_duration_seconds',
    'gauge',
    'How long the last check took.',
    ({ latencyUs }) => latencyUs / 1e6,
  ),
  hostMetric('host_check_age_seconds', 'gauge', 'Since a check passed.', ({ ageMs }) => seconds(ageMs)),
  hostMetric(
    'host_in_flight',
    'gauge',
    'Server connections that serve a client.',
    ({ inFlight }) => inFlight,
  ),
  hostMetric('host_bans_total', 'counter', 'How often it was banned.', ({ bans }) => bans),
  hostMetric(
    'host_role_changes_total',
    'counter',
    'How often its role changed.',
    ({ roleChanges }) => roleChanges,
  ),
  hostMetric(
    'host_failed_checks_total',
    'counter',
    'Checks that failed.',
    ({ failedChecks }) => failedChecks,
  ),
  hostMetric(
    'host_connect_failures_total',
    'counter',
    'Connects of workers that failed, refused logins not counted, since it was configured.',
    ({ connectFailures }) => connectFailures,
  ),
  hostMetric(
    'host_resets_total',
    'counter',
    'Connections lost while they served, since it was configured.',
    ({ resets }) => resets,
  ),
];
