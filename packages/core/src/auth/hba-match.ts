import { parseIp } from '../base/ip-address.js';
import { isInNetwork } from '../base/ip-network.js';
import type { HbaName, HbaRule } from './hba.js';

/** What rules look at in a connection. */
export interface HbaSubject {
  user: string;
  database: string;
  /** Numeric; null for a Unix socket. */
  address: string | null;
  isTls: boolean;
  /** A connection for physical replication, which names no database. */
  isReplication: boolean;
}

/** The first rule that fits, or null. */
export function matchHba(rules: readonly HbaRule[], subject: HbaSubject): HbaRule | null {
  const address = subject.address === null ? null : parseIp(subject.address);
  for (const rule of rules) {
    if (!isConnectionOf(rule, subject)) continue;
    if (address !== null && !isAddressOf(rule, address)) continue;
    // An address nobody can read fits no rule that asks for one.
    if (subject.address !== null && address === null && rule.address.kind !== 'any') continue;
    if (isDatabaseOf(rule.databases, subject) && isUserOf(rule.users, subject.user)) return rule;
  }
  return null;
}

function isConnectionOf({ connection }: HbaRule, { address, isTls }: HbaSubject): boolean {
  if (connection === 'local' || address === null) return connection === 'local' && address === null;
  return connection === 'host' || (connection === 'hostssl') === isTls;
}

function isAddressOf({ address }: HbaRule, given: Uint8Array): boolean {
  if (address.kind === 'any') return true;
  return address.kind === 'networks' && address.networks.some((network) => isInNetwork(given, network));
}

function isDatabaseOf(names: readonly HbaName[], { database, user, isReplication }: HbaSubject): boolean {
  return names.some((entry) => {
    if (isReplication || entry.kind === 'replication') return isReplication && entry.kind === 'replication';
    if (entry.kind === 'sameuser') return database === user;
    return entry.kind === 'all' || (entry.kind === 'name' && entry.name === database);
  });
}

function isUserOf(names: readonly HbaName[], user: string): boolean {
  return names.some((entry) => entry.kind === 'all' || (entry.kind === 'name' && entry.name === user));
}

/** Does a rule speak of this very database, and not of all of them? */
export function namesDatabase({ databases }: HbaRule, database: string): boolean {
  return databases.some((entry) => entry.kind === 'name' && entry.name === database);
}

/** As Postgres words it, so that what searches logs for it finds it. */
export function hbaRefusal(subject: HbaSubject, isRejected: boolean): string {
  const host = subject.address ?? '[local]';
  const encryption = subject.isTls ? 'SSL encryption' : 'no encryption';
  const what = isRejected ? 'pg_hba.conf rejects' : 'no pg_hba.conf entry for';
  if (subject.isReplication) {
    const connection = isRejected ? 'replication connection for' : 'replication connection from';
    return `${what} ${connection} host "${host}", user "${subject.user}", ${encryption}`;
  }
  const connection = isRejected ? ' connection for' : '';
  return `${what}${connection} host "${host}", user "${subject.user}", database "${subject.database}", ${encryption}`;
}
