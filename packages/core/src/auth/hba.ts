/** Rules of a pg_hba.conf (Postgres documentation, "The pg_hba.conf File"): which client is asked for what. */

import { parseIp } from '../base/ip-address.js';
import { type IpNetwork, networkAround, parseNetworkAround, prefixBitsOf } from '../base/ip-network.js';
import { type HbaLine, type HbaToken, readHbaLines } from './hba-tokens.js';

export type HbaConnection = 'local' | 'host' | 'hostssl' | 'hostnossl';
export type HbaMethod = 'trust' | 'reject' | 'md5' | 'scram-sha-256' | 'password' | 'cert' | 'peer';
/** `group`: whoever is a member of that role, `samerole`: of the one that is called as the database; which a server has to be asked. */
export type HbaName =
  | { kind: 'name' | 'group'; name: string }
  | { kind: 'all' | 'sameuser' | 'samerole' | 'replication' };

/** `samehost` and `samenet` become networks when the rules are published: only that process knows its addresses. */
export type HbaAddress =
  | { kind: 'any' | 'samehost' | 'samenet' }
  | { kind: 'networks'; networks: IpNetwork[] };

export interface HbaRule {
  file: string;
  line: number;
  connection: HbaConnection;
  databases: HbaName[];
  users: HbaName[];
  /** `any` for `local` rules too. */
  address: HbaAddress;
  method: HbaMethod;
  /** Name of the ident map; empty = none. */
  map: string;
  /** The client must show a verified certificate; `verify-full`: one with its user's name. */
  clientCert: 'no' | 'verify-ca' | 'verify-full';
  /** What of the certificate is compared. */
  clientName: 'CN' | 'DN';
}

export interface HbaProblem {
  file: string;
  line: number;
  message: string;
}

export interface HbaRules {
  rules: HbaRule[];
  problems: HbaProblem[];
}

/** Text of a file named by `@file`, relative to `from`; null when it cannot be read. */
export type ReadHbaFile = (path: string, from: string) => string | null;

const CONNECTIONS: readonly string[] = [
  'local',
  'host',
  'hostssl',
  'hostnossl',
  'hostgssenc',
  'hostnogssenc',
];
const METHODS: readonly HbaMethod[] = ['trust', 'reject', 'md5', 'scram-sha-256', 'password', 'cert', 'peer'];
/** Files in files in files. */
const DEPTH_MAX = 10;
const NAMES_MAX = 100_000;

/** What is wrong with a line; caught at the line. */
class Refusal extends Error {}

/**
 * Reads a file of rules. A line that cannot be obeyed is a problem: to leave one out could let somebody in whom the
 * next line lets in.
 */
export function parseHba(file: string, text: string, readFile: ReadHbaFile): HbaRules {
  const rules: HbaRule[] = [];
  const problems: HbaProblem[] = [];
  for (const line of readHbaLines(text)) {
    try {
      const rule = readRule(file, line, readFile);
      if (rule !== null) rules.push(rule);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      problems.push({ file, line: line.line, message: error.message });
    }
  }
  return { rules, problems };
}

/** null for rules that concern nobody here: connections encrypted by GSSAPI, which are never accepted. */
function readRule(file: string, { line, fields, problem }: HbaLine, readFile: ReadHbaFile): HbaRule | null {
  if (problem !== '') throw new Refusal(problem);
  const kind = single(fields[0], 'connection type');
  if (kind.startsWith('include')) throw new Refusal(`"${kind}" is not supported; write the rules here`);
  if (!CONNECTIONS.includes(kind)) {
    throw new Refusal(`unknown connection type "${kind}"; expected one of ${CONNECTIONS.join(', ')}`);
  }
  const isLocal = kind === 'local';
  if (fields.length < (isLocal ? 4 : 5)) {
    throw new Refusal(`expected database, user, ${isLocal ? '' : 'address, '}method`);
  }
  const names = (field: HbaToken[]) => expandFiles(field, file, readFile, 0);
  const databases = names(fields[1]).map(readDatabase);
  const users = names(fields[2]).map(readUser);
  const [address, used] = isLocal ? [ANYWHERE, 0] : readAddress(fields);
  const rule: HbaRule = {
    file,
    line,
    connection: (kind === 'hostnogssenc' ? 'host' : kind) as HbaConnection,
    databases,
    users,
    address,
    method: readMethod(single(fields[3 + used], 'method'), kind),
    map: '',
    clientCert: 'no',
    clientName: 'CN',
  };
  for (const option of fields.slice(4 + used)) readOption(rule, option);
  if (rule.method === 'cert') rule.clientCert = 'verify-full';
  return kind === 'hostgssenc' ? null : rule;
}

const ANYWHERE: HbaAddress = { kind: 'any' };

function single(field: HbaToken[] | undefined, what: string): string {
  if (field === undefined) throw new Refusal(`the ${what} is missing`);
  if (field.length !== 1) throw new Refusal(`one ${what} is allowed, not a list`);
  return field[0].text;
}

