// Writes docs/reference/configuration.md and pgbouncer.md from the tables the program itself reads. `--check` only compares
// (exit code 1 when one is out of date). Needs a build.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import {
  ADMIN_DEFAULTS,
  CONFIG_SOURCE_DEFAULTS,
  databaseSchema,
  GENERAL_DEFAULTS,
  LATER_DATABASE,
  LATER_GENERAL,
  LATER_SECTIONS,
  LATER_USER,
  MULTI_TENANT_DEFAULTS,
  omnishardedTableSchema,
  PGBOUNCER_DATABASE_KEYS,
  PGBOUNCER_SETTINGS,
  PGBOUNCER_USER_KEYS,
  REWRITE_DEFAULTS,
  shardedSchemaSchema,
  shardedTableSchema,
  shardMappingSchema,
  TCP_DEFAULTS,
  userSchema,
} from '@pgdog-cluster/core/config';

const FOLDER = new URL('../docs/reference/', import.meta.url);
const ORIGINS = { pgdog: 'PgDog', pgbouncer: 'PgBouncer', ours: 'ours' };

function cell(text) {
  return String(text).replaceAll('|', '\\|');
}

function formatDefault({ default: value, unit }) {
  if (value === null) return 'none';
  const text = typeof value === 'string' ? `"${value}"` : String(value);
  return unit === '' ? `\`${text}\`` : `\`${text}\` ${unit}`;
}

function table(rows) {
  const lines = ['| key | default | meaning | why this default | name from |', '|---|---|---|---|---|'];
  for (const [key, row] of Object.entries(rows)) {
    const cells = [`\`${key}\``, formatDefault(row), row.meaning, row.reason, ORIGINS[row.origin]];
    lines.push(`| ${cells.map(cell).join(' | ')} |`);
  }
  return lines.join('\n');
}

function names(keys) {
  return keys.map((key) => `\`${key}\``).join(', ');
}

function laterTable(rows) {
  const lines = ['| key | if set to something else | silent at |', '|---|---|---|'];
  for (const [key, { harmless, refusal }] of Object.entries(rows)) {
    const silent = harmless.map((value) => `\`${JSON.stringify(value)}\``).join(', ') || 'absence only';
    lines.push(
      `| \`${key}\` | ${cell(refusal === undefined ? 'warning, ignored' : `refused: ${refusal}`)} | ${silent} |`,
    );
  }
  return lines.join('\n');
}

const usable = (schema, later) => Object.keys(schema.shape).filter((key) => !Object.hasOwn(later, key));

const keysOf = (schema) => names(Object.keys(schema.shape));

