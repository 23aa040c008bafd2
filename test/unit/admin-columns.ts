/** Columns of every SHOW with their types, as the references have them. */

const STATISTICS =
  'xact_count xact_2pc_count query_count server_assignment_count received sent xact_time idle_xact_time query_time ' +
  'wait_time server_parse_count bind_count close_count errors cleaned rollbacks connect_time connect_count reads ' +
  'writes auth_attempts rows_inserted rows_updated rows_deleted';
const stats = (prefix: string) =>
  STATISTICS.split(' ')
    .map((name) => `${prefix}_${name}:n`)
    .join(' ');

const BOUNCER_SOCKET =
  'type user database replication state addr port:i local_addr local_port:i connect_time request_time wait:i wait_us:i ' +
  'close_needed:i ptr link remote_pid:i tls application_name prepared_statements:i id:i';
const BOUNCER_BUFFERS = 'recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i pkt_avail:i send_avail:i';
/** Of database pgbouncer, as documented for PgBouncer. */
export const BOUNCER: Record<string, string> = {
  pools:
    'database user cl_active:i cl_waiting:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active:i ' +
    'sv_active_cancel:i sv_being_canceled:i sv_idle:i sv_used:i sv_tested:i sv_login:i maxwait:i maxwait_us:i pool_mode ' +
    'load_balance_hosts',
  clients: BOUNCER_SOCKET,
  servers: BOUNCER_SOCKET,
  stats: `database ${bouncerStats('total', 'received')} ${bouncerStats('avg', 'recv')}`,
  lists: 'list items:i',
  config: 'key value default changeable',
  peers: 'peer_id:i host port:i pool_size:i',
};

function bouncerStats(prefix: string, received: string): string {
  const names =
    `server_assignment_count xact_count query_count ${received} sent xact_time query_time wait_time ` +
    'client_parse_count server_parse_count bind_count client_login_count';
  return names
    .split(' ')
    .map((name) => `${prefix}_${name}:n`)
    .join(' ');
}

