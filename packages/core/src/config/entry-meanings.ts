/** What the keys of the lists and small sections mean, for the JSON Schema: one sentence each. The defaults tables have the rest. */
type Meanings = Readonly<Record<string, string>>;

/** Of a pool, where a database or a user says it. */
const POOL: Meanings = {
  pool_size: 'Server connections per pool.',
  max_pool_size: 'Alias of `pool_size`.',
  min_pool_size: 'Server connections kept open per pool.',
  pool_size_primary: '`pool_size` of primaries.',
  min_pool_size_primary: '`min_pool_size` of primaries.',
  pool_size_replica: '`pool_size` of replicas.',
  min_pool_size_replica: '`min_pool_size` of replicas.',
  pooler_mode: 'When a server connection goes back.',
  statement_timeout: "Postgres's setting of that name, on server connections. ms",
  lock_timeout: "Postgres's setting of that name, on server connections. ms",
  idle_timeout: 'Close server connections unused for this long. ms',
  idle_timeout_primary: '`idle_timeout` of primaries. ms',
  idle_timeout_replica: '`idle_timeout` of replicas. ms',
  read_only: 'Sets default_transaction_read_only on server connections.',
  server_lifetime: 'Replace server connections older than this. ms',
  server_lifetime_jitter: 'Random part of the lifetime. ms',
  reserve_pool_size: 'Server connections beyond the pool size for clients that have waited.',
  checkout_timeout: 'How long a client waits for a server connection. ms',
  query_timeout: 'Longest exchange. ms',
  transaction_timeout: 'Longest transaction. ms',
  client_idle_timeout: 'Disconnect clients idle for this long. ms',
  client_idle_in_transaction_timeout: 'Disconnect clients idle in a transaction for this long. ms',
  cross_shard_disabled: 'Statements on several shards are refused.',
};

export const DATABASE_MEANINGS: Meanings = {
  ...POOL,
  name: 'Name clients ask for; with stars, every name that fits. Entries of one name are the hosts of one database.',
  host: 'Name or address of the server; a directory (`/…`) or `@name` of a Unix socket.',
  port: 'Its port.',
  role: '`primary`, `replica`, or `auto`: it is asked.',
  shard: 'Number of the shard, from 0 without gaps.',
  lb_weight: 'Share of reads with weighted_round_robin, 0 to 255.',
  patroni_url: 'REST API of Patroni, one or several members.',
  database_name: 'Name on the server. Unset: `name`.',
  user: "Who all clients are on the server. Unset: the client's own name.",
  password: 'Password of `user`.',
  require_peer: "System's user who must run the server behind a Unix socket.",
  multi_tenant: 'Whether [multi_tenant] holds here.',
  auth_user: 'Who asks `auth_query`.',
  auth_password: 'Password of `auth_user`.',
  auth_dbname: 'Entry of [[databases]] in which `auth_query` is asked.',
  auth_query: 'Gives name and password hash of user `$1`.',
  max_db_connections: 'Server connections of the database, over all its users. 0: no limit.',
  max_db_client_connections: 'Clients of the database. 0: no limit.',
  tls_verify: 'TLS towards this server.',
  tls_server_ca_certificate: 'File with the authorities of its certificate.',
  tls_server_certificate: 'File with the certificate shown to it.',
  tls_server_private_key: 'File with the key of that certificate.',
};

export const USER_MEANINGS: Meanings = {
  ...POOL,
  name: 'Name clients log in by.',
  database: 'A database that the user may enter.',
  databases: 'Databases that the user may enter, names and patterns.',
  all_databases: 'The user may enter every database.',
  password: 'In clear or as `pgdog-cluster hash` prints it; also used towards servers.',
  passwords: 'Several: each is accepted, and tried in turn towards servers.',
  password_hash: 'A SCRAM verifier or md5 hash.',
  server_user: "Who the user is on servers. Unset: the user's own name.",
  server_password: 'Password towards servers, where it is another.',
  auth_type: 'How this user logs in.',
  identity: 'Name in a client certificate that stands for the password.',
  tls_client_certificate_required: 'Nobody gets in by this name without a certificate.',
  max_user_connections: 'Server connections of the user, over all databases. 0: no limit.',
  max_user_client_connections: 'Clients of the user. 0: no limit.',
  schema_admin: 'Catalogs are read as this user.',
};

export const MIRRORING_MEANINGS: Meanings = {
  source_db: 'Whose transactions run again.',
  destination_db: 'Where.',
  queue_length: 'Transactions that may wait. Unset: `mirror_queue`.',
  exposure: 'Share of transactions, 0 to 1. Unset: `mirror_exposure`.',
  level: '`all`, `ddl` (transactions that change definitions) or `dml` (the others).',
};

const MAPPING: Meanings = {
  values: 'Values of the key that are on this shard.',
  start: 'First value of a range that is on this shard.',
  end: 'First value behind that range.',
  shard: 'Number of the shard. Alone: of all other values.',
};

/** Of each list, and of lists in them (`list.key`). */
export const LIST_MEANINGS: Readonly<Record<string, Meanings>> = {
  databases: DATABASE_MEANINGS,
  users: USER_MEANINGS,
  mirroring: MIRRORING_MEANINGS,
  sharded_tables: {
    database: 'Name of the database.',
    name: 'The table. Unset: every table that has the column.',
    schema: 'Only in this schema.',
    column: 'The sharding key.',
    data_type: 'Its type.',
    hasher: '`postgres` (as PARTITION BY HASH) or `sha1`.',
    primary: 'Has no effect.',
    lookup_query: 'Query that knows the shard of a key, its only parameter `$1`.',
    lookup_result: 'What it gives: a `value` that is hashed in place of the key, or the `shard`.',
    unique_per_shard: 'Unique constraints without the sharding key may hold on each shard by itself.',
    mapping: 'Shards by value or range in place of a hash.',
    centroids: 'Refused: vectors cannot be sharding keys in this version.',
    centroids_path: 'Refused, as centroids.',
    centroid_probes: 'Refused, as centroids.',
  },
  'sharded_tables.mapping': MAPPING,
  sharded_mappings: {
    ...MAPPING,
    database: 'Name of the database.',
    table: 'The table.',
    schema: 'Only in this schema.',
    column: 'The sharding key.',
    kind: '`list`, `range` or `default`.',
  },
  omnisharded_tables: {
    database: 'Name of the database.',
    tables: 'Tables that are whole on every shard, `name` or `schema.name`.',
    sticky: '`omnisharded_sticky` of [general] for this database.',
  },
  sharded_schemas: {
    database: 'Name of the database.',
    name: 'The schema. Unset: every schema without an entry.',
    shard: 'Where it is.',
    all: 'It is on every shard.',
  },
};

export const SECTION_MEANINGS: Meanings = {
  include: 'Further files: paths, globs, or directories with a slash at their end; relative to this file.',
  general: 'Everything that is not per database or user. Durations are milliseconds.',
  databases: 'One entry per host.',
  users: 'Who may log in.',
  tcp: 'Sockets of clients and servers.',
  admin: 'The admin database.',
  multi_tenant: 'Statements must restrict every table to one tenant.',
  mirroring: 'What clients of one database do is done again in another.',
  sharded_tables: 'Which column says on which shard rows are.',
  sharded_mappings: 'Deprecated: [[sharded_tables.mapping]] says it.',
  omnisharded_tables: 'Tables that are whole on every shard.',
  sharded_schemas: 'Schemas that are on one shard, or on all.',
  rewrite: 'Statements that are changed before they are sent.',
};
