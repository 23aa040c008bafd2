/** Defaults of the small sections, each with its reason. */
import type { z } from 'zod';
import { type DefaultTable, row } from './default-row.js';
import type { adminSchema, multiTenantSchema, tcpSchema } from './schema.js';

const AS_PGDOG = 'as PgDog';

export type TcpInput = z.infer<typeof tcpSchema>;

export const TCP_DEFAULTS = {
  keepalive: row(true, '', 'Probe idle connections of clients and servers.', AS_PGDOG),
  time: row(
    null as number | null,
    'ms',
    'Idle time before the first probe. Unset: the system decides.',
    AS_PGDOG,
  ),
  interval: row(null as number | null, 'ms', 'Time between probes. Unset: the system decides.', AS_PGDOG),
  retries: row(null as number | null, '', 'Probes before giving up. Unset: the system decides.', AS_PGDOG),
  user_timeout: row(
    null as number | null,
    'ms',
    'Give up unacknowledged data after this long. Unset: the system decides.',
    AS_PGDOG,
  ),
  defer_accept: row(
    true,
    '',
    'The kernel keeps new connections to itself until the client speaks, for 45 s at most.',
    'saves a wake-up per connect, and silent strangers cost no descriptor; as PgBouncer',
    'pgbouncer',
  ),
} as const satisfies DefaultTable<Omit<TcpInput, 'congestion_control'>>;

export const ADMIN_DEFAULTS = {
  name: row('admin', '', 'Name of the admin database.', AS_PGDOG),
  user: row('admin', '', 'Who may enter it.', AS_PGDOG),
  password: row(
    null,
    '',
    'Password; also `PGDOG_ADMIN_PASSWORD`. Unset: a random one, so nobody may enter.',
    'never written anywhere; set one to use the admin database',
  ),
  admin_users: row(
    null,
    '',
    'Users of users.toml who may enter it too and give every order, with their own passwords.',
    'as PgBouncer, with an empty list',
    'pgbouncer',
  ),
  stats_users: row(
    null,
    '',
    'Users of users.toml who may enter it and SHOW, but not order.',
    'as PgBouncer, with an empty list',
    'pgbouncer',
  ),
} as const satisfies DefaultTable<z.infer<typeof adminSchema>>;

export const MULTI_TENANT_DEFAULTS = {
  column: row(
    null,
    '',
    'Column that tells tenants apart. Set: every statement must restrict each table that has it to one tenant, or is refused (42501) unsent; `multi_tenant = false` of a database exempts it.',
    'as PgDog',
  ),
} as const satisfies DefaultTable<z.infer<typeof multiTenantSchema>>;
