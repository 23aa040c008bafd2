/** [databases], [users] and [peers]: an entry a line. */
import { suggestion } from '../parse-document.js';
import type { Place, ProblemList } from '../problem-list.js';
import type { ListedUser } from './auth-file.js';
import { parseConnectionString } from './connection-string.js';
import type { DraftDocument, DraftTable } from './draft.js';
import { DATABASE_KEYS, PEER_KEYS, USER_KEYS } from './entry-keys.js';
import { type GivenPair, GivenSettings } from './given-settings.js';
import type { IniLine } from './ini-file.js';
import type { SettingRule } from './rules.js';
import { ADMIN_NAME, clearPasswordOf, isReserveOff } from './translate-general.js';

export interface EntryParts {
  settings: GivenSettings;
  listed: ReadonlyMap<string, ListedUser>;
  problems: ProblemList;
}

const PEER_ID_MAX = 16_383;

interface Entry {
  name: string;
  place: Place;
  keys: GivenSettings;
}

/** Null: the line is no entry, which is told. */
function readEntry(
  line: IniLine,
  rules: Readonly<Record<string, SettingRule>>,
  problems: ProblemList,
): Entry | null {
  const place = { source: line.source, line: line.line, key: `${line.section}.${line.key}` };
  const pairs = parseConnectionString(line.value);
  if (typeof pairs === 'string') {
    problems.error(place, pairs);
    return null;
  }
  const given: GivenPair[] = [];
  for (const [key, text] of pairs) {
    const at = { ...place, key: `${place.key}.${key}` };
    if (Object.hasOwn(rules, key)) given.push({ key, text, place: at });
    else problems.error(at, `unknown key${suggestion(key, Object.keys(rules))}`);
  }
  return { name: line.key, place, keys: new GivenSettings(place, rules, given, problems) };
}

/** The last line of a name counts, as in PgBouncer. */
function readEntries(
  lines: readonly IniLine[],
  rules: Readonly<Record<string, SettingRule>>,
  problems: ProblemList,
): Entry[] {
  const entries = new Map<string, Entry>();
  for (const line of lines) {
    const entry = readEntry(line, rules, problems);
    if (entry === null) continue;
    const earlier = entries.get(entry.name);
    if (earlier !== undefined)
      problems.warning(entry.place, `stands in line ${earlier.place.line} already; this line counts`);
    entries.set(entry.name, entry);
  }
  return [...entries.values()];
}

export function translateDatabases(
  lines: readonly IniLine[],
  config: DraftDocument,
  parts: EntryParts,
): void {
  for (const entry of readEntries(lines, DATABASE_KEYS, parts.problems)) {
    if (entry.name === ADMIN_NAME) {
      parts.problems.error(entry.place, `"${ADMIN_NAME}" is the admin database: choose another name`);
      continue;
    }
    if (entry.name !== '*' && entry.name.includes('*')) {
      parts.problems.error(
        entry.place,
        'a star among other signs would be a pattern here: PgBouncer takes the name as it is',
      );
      continue;
    }
    const hosts = hostsOf(entry, parts);
    if (hosts === null) continue;
    for (const host of hosts) {
      const table = config.listed('databases', entry.place);
      writeDatabase(table, entry, host, hosts.length > 1, parts);
    }
  }
}

/** Null when there is none, which is told. */
function hostsOf({ keys, place }: Entry, { settings, problems }: EntryParts): string[] | null {
  const host = keys.get('host');
  const directory = settings.get('unix_socket_dir').text;
  if (host.text === '') {
    if (directory !== '') return [directory];
    problems.error(
      place,
      'missing: host; without one the server is at a socket in unix_socket_dir, which is off',
    );
    return null;
  }
  const hosts = host.text.split(',').map((item) => item.trim());
  if (hosts.includes('')) {
    problems.error(host.place, 'expected hosts separated by commas, none of them empty');
    return null;
  }
  if (hosts.length > 1)
    problems.warning(
      host.place,
      'hosts are not taken in turn: each is asked for its role, writes go to the primary, reads to all; pool sizes are per host',
    );
  return hosts;
}

