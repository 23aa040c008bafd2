/** The rows of GENERAL_DEFAULTS about databases that are made of a pattern at their first login. */
import { row } from './default-row.js';

export const TENANT_DEFAULTS = {
  tenants_max: row(
    10_000,
    '',
    'Databases at one time that were made of entries whose name is a pattern. Beyond, names that are not served yet are refused. Room in shared memory is made at start. See docs/internals/tenants.md.',
    'bounds the memory that names can ask for',
    'ours',
  ),
  tenant_idle_timeout: row(
    300_000,
    'ms',
    'Such a database is forgotten when it has had no client and no server connection for so long. 0: never.',
    'PgBouncer: autodb_idle_timeout, an hour',
    'ours',
  ),
} as const;
