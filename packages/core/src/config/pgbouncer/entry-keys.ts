/** Keys of [databases], [users] and [peers] and what becomes of each. */
import { ignore, join, map, refuse, type SettingRule, when } from './rules.js';
import { anyText, lifetime, oneOf, poolSize, text, USE_ONCE, whole, wholeSeconds } from './values.js';

const IS_ZERO = (value: string) => Number(value) === 0;
const FIXED = 'cannot be fixed for all clients of a database here: use ALTER DATABASE … SET on the server';
const poolMode = oneOf('session', 'transaction', 'statement');

export const DATABASE_KEYS: Readonly<Record<string, SettingRule>> = {
  dbname: join(anyText, ''),
  host: join(anyText, ''),
  port: map('port', whole(1, 65_535)),
  user: join(anyText, ''),
  password: join(anyText, ''),
  auth_user: map('auth_user', text),
  auth_query: map('auth_query', text),
  auth_dbname: map('auth_dbname', text),
  pool_size: map('pool_size', poolSize),
  min_pool_size: map('min_pool_size', whole()),
  reserve_pool_size: join(whole(), ''),
  reserve_pool: join(whole(), ''),
  pool_mode: map('pooler_mode', poolMode),
  max_db_connections: map('max_db_connections', whole()),
  max_db_client_connections: map('max_db_client_connections', whole()),
  server_lifetime: map('server_lifetime', lifetime(wholeSeconds), null, when(IS_ZERO, USE_ONCE)),
  query_wait_timeout: map('checkout_timeout', wholeSeconds),
  connect_query: refuse(text, [''], `statements at connect are not run; what it sets ${FIXED}`),
  load_balance_hosts: ignore(
    oneOf('round-robin', 'disable'),
    ['round-robin'],
    'hosts are asked for their roles: writes go to the primary, reads to all',
  ),
  client_encoding: refuse(text, [''], FIXED),
  datestyle: refuse(text, [''], FIXED),
  timezone: refuse(text, [''], FIXED),
  application_name: ignore(text, [''], 'that of each client is passed on'),
};

export const USER_KEYS: Readonly<Record<string, SettingRule>> = {
  pool_size: map('pool_size', poolSize),
  reserve_pool_size: join(whole(), ''),
  pool_mode: map('pooler_mode', poolMode),
  max_user_connections: map('max_user_connections', whole()),
  max_user_client_connections: map('max_user_client_connections', whole()),
  query_timeout: map('query_timeout', wholeSeconds),
  query_wait_timeout: map('checkout_timeout', wholeSeconds),
  idle_transaction_timeout: map('client_idle_in_transaction_timeout', wholeSeconds),
  transaction_timeout: map('transaction_timeout', wholeSeconds),
  client_idle_timeout: map('client_idle_timeout', wholeSeconds),
};

export const PEER_KEYS: Readonly<Record<string, SettingRule>> = {
  host: join(anyText, ''),
  port: join(whole(1, 65_535), '6432'),
  pool_size: join(whole(), '0'),
};