/** `@file` in a list of names stands for the names in that file. */
function expandFiles(field: HbaToken[], file: string, readFile: ReadHbaFile, depth: number): HbaToken[] {
  const names: HbaToken[] = [];
  for (const token of field) {
    if (token.isQuoted || !token.text.startsWith('@') || token.text.length === 1) {
      names.push(token);
      continue;
    }
    const path = token.text.slice(1);
    const text = depth < DEPTH_MAX ? readFile(path, file) : null;
    if (text === null) throw new Refusal(`file "${path}" cannot be read`);
    for (const { fields, problem } of readHbaLines(text)) {
      if (problem !== '') throw new Refusal(`file "${path}": ${problem}`);
      for (const inner of fields) names.push(...expandFiles(inner, file, readFile, depth + 1));
    }
    if (names.length > NAMES_MAX) throw new Refusal(`file "${path}": more than ${NAMES_MAX} names`);
  }
  return names;
}

/** What no name may be, in either list. */
function refuseName({ text, isQuoted }: HbaToken): void {
  if (!isQuoted && text.startsWith('/'))
    throw new Refusal(`"${text}": regular expressions are not supported; list the names`);
}

function readDatabase(token: HbaToken): HbaName {
  refuseName(token);
  const { text, isQuoted } = token;
  if (isQuoted) return { kind: 'name', name: text };
  if (text === 'all' || text === 'sameuser' || text === 'replication') return { kind: text };
  // Its old name.
  if (text === 'samerole' || text === 'samegroup') return { kind: 'samerole' };
  if (text.startsWith('+')) throw new Refusal(`"${text}": only users are in groups; list the databases`);
  return { kind: 'name', name: text };
}

function readUser(token: HbaToken): HbaName {
  refuseName(token);
  const { text, isQuoted } = token;
  if (isQuoted) return { kind: 'name', name: text };
  if (text === '+') throw new Refusal('"+" needs the name of a role behind it');
  if (text.startsWith('+')) return { kind: 'group', name: text.slice(1) };
  return text === 'all' ? { kind: 'all' } : { kind: 'name', name: text };
}

/** The address, and by how many fields the method stands further right. */
function readAddress(fields: HbaToken[][]): [HbaAddress, number] {
  const text = single(fields[3], 'address');
  if (!fields[3][0].isQuoted) {
    if (text === 'all') return [ANYWHERE, 1];
    if (text === 'samehost' || text === 'samenet') return [{ kind: text }, 1];
  }
  if (text.includes('/')) {
    const network = parseNetworkAround(text);
    if (network === null) throw new Refusal(`"${text}" is not an address with a prefix length`);
    return [{ kind: 'networks', networks: [network] }, 1];
  }
  const address = parseIp(text);
  if (address === null) {
    throw new Refusal(`"${text}": expected an IP address; host names are not supported`);
  }
  const mask = parseIp(single(fields[4], 'mask'));
  const prefixBits = mask === null || mask.length !== address.length ? -1 : prefixBitsOf(mask);
  if (prefixBits === -1) {
    throw new Refusal(`"${text}" needs a prefix length (${text}/${address.length * 8}) or a mask`);
  }
  return [{ kind: 'networks', networks: [networkAround(address, prefixBits)] }, 2];
}

function readMethod(text: string, kind: string): HbaMethod {
  const isLocal = kind === 'local';
  const method = text === 'ident' && isLocal ? 'peer' : METHODS.find((known) => known === text);
  if (method === undefined) {
    throw new Refusal(`method "${text}" is not supported; expected one of ${METHODS.join(', ')}`);
  }
  if (method === 'peer' && !isLocal) throw new Refusal('method "peer" is for "local" rules only');
  if (method === 'cert' && kind !== 'hostssl') throw new Refusal('method "cert" is for "hostssl" rules only');
  return method;
}

function readOption(rule: HbaRule, field: HbaToken[]): void {
  const text = field.map((token) => token.text).join(',');
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals));
  const value = text.slice(equals + 1);
  if (name === 'map' && value !== '' && (rule.method === 'cert' || rule.method === 'peer')) {
    rule.map = value;
  } else if (name === 'clientcert' && (value === 'verify-ca' || value === 'verify-full')) {
    if (rule.connection !== 'hostssl') throw new Refusal('clientcert is for "hostssl" rules only');
    if (rule.method === 'cert' && value !== 'verify-full') {
      throw new Refusal('method "cert" goes with clientcert=verify-full only');
    }
    rule.clientCert = value;
  } else if (name === 'clientname' && (value === 'CN' || value === 'DN') && rule.connection === 'hostssl') {
    rule.clientName = value;
  } else {
    throw new Refusal(`option "${text}" is not supported with method "${rule.method}"`);
  }
}
