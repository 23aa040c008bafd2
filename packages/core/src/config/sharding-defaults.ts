/** Defaults of the keys about sharding: part of GENERAL_DEFAULTS, and those of [rewrite]. */
import { row } from './default-row.js';

const AS_PGDOG = 'as PgDog';

export const SHARDING_DEFAULTS = {
  cross_shard: row(
    'full' as const,
    '',
    'Statements that need several shards: `full` (all that can be answered exactly), `merge` (only where rows of the shards need no more than merging here), `direct_only` (none: 0A000).',
    'what cannot be exact is refused anyway',
    'ours',
  ),
  cross_shard_disabled: row(
    false,
    '',
    '`true` is `cross_shard = "direct_only"`; also per database and user (user over database over general).',
    AS_PGDOG,
  ),
  two_phase_commit: row(
    null as boolean | null,
    '',
    'COMMIT of writes on several shards: `true`, in two phases; `false`, one shard after the other, so that a failure between leaves half of it. Unset: in two phases where `max_prepared_transactions` of all shards allows it, else such writes are refused.',
    'PgDog takes false, which is not atomic',
  ),
  system_catalogs: row(
    'omnisharded_sticky' as const,
    '',
    'Who answers about pg_catalog and information_schema: one shard per client (`omnisharded_sticky`), or any (`omnisharded`).',
    AS_PGDOG,
  ),
  omnisharded_sticky: row(
    false,
    '',
    'Reads of tables that are whole on every shard go to one shard per client, drawn by lot; else to any.',
    AS_PGDOG,
  ),
  load_schema: row(
    'auto' as const,
    '',
    'A database of several shards has its schema read from their catalogs at the start, after DDL and when a name is unknown; `auto` and `on`: also every load_schema_interval, for DDL that went past us; `off`: not. One of one shard is not read.',
    AS_PGDOG,
  ),
  load_schema_interval: row(
    30_000,
    'ms',
    'How often. 0: only at the start and when needed.',
    'DDL that went past us is noticed within half a minute, for one query per shard',
    'ours',
  ),
  two_phase_recovery_interval: row(
    5_000,
    'ms',
    'How often the shards are asked for prepared transactions that nobody is at work on any more, and these are ended as their deciding shard says. First at the start. 0: never, another proxy does it.',
    'rows that a dead proxy has left locked are free within seconds, for one login per shard',
    'ours',
  ),
  omnisharded_check_interval: row(
    86_400_000,
    'ms',
    'How often tables that every shard has whole are read and compared, as SHOW OMNI_DRIFT does; first after one interval. A table that is not the same on all shards is said in the log and counted in `omni_tables_differing`. 0: only by SHOW OMNI_DRIFT.',
    'a reading a day of tables that are small by their nature',
    'ours',
  ),
  node_id: row(
    null as number | null,
    '',
    'Number of this proxy in the ids that it makes, 0 to 1023 (`compact`: 63). The environment variable `NODE_ID` gives it as well, as a number or with a name before it (`proxy-3`). Unset: of databases with several shards one that no other proxy has, claimed on the first shard; of others 0. Two proxies that are given one number: the second makes no ids of databases with several shards (55000).',
    'proxies find numbers of their own',
    'ours',
  ),
  unique_id_function: row(
    'standard' as const,
    '',
    'Ids of `pgdog.unique_id()`: `standard` (63 bits, 4,096 per ms and proxy) or `compact` (53 bits, which every JSON reader holds exactly, 64 per ms).',
    AS_PGDOG,
  ),
  unique_id_min: row(0, '', 'Added to every id that is made.', AS_PGDOG),
  sharding_lookup_cache_size: row(
    64 * 1024 * 1024,
    'bytes',
    'What the workers together remember of answers to `lookup_query`: each for ten minutes, keys without an answer for a second, until RELOAD.',
    AS_PGDOG,
  ),
  sharding_lookup_timeout: row(
    5_000,
    'ms',
    'How long a statement waits for an answer to `lookup_query`, which it asks for 500 of its keys at a time; then it fails. 0: 30 s.',
    AS_PGDOG,
  ),
};

export const REWRITE_DEFAULTS = {
  enabled: row(false, '', 'Known from PgDog, where it only silences a warning. No effect.', AS_PGDOG),
  shard_key: row(
    'error' as const,
    '',
    'UPDATE that sets a sharding key to a value of another shard: `error`, or `rewrite` (rows move, in one transaction; statements that wait for such a row find it deleted). `ignore` would leave rows where nobody looks for them, and is refused.',
    AS_PGDOG,
  ),
  split_inserts: row(
    'rewrite' as const,
    '',
    'INSERT of rows for several shards: `rewrite` (each shard gets its own), or `error`. `ignore` is refused.',
    'PgDog takes error; the split is exact',
  ),
  primary_key: row(
    'ignore' as const,
    '',
    'Rows of INSERT … VALUES that leave a primary key of one bigint to its default get an id as `pgdog.unique_id()` makes them: `ignore` (none do), `rewrite` (of all tables of databases with several shards), `rewrite_omni` (of those that are whole on every shard), `error` (such rows are refused, of all tables).',
    AS_PGDOG,
  ),
};
