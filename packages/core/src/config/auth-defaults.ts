/** The rows of GENERAL_DEFAULTS about authentication. */
import { row } from './default-row.js';

const AS_PGDOG = 'as PgDog';

export const AUTH_DEFAULTS = {
  auth_type: row(
    'scram' as const,
    '',
    'How clients log in: `scram`, `md5`, `plain`, `trust`, `cert`, or `hba`: as the rules of `auth_hba_file` say. `scram-sha-256` and `password` are other names of `scram` and `plain`. See docs/internals/authentication.md.',
    AS_PGDOG,
  ),
  passthrough_auth: row(
    'disabled' as const,
    '',
    "Users without a password in users.toml send their own, which the server checks and which is then used towards it: `enabled` (over TLS and Unix sockets only), `enabled_plain` (always). `…_allow_change`: another password that the server accepts replaces the pool's.",
    AS_PGDOG,
  ),
  plain_auth_without_tls: row(
    false,
    '',
    '`auth_type = "plain"` asks for the password on connections that are not encrypted too.',
    'anybody on the way could read it',
    'ours',
  ),
  auth_hba_file: row(
    null as string | null,
    '',
    'Rules as in `pg_hba.conf`, for `auth_type = "hba"`. Relative to this file.',
    'as PgBouncer',
    'pgbouncer',
  ),
  auth_ident_file: row(
    null as string | null,
    '',
    'Maps as in `pg_ident.conf`, for `map=` in those rules. Relative to this file.',
    'as PgBouncer',
    'pgbouncer',
  ),
  auth_user: row(
    null as string | null,
    '',
    'Who asks `auth_query`. Unset: users come from users.toml only.',
    'as PgBouncer',
    'pgbouncer',
  ),
  auth_password: row(
    null,
    '',
    "Password of `auth_user`. Unset: that of the user's entry in users.toml.",
    'PgBouncer has it in auth_file',
    'ours',
  ),
  auth_dbname: row(
    null as string | null,
    '',
    'Entry of [[databases]] in which `auth_query` is asked. Unset: the one the client wants.',
    'as PgBouncer',
    'pgbouncer',
  ),
  auth_query: row(
    'SELECT rolname::text, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin',
    '',
    'Gives name and password hash (`md5…` or `SCRAM-SHA-256$…`) of user `$1`. Functions of your own need their schema: the search path is `pg_catalog`.',
    'roles that may not log in or whose time is over stay out',
    'pgbouncer',
  ),
  auth_query_cache_ttl: row(
    10_000,
    'ms',
    'How long an answer is used. A password that is wrong by it is looked up again. 0: asked at each login.',
    'a dropped role stays in for so long at most; PgBouncer asks each time',
    'ours',
  ),
  auth_query_failure_ttl: row(
    1_000,
    'ms',
    'The same for users that were not found and questions that failed.',
    'a storm of unknown users is one question a second each',
    'ours',
  ),
  auth_query_cache_size: row(10_000, '', 'Answers kept, the oldest go first.', 'some MB', 'ours'),
  dynamic_users_max: row(
    1_000,
    '',
    'Pairs of database and user with a pool although users.toml does not list them (auth_query, passthrough). They are kept until the end, of databases by pattern as long as those.',
    'bounds the memory that strangers can ask for',
    'ours',
  ),
  password_grace_period: row(
    300_000,
    'ms',
    'After a reload that changes the passwords of a user in users.toml, the former ones are accepted beside the new for this long, and tried towards servers after them. A former hash serves only where it has the salt of the new one. 0: the former ones are refused from the reload on.',
    'programs that still start with the old password go on until they have the new one',
    'ours',
  ),
  auth_failures_max: row(
    60,
    '',
    'Failed logins of one user from one address in `auth_failures_window`; ten times as many from one address in all. Beyond, logins are refused unread until time has made room. 0: no limit.',
    'a guess a second; an address shared by many suffers only for its own users',
    'ours',
  ),
  auth_failures_window: row(
    60_000,
    'ms',
    'See `auth_failures_max`.',
    'as long as it takes to notice',
    'ours',
  ),
} as const;
