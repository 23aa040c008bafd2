import { type ConfigSnapshot, type HostTable, type PoolSnapshot, ROLE_PRIMARY } from '@pgdog-cluster/core';
import { pgTlsOf } from '../config/database-tls.js';
import type { PgWay } from '../config/pg-connect.js';

/** Where and as whom to listen. */
export interface ListenTarget extends PgWay {
  port: number;
  database: string;
  user: string;
  password: string;
}

/** Only where notifications are committed: shard 0, and there the host that is the primary, as measured where that is not said. */
function isPrimary({ role, hostIndex }: PoolSnapshot, hosts: HostTable): boolean {
  return role === 'primary' || (role === 'auto' && hosts.role(hostIndex) === ROLE_PRIMARY);
}

/**
 * Every way to log in to the database's primary: LISTEN needs no rights, so any user will do. Those with a password in
 * clear come first; the others serve where the server asks for none.
 */
export function listenTargets(
  { pools, tls }: ConfigSnapshot,
  hosts: HostTable,
  database: string,
): ListenTarget[] {
  const usable = pools.filter(
    (pool) => pool.database === database && pool.shard === 0 && isPrimary(pool, hosts),
  );
  const targets = usable.flatMap((pool) => {
    const passwords = pool.serverPasswords.length > 0 ? pool.serverPasswords : [''];
    return passwords.map((password) => ({
      host: pool.host,
      port: pool.port,
      database: pool.serverDatabase,
      user: pool.serverUser,
      password,
      tls: pgTlsOf(pool.host, tls.servers[pool.tls]),
      requirePeer: pool.requirePeer,
    }));
  });
  return [
    ...targets.filter(({ password }) => password !== ''),
    ...targets.filter(({ password }) => password === ''),
  ];
}