/** Columns as documented for PgDog, ours after |. b bool, q bigint, n numeric, else text. */
export const EXPECTED: Record<string, string> = {
  pools:
    'id:q database user addr port:n shard:n role cl_waiting:n sv_idle:n sv_active:n sv_idle_xact:n sv_total:n maxwait:n ' +
    'maxwait_us:n pool_mode paused:b banned:b healthy:b errors:n re_synced:n out_of_sync:n force_closed:n online:b ' +
    'schema_admin:b | sv_limit:n workers_waiting:n checkout_timeouts:n spread',
  clients:
    'id:q user database addr port:n state replication connect_time last_request queries:n transactions:n ' +
    'transactions_2pc:n wait_time:n query_time:n transaction_time:n bytes_received:n bytes_sent:n errors:n ' +
    'application_name locked:b prepared_statements:n | worker:n peer_user pin_reason tls',
  servers:
    'pool_id:q database user addr port:n state connect_time request_time remote_pid:q client_id:q transactions:n ' +
    'queries:n rollbacks:n prepared_statements:n healthchecks:n errors:n bytes_received:n bytes_sent:n last_sent ' +
    'last_received age:q application_name | worker:n tls',
  stats: `database user addr port:n shard:n role ${stats('total')} ${stats('avg')}`,
  queries:
    '| database query route calls:n errors:n rows:n total_time:n avg_time:n p99_time:n max_time:n workers:n',
  prepared: 'name statement rewrite used_by:n memory_used:n',
  client_memory:
    'client_id:q database user addr port:n buffer_reallocs:n buffer_reclaims:n buffer_bytes_used:n buffer_bytes_alloc:n prepared_statements_bytes:n net_buffer_bytes:n total_bytes:n',
  server_memory:
    'pool_id:q database user addr port:n remote_pid:q buffer_reallocs:n buffer_reclaims:n buffer_bytes_used:n buffer_bytes_alloc:n prepared_statements_bytes:n net_buffer_bytes:n total_bytes:n',
  query_cache: 'query hits:n direct:n multi:n | route workers:n',
  lists: 'databases:n users:n pools:n used_clients:n free_servers:n used_servers:n',
  listeners: 'database user shard:n channel listeners:n received:n dropped:n',
  mirrors:
    'database user total_count:n mirrored_count:n dropped_count:n error_count:n queue_length:n | destination skipped_count:n failed_count:n',
  maintenance: '| database maintenance:b cl_held:n',
  config_status:
    '| last_attempt trigger result error changes epoch:n pending_restart took_ms:n last_success reloads_ok:n reloads_failed:n ' +
    'changes_kept:n changes_until_restart:n source source_state source_rows:n source_last_success source_failures:n ' +
    'source_error',
  changes: '| change name which settings source persisted:b effective:b',
  workers:
    'worker:q state io_driver clients:n servers:n waiting:n busy_us:n busy_percent:n turns:n loop_delay_max_us:n ' +
    'heartbeat_age_ms:q epoch:n restarts:n',
  shared_memory: 'region row cell unit writer readers bytes:n | row_bytes:n row_count:n offset:n value',
  config: 'name value | default_value',
  'pgdog.shards': 'name shard:n host port:n role state connections:n idle:n active:n waiting:n last:b',
  sharded_tables:
    '| database schema name kind placement shard:n column data_type function unique_per_shard difference',
  transactions: 'database user transaction_name transaction_state | id:q shard:n decider:n age:q reason',
  omni_drift: '| database schema name state shard:n rows:q checksum reason',
  bans: 'id:q database user addr port:n shard:n role ban_reason ban_time_left:q',
  replication:
    'id:q database user addr port:n shard:n role replica_lag:q pg_lsn lsn_age:q pg_is_in_recovery:b | replica_lag_bytes:n timeline:n',
  replicas:
    'id:q addr port:n addresses databases configured role health ban_reason orders replica_lag:q replica_lag_bytes:n pg_lsn ' +
    'timeline:n latency_us:n check_age:q in_flight:n connect_failures:n resets:n shutdowns:n',
  addresses: 'kind address host port:n',
  tls: 'usage file state expires_in:q not_before not_after subject issuer serial',
  version: 'version',
  help: 'command description',
  databases:
    'name host port:i database force_user pool_size:i min_pool_size:i reserve_pool_size:i server_lifetime:i pool_mode ' +
    'load_balance_hosts max_connections:i current_connections:i max_client_connections:i current_client_connections:i ' +
    'paused:i disabled:i',
  users:
    'name pool_size reserve_pool_size pool_mode max_user_connections:i current_connections:i ' +
    'max_user_client_connections:i current_client_connections:i',
  sockets: `${BOUNCER_SOCKET} ${BOUNCER_BUFFERS}`,
  active_sockets: `${BOUNCER_SOCKET} ${BOUNCER_BUFFERS}`,
  stats_totals:
    'database server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n xact_time:n query_time:n ' +
    'wait_time:n client_parse_count:n server_parse_count:n bind_count:n client_login_count:n',
  stats_averages:
    'database server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n xact_time:n query_time:n ' +
    'wait_time:n avg_client_parse_count:n avg_server_parse_count:n avg_bind_count:n avg_client_login_count:n',
  tenants: 'pattern hosts database tenants:n made_count:n dropped_count:n missing_count:n refused_count:n',
  totals: 'name value:n',
  state: 'key value',
  fds:
    'fd:i task user database addr port:i cancel:q link:i client_encoding std_strings datestyle timezone password ' +
    'scram_client_key scram_server_key',
  mem: 'name size:q used:q free:q memtotal:q',
  dns_hosts: 'hostname ttl:i addrs',
  dns_zones: 'zonename serial:i count:i',
  peers: 'addr last_seen clients:i',
  peer_pools: 'peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active_cancel:i sv_login:i',
  instance_id: 'instance_id',
  server_version: 'server_version',
};
