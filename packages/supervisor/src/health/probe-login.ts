import type { ConfigSnapshot, HostAddress, PoolSnapshot, RequiredPeer } from '@pgdog-cluster/core';
import type { DatabaseEntry } from '@pgdog-cluster/core/config';
import { databasePgTls, type PgTls, pgTlsOf } from '../config/database-tls.js';

/** One way to log in to a host for checking it. */
export interface ProbeLogin {
  /** Where to connect to; of a Unix socket its path. */
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  /** As a pool connects: encrypted where the server can, else in the clear where that will do. */
  tls: PgTls;
  requirePeer: RequiredPeer | undefined;
}

/** More ways than this are not tried: each that fails is a line in the server's log. */
const LOGINS_MAX = 6;

/** The addresses of a host; of a Unix socket its path. */
export function probeAddresses(addresses: readonly HostAddress[]): string[] {
  return addresses.map(({ text }) => text);
}

/**
 * As whom a host may be asked: as its pools log in, those with a password in clear first, then as the users of
 * auth_query. A pool known by a verifier only cannot be used: the proof needs a client. Then none may be left,
 * and the host is only knocked at.
 */
export function probeLogins(
  hostIndex: number,
  { pools, tls }: Pick<ConfigSnapshot, 'pools' | 'tls'>,
  databases: readonly DatabaseEntry[],
): Omit<ProbeLogin, 'host'>[] {
  const own = pools.filter((pool) => pool.hostIndex === hostIndex);
  const [first] = own;
  if (first === undefined) return [];
  const logins = [
    ...own.filter(hasPassword).flatMap((pool) => loginsOf(pool, tls.servers[pool.tls])),
    ...askingLogins(first, own, databases),
    // Servers that trust us, or know us by certificate, ask for no password.
    ...own.filter(needsNone).flatMap((pool) => loginsOf(pool, tls.servers[pool.tls])),
  ];
  const seen = new Set<string>();
  const distinct = logins.filter(({ database, user, password, tls: { ssl } }) => {
    const key = [database, user, password, ssl === false ? 'clear' : 'tls'].join('\0');
    return !seen.has(key) && seen.add(key) !== undefined;
  });
  return distinct.slice(0, LOGINS_MAX);
}

const hasPassword = ({ serverPasswords }: PoolSnapshot): boolean => serverPasswords.length > 0;

function needsNone({ serverPasswords, serverVerifiers, serverMd5Hashes }: PoolSnapshot): boolean {
  return serverPasswords.length + serverVerifiers.length + serverMd5Hashes.length === 0;
}

function loginsOf(
  pool: PoolSnapshot,
  settings: ConfigSnapshot['tls']['servers'][number] | undefined,
): Omit<ProbeLogin, 'host'>[] {
  const { host, port, serverDatabase: database, serverUser: user, requirePeer } = pool;
  const password = pool.serverPasswords[0] ?? '';
  return [{ port, database, user, password, tls: pgTlsOf(host, settings), requirePeer }];
}

/** The users of auth_query, on this host. */
function askingLogins(
  { host, port }: PoolSnapshot,
  own: readonly PoolSnapshot[],
  databases: readonly DatabaseEntry[],
): Omit<ProbeLogin, 'host'>[] {
  return databases
    .filter((database) => database.host === host && database.port === port)
    .flatMap((database) => {
      const { authQuery, serverDatabase } = database;
      if (authQuery === null || authQuery.password === null) return [];
      const { user, password } = authQuery;
      const requirePeer = own.find((pool) => pool.database === database.name)?.requirePeer;
      const tls = databasePgTls(database);
      return [{ port, database: serverDatabase, user, password: password.reveal(), tls, requirePeer }];
    });
}
