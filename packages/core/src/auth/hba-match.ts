import { parseIp } from '../base/ip-address.js';
import { isInNetwork } from '../base/ip-network.js';
import type { HbaRule } from './hba.js';

/**
 * Of which of the roles that rules name (`groupNames`) the user is a member, by the server's word. `unasked`: nobody
 * has been asked yet. `unanswerable`: nobody can be.
 */
export type HbaGroups = ReadonlySet<string> | 'unasked' | 'unanswerable';

/** What rules look at in a connection. */
export interface HbaSubject {
  user: string;
  database: string;
  /** Numeric; null for a Unix socket. */
  address: string | null;
  isTls: boolean;
  /** A connection for physical replication, which names no database. */
  isReplication: boolean;
  groups: HbaGroups;
}

/** The first rule that fits, or null. `ask`: it depends on the user's groups, which have not been asked for. */
export function matchHba(rules: readonly HbaRule[], subject: HbaSubject): HbaRule | 'ask' | null {
  const address = subject.address === null ? null : parseIp(subject.address);
  for (const rule of rules) {
    if (!isConnectionOf(rule, subject)) continue;
    if (address !== null && !isAddressOf(rule, address)) continue;
    // An address nobody can read fits no rule that asks for one.
    if (subject.address !== null && address === null && rule.address.kind !== 'any') continue;
    const isDatabase = isDatabaseOf(rule, subject);
    if (isDatabase === false) continue;
    const isUser = isUserOf(rule, subject);
    if (isUser === false) continue;
    if (isUser === 'ask' || isDatabase === 'ask') return 'ask';
    return rule;
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

function isDatabaseOf(rule: HbaRule, subject: HbaSubject): boolean | 'ask' {
  const { database, user, isReplication } = subject;
  const isNamed = rule.databases.some((entry) => {
    if (isReplication || entry.kind === 'replication') return isReplication && entry.kind === 'replication';
    if (entry.kind === 'sameuser') return database === user;
    return entry.kind === 'all' || (entry.kind === 'name' && entry.name === database);
  });
  if (isNamed) return true;
  return !isReplication && hasSameRole(rule) ? isMember(rule, subject, [database]) : false;
}

function isUserOf(rule: HbaRule, subject: HbaSubject): boolean | 'ask' {
  const { user } = subject;
  if (rule.users.some((entry) => entry.kind === 'all' || (entry.kind === 'name' && entry.name === user)))
    return true;
  const wanted = rule.users.flatMap((entry) => (entry.kind === 'group' ? [entry.name] : []));
  return wanted.length === 0 ? false : isMember(rule, subject, wanted);
}

/** Where nobody can be asked, a rule that lets in does not fit, and one that keeps out does. */
function isMember({ method }: HbaRule, { groups }: HbaSubject, wanted: readonly string[]): boolean | 'ask' {
  if (groups === 'unasked') return 'ask';
  return groups === 'unanswerable' ? method === 'reject' : wanted.some((name) => groups.has(name));
}

function hasSameRole({ databases }: HbaRule): boolean {
  return databases.some(({ kind }) => kind === 'samerole');
}

/** Each role once that rules ask about. @param database that of the client; null: `samerole` stands for no name */
export function groupNames(rules: readonly HbaRule[], database: string | null): string[] {
  const names = new Set<string>();
  for (const rule of rules) {
    for (const entry of rule.users) if (entry.kind === 'group') names.add(entry.name);
    if (database !== null && hasSameRole(rule)) names.add(database);
  }
  return [...names];
}

/** What in a rule a server is asked about, as it is written; null: nothing. */
export function groupWord(rule: HbaRule): string | null {
  const [name] = groupNames([rule], null);
  if (name !== undefined) return `+${name}`;
  return hasSameRole(rule) ? 'samerole' : null;
}

/** May a rule be about this database, whoever the user is? */
export function concernsDatabase({ databases }: HbaRule, database: string): boolean {
  return databases.some(
    (entry) =>
      entry.kind === 'all' ||
      entry.kind === 'sameuser' ||
      entry.kind === 'samerole' ||
      (entry.kind === 'name' && entry.name === database),
  );
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