/** What is told of an entry is told once however many hosts it has: problems are kept by place. */
function writeDatabase(
  table: DraftTable,
  { name, place, keys }: Entry,
  host: string,
  isOneOfSeveral: boolean,
  parts: EntryParts,
): void {
  table.set('name', name, place);
  table.set('host', host, keys.get('host').place);
  if (isOneOfSeveral) table.set('role', 'auto', keys.get('host').place);
  const database = keys.get('dbname');
  // Of a template without dbname it is the name that the client asks for.
  if (database.text !== '' && database.text !== name)
    table.set('database_name', database.text, database.place);
  keys.apply((to, value, at) => table.set(to, value, at));
  writeReserve(table, keys, parts);
  writeLogin(table, keys, parts);
}

/** Whom all clients are on the server. The password may be in auth_file. */
function writeLogin(table: DraftTable, keys: GivenSettings, { listed, problems }: EntryParts): void {
  const [user, password] = [keys.get('user'), keys.get('password')];
  if (user.text === '') {
    if (password.text !== '') problems.warning(password.place, 'has no effect without user');
    return;
  }
  table.set('user', user.text, user.place);
  const known = clearPasswordOf(user.text, listed);
  if (password.text !== '') table.set('password', password.text, password.place);
  else if (known !== null) table.set('password', known.secret, known.place);
  else if (listed.has(user.text))
    problems.warning(
      user.place,
      `auth_file has no password in clear for "${user.text}": only servers that ask for none let it in`,
    );
}

function writeReserve(table: DraftTable, keys: GivenSettings, { settings }: EntryParts): void {
  const [size, alias] = [keys.get('reserve_pool_size'), keys.get('reserve_pool')];
  const said = size.isSaid ? size : alias;
  if (said.isSaid) table.set('reserve_pool_size', isReserveOff(settings) ? 0 : said.value, said.place);
}

/** Everybody in auth_file, with what [users] says; then those of [users] whose password is looked up. */
export function translateUsers(lines: readonly IniLine[], users: DraftDocument, parts: EntryParts): void {
  const { settings, listed, problems } = parts;
  const entries = new Map(readEntries(lines, USER_KEYS, problems).map((entry) => [entry.name, entry]));
  for (const { name, secret, place } of listed.values()) {
    if (secret === '' && needsPassword(settings) && settings.get('auth_user').text === '') {
      problems.warning(place, `"${name}" has an empty password, with which nobody can log in: left out`);
      continue;
    }
    const table = userTable(users, name, place);
    if (secret !== '') table.set('password', secret, place);
    writeUser(table, entries.get(name), parts);
  }
  for (const entry of entries.values()) {
    if (listed.has(entry.name)) continue;
    if (needsPassword(settings) && settings.get('auth_user').text === '') {
      problems.warning(
        entry.place,
        'is not in auth_file: nobody can log in by that name, and it is left out',
      );
      continue;
    }
    writeUser(userTable(users, entry.name, entry.place), entry, parts);
  }
}

function userTable(users: DraftDocument, name: string, place: Place): DraftTable {
  const table = users.listed('users', place);
  table.set('name', name, place);
  table.set('all_databases', true, place);
  return table;
}

function writeUser(table: DraftTable, entry: Entry | undefined, { settings }: EntryParts): void {
  if (entry === undefined) return;
  entry.keys.apply((to, value, at) => table.set(to, value, at));
  const size = entry.keys.get('reserve_pool_size');
  if (size.isSaid) table.set('reserve_pool_size', isReserveOff(settings) ? 0 : size.value, size.place);
}

/** Is every client asked for one? */
function needsPassword(settings: GivenSettings): boolean {
  return ['plain', 'md5', 'scram-sha-256'].includes(settings.get('auth_type').text);
}

export function checkPeers(lines: readonly IniLine[], problems: ProblemList): void {
  for (const { name, place, keys } of readEntries(lines, PEER_KEYS, problems)) {
    const id = /^\d{1,5}$/.test(name) ? Number(name) : 0;
    if (id < 1 || id > PEER_ID_MAX) problems.error(place, `expected an id from 1 to ${PEER_ID_MAX}`);
    else if (keys.get('host').text === '') problems.error(place, 'missing: host');
    else problems.warning(place, 'has no effect here: cancel requests are not passed on to other processes');
  }
}
