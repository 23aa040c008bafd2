import type { ConfigSnapshot, PoolSnapshot } from '@pgdog-cluster/core';
import type { DatabaseEntry } from '@pgdog-cluster/core/config';
import { databasePgTls, pgTlsOf } from '../config/database-tls.js';
import { hostIndexOf } from '../config/host-numbers.js';
import type { PgWay } from '../config/pg-connect.js';

/** One way to log in to a host for checking it. */
export interface ProbeLogin extends Omit<PgWay, 'host'> {
  port: number;
  database: string;
  user: string;
  password: string;
}

/** More ways than this are not tried: each that fails is a line in the server's log. */
const LOGINS_MAX = 6;

/**
 * As whom a host may be asked: as its pools log in, those with a password in clear first, then as the users of
 * auth_query. A pool known by a verifier only cannot be used: the proof needs a client. Then none may be left,
 * and the host is only knocked at.
 */
export function probeLogins(
  hostIndex: number,
  { pools, tls }: Pick<ConfigSnapshot, 'pools' | 'tls'>,
  databases: readonly DatabaseEntry[],
): ProbeLogin[] {
  const own = pools.filter((pool) => pool.hostIndex === hostIndex);
  const login = (pool: PoolSnapshot): ProbeLogin => loginOf(pool, tls.servers[pool.tls]);
  const logins = [
    ...own.filter(hasPassword).map(login),
    ...askingLogins(hostIndex, own, databases),
    // Servers that trust us, or know us by certificate, ask for no password.
    ...own.filter(needsNone).map(login),
  ];
  const seen = new Set<string>();
  const distinct = logins.filter(({ database, user, password }) => {
    const key = [database, user, password].join('\0');
    return !seen.has(key) && seen.add(key) !== undefined;
  });
  return distinct.slice(0, LOGINS_MAX);
}

const hasPassword = ({ serverPasswords }: PoolSnapshot): boolean => serverPasswords.length > 0;

function needsNone({ serverPasswords, serverVerifiers, serverMd5Hashes }: PoolSnapshot): boolean {
  return serverPasswords.length + serverVerifiers.length + serverMd5Hashes.length === 0;
}

function loginOf(
  pool: PoolSnapshot,
  settings: ConfigSnapshot['tls']['servers'][number] | undefined,
): ProbeLogin {
  const { host, port, serverDatabase: database, serverUser: user, requirePeer } = pool;
  const password = pool.serverPasswords[0] ?? '';
  return { port, database, user, password, tls: pgTlsOf(host, settings), requirePeer };
}

/** The users of auth_query, on this host. What its peer must be only a pool knows; until there is one nothing is said. */
function askingLogins(
  hostIndex: number,
  own: readonly PoolSnapshot[],
  databases: readonly DatabaseEntry[],
): ProbeLogin[] {
  const here = databases.filter((database) => hostIndexOf(database) === hostIndex);
  return here.flatMap((database) => {
    const { authQuery, serverDatabase, port } = database;
    const requirePeer = own.find((pool) => pool.database === database.name)?.requirePeer;
    const isPeerUnknown = database.requirePeer !== null && requirePeer === undefined;
    if (authQuery === null || authQuery.password === null || isPeerUnknown) return [];
    const { user, password } = authQuery;
    const tls = databasePgTls(database);
    return [{ port, database: serverDatabase, user, password: password.reveal(), tls, requirePeer }];
  });
}