const text = `# Configuration

<!-- Written by scripts/print-configuration.mjs from packages/core/src/config; edit there. -->

Two TOML files with PgDog's names: \`pgdog.toml\` (\`-c\`) and \`users.toml\` (\`-u\`), taken from the current directory
when not given. \`-d postgres://user:password@host:port/database?pool_size=10\` adds a database and a user without
any file. \`pgdog-cluster check\` tells every mistake with file, line and key; \`check --connect\` also logs in to each
server; \`pgdog-cluster setup\` makes on the shards of a database what commits over several need; \`pgdog-cluster schema\` prints a JSON Schema for editors, \`schema sql\` the tables of [config_source].

- Durations are whole numbers of milliseconds; anything beyond 2147483647 (24 days) means "no limit".
- A [general] key is taken from the command line, else the file, else \`PGDOG_<KEY>\`, else the default below.
- \`pool_size\`, \`min_pool_size\`, \`pooler_mode\`, \`idle_timeout\`, \`server_lifetime\` and the like: a user's value wins over
  a database's, which wins over [general].
- Secrets (\`password\`, \`passwords\`, \`password_hash\`, \`server_password\`, \`auth_password\`, \`openmetrics_token\`) are a text,
  \`{ env = "NAME" }\` or \`{ file = "path" }\`, the path being relative to the file that names it.
- An unknown key is an error that names the nearest known one.
- \`include = ["conf.d/*.toml", "tenants/"]\`, before the first table of a file: further files, each with anything that either file may hold, relative to the
  file that names them. A key or an entry that two files have is an error with both places: [where the configuration comes from](../internals/configuration-sources.md).

## [general]

${table(GENERAL_DEFAULTS)}

## [tcp]

${table(TCP_DEFAULTS)}

## [admin] (in either file; users.toml wins)

${table(ADMIN_DEFAULTS)}

## [config_source]

Databases and users out of tables of a Postgres database, beside those of files. How it works: [where the configuration comes from](../internals/configuration-sources.md#config_source-tables-of-a-postgres-database).

${table(CONFIG_SOURCE_DEFAULTS)}

## [multi_tenant]

${table(MULTI_TENANT_DEFAULTS)}

Rules: [multi-tenant](../internals/multi-tenant.md).

## [[mirroring]]

What clients of \`source_db\` do is done again in \`destination_db\`, and nobody waits for it. Both are required. \`queue_length\` and \`exposure\`
are \`mirror_queue\` and \`mirror_exposure\` unless given; \`level\` is \`all\`, \`ddl\` (transactions that change definitions) or \`dml\` (all others). Several
entries may share a source. A mirror onto itself, and mirrors in a circle, are refused. Entries are read at the start: a change needs a restart. Rules: [mirroring](../internals/mirroring.md).

## [[databases]]

One entry per host; entries of one name are the hosts of one database. \`shard\` (0 unless given) tells its shards apart, numbered from 0 without
gaps, each with its own primary and replicas. Required: \`name\`, \`host\`. \`port\` is 5432 and \`database_name\` (the name on the
server) is \`name\` unless given; \`user\` and \`password\` replace the client's towards the server. \`read_only\` sets
default_transaction_read_only; \`multi_tenant = false\` exempts it from [multi_tenant]. A \`host\` that begins with \`/\` is a directory of Unix sockets, one with \`@\` an abstract name;
\`require_peer\` then names the system's user who must run the server. An entry may be named \`pgdog\` or \`pgbouncer\`; otherwise these names open the admin
database too. \`auth_user\`, \`auth_password\`, \`auth_query\` and \`auth_dbname\` take the place of the general ones.

A \`name\` with stars serves every name that fits and that no more exact entry has: the database is made at its first login, and forgotten after \`tenant_idle_timeout\`. \`host\` and
\`database_name\` (the client's name unless given) may have \`{name}\`, and \`{1}\`, \`{2}\` for what the stars stand for. Every limit is that of each such database; \`min_pool_size\` of
[general] does not hold for them, and \`auth_query\` needs \`auth_dbname\`. Rules: [tenants](../internals/tenants.md).

Keys: ${names(usable(databaseSchema, LATER_DATABASE))}.

## Sharding: [[sharded_tables]], [[sharded_schemas]], [[omnisharded_tables]]

Of databases whose entries have several \`shard\` numbers. Names are written as in SQL: capitals count only within double quotes. How it works: [sharding](../internals/sharding.md).

[[sharded_tables]]: rows are where the value of \`column\` says. Required: \`database\`, \`column\`. \`name\`: one table, without it every table that has
the column (but those of [[omnisharded_tables]]); \`schema\`: only there. A table has one rule; partitions follow their parent. \`data_type\` is \`bigint\` (default), \`int\`, \`smallint\`,
\`uuid\`, \`varchar\`, \`text\`, \`date\`, \`timestamp\`, \`timestamptz\`, \`numeric\` or \`bytea\`, and must be the column's (the three integers are one, and so are varchar and text). \`hasher\` is \`postgres\` (default: as
PARTITION BY HASH) or \`sha1\` (integers, uuid, text).
\`unique_per_shard = true\`: a primary key, unique or exclusion constraint that does not have \`column\` in it may hold on each shard by itself, because
the application makes its values unique; without it, writes that would have to be checked on all shards are refused. \`primary\` has no effect. \`lookup_query\`: a query that knows the shard
of a key, its only parameter $1 (integers, uuid, text), from tables that are whole on every shard: by \`lookup_result\` a \`value\` (default) that is hashed in place of the key, or the \`shard\` itself. Refused in this version: \`data_type = "vector"\` and \`centroids\`.

Keys: ${keysOf(shardedTableSchema)}.

[[sharded_tables.mapping]], below its table, in place of a hash: \`values = […]\` with \`shard\` (a list), \`start\` and \`end\` with \`shard\` (a range: start included, end not, either
left out for open), \`shard\` alone (all other values). Tried in this order. Values are texts in quotes, as Postgres would read them, or whole numbers; text compares byte by
byte. A value listed twice and ranges that overlap are errors. Entries of the deprecated [[sharded_mappings]] are taken for such.

Keys: ${keysOf(shardMappingSchema)}.

[[sharded_schemas]]: the schema \`name\` (without it: every schema that has no entry) is on \`shard\` (0 unless given) only, or with \`all = true\` on every shard.

Keys: ${keysOf(shardedSchemaSchema)}.

[[omnisharded_tables]]: \`tables\` are whole on every shard, \`name\` or \`schema.name\` each. So is any table without a rule; an entry is needed only for one that has the column of a rule without
\`name\`. \`sticky = true\` is \`omnisharded_sticky\` of [general] for the whole database.

Keys: ${keysOf(omnishardedTableSchema)}.

### [rewrite]

${table(REWRITE_DEFAULTS)}

## users.toml: [[users]]

Required: \`name\`, and one of \`database\`, \`databases\`, \`all_databases = true\`. \`password\` or \`passwords\` (each is
accepted, and tried in turn towards servers), in clear or as \`pgdog-cluster hash\` prints it, or \`password_hash\`. Where only a
hash is known, servers are opened with what clients prove, or with \`server_password\`. None of them is needed where \`auth_query\`
or \`passthrough_auth\` finds users, or where \`identity\` names a client certificate (common name, DNS name or URI) that stands for
the password; \`tls_client_certificate_required\` lets nobody in without one. \`auth_type\` is the user's own method. Entries of one name may differ in password as long as no database
falls under both. \`schema_admin = true\`: the catalogs of a database with several shards are read as this user.

Keys: ${names(usable(userSchema, LATER_USER))}.

## URL parameters of -d

\`name\` (what clients ask for, if not the path), \`host\` (a directory of Unix sockets, as with libpq), \`port\`, \`require_peer\`, \`database_name\`, \`user\` and \`password\` (towards the server), \`role\`,
\`shard\`, \`pool_size\`, \`min_pool_size\`, \`pooler_mode\`, \`statement_timeout\`, \`lock_timeout\`, \`idle_timeout\`, \`read_only\`,
\`server_lifetime\`, \`server_lifetime_jitter\`, \`sslmode\`, \`sslrootcert\`, \`sslcert\`, \`sslkey\` (as libpq; they set \`tls_verify\` and its files). \`PGDOG_DATABASE_URL_1\` and so on
in the environment are read the same way.

## Keys of PgDog that this version does not use

Known, so that an existing configuration loads. Where going on without the feature would be wrong in a way nobody
notices, the value is refused.

### [general]

${laterTable(LATER_GENERAL)}

### [[databases]]

${laterTable(LATER_DATABASE)}

### [[users]]

${laterTable(LATER_USER)}

### Sections

${laterTable(LATER_SECTIONS)}
`;

/** What the settings mean together is code; these are its words. */
const JOINED = {
  admin_users:
    '`[admin] user`: the first, with its password of auth_file, `admin_users`: the others; the admin database is called `pgbouncer`',
  stats_users: '`[admin] stats_users`',
  unix_socket_mode: '`unix_socket_mode`',
  unix_socket_group: '`unix_socket_group`',
  reserve_pool_size: '`reserve_pool_size`; 0 while reserve_pool_timeout is 0',
  reserve_pool: '`reserve_pool_size`',
  reserve_pool_timeout: '`reserve_pool_timeout`',
  server_check_delay: '`healthcheck_interval`',
  server_check_query:
    'empty: no checks; else an empty query is sent, with a warning where yours is another than `select 1`',
  server_reset_query:
    'DISCARD, RESET and the like: done anyway; empty: warning; statements of your own: refused',
  auth_type: '`auth_type`; `any`, `ldap`, `pam`: refused',
  auth_file: 'entries of users.toml, for all databases',
  auth_hba_file: '`auth_hba_file`, while auth_type is hba',
  auth_ident_file: '`auth_ident_file`, while auth_type is hba',
  client_tls_sslmode: '`client_tls_sslmode`',
  client_tls_ca_file: '`tls_client_ca_certificate`, from verify-ca on',
  client_tls_cert_file: '`tls_certificate`',
  client_tls_key_file: '`tls_private_key`',
  server_tls_ca_file: '`tls_server_ca_certificate`',
  server_tls_cert_file: '`tls_server_certificate`',
  server_tls_key_file: '`tls_server_private_key`',
  dbname: '`database_name`',
  host: '`host`; a list: an entry each with `role = "auto"`, and a warning; none: unix_socket_dir',
  user: '`user`',
  password: '`password`; without one, that of the user in auth_file',
};

function ruleText(key, rule) {
  const silent = (rule.harmless ?? []).map((value) => `\`${value === '' ? '(empty)' : value}\``).join(', ');
  const except = silent === '' ? '' : `; silent at ${silent}`;
  if (rule.kind === 'map') return `\`${rule.to.replace('general.', '')}\``;
  if (rule.kind === 'ignore') return `warning: ${rule.why}${except}`;
  if (rule.kind === 'refuse') return `refused: ${rule.why}${except}`;
  return JOINED[key];
}

function ruleTable(rules) {
  const lines = ['| setting | here |', '|---|---|'];
  for (const [key, rule] of Object.entries(rules)) {
    lines.push(`| \`${key}\` | ${cell(ruleText(key, rule))} |`);
  }
  return lines.join('\n');
}

const pgbouncerText = `# PgBouncer's configuration

<!-- Written by scripts/print-configuration.mjs from packages/core/src/config/pgbouncer; edit there. -->

\`pgdog-cluster --pgbouncer-ini pgbouncer.ini\` runs from PgBouncer's own files: the ini with what it includes, auth_file,
auth_hba_file, auth_ident_file. \`check\` and \`route\` take the option too. \`pgdog-cluster import-pgbouncer pgbouncer.ini -o
directory\` writes the same as pgdog.toml and users.toml, each key with the line it came from.

- What the ini does not say has PgBouncer's default where ours is another: session mode, 20 server connections per pool, 100
  clients, a wait of 120 s.
- Names, units and quotes are PgBouncer's: seconds without a unit, 0 and 1, 0 for "no limit". Paths are relative to the
  working directory. Of two lines with one key the later counts.
- What has no meaning here is told by a warning, what would change answers or whom clients reach is refused, each by its name;
  an unknown key is an error with file, line and the nearest known key.
- A client that waits for longer than query_wait_timeout gets an error and stays connected.

## [pgbouncer]

${ruleTable(PGBOUNCER_SETTINGS)}

## [databases]

${ruleTable(PGBOUNCER_DATABASE_KEYS)}

## [users]

${ruleTable(PGBOUNCER_USER_KEYS)}

## [peers]

Read and checked; one warning each: cancel requests are not passed on to other processes.
`;

for (const [name, content] of [
  ['configuration.md', text],
  ['pgbouncer.md', pgbouncerText],
]) {
  const target = new URL(name, FOLDER);
  if (!process.argv.includes('--check')) {
    writeFileSync(target, content);
  } else if (!existsSync(target) || readFileSync(target, 'utf8') !== content) {
    console.error(`docs/reference/${name} is out of date: node scripts/print-configuration.mjs`);
    process.exitCode = 1;
  }
}
