/** [pgbouncer]: what several settings mean together. */
import { resolve } from 'node:path';
import { readSecretForm } from '../../auth/secret-form.js';
import { splitList } from '../fields.js';
import type { Place, ProblemList } from '../problem-list.js';
import type { ListedUser } from './auth-file.js';
import type { DraftTable } from './draft.js';
import type { GivenSettings } from './given-settings.js';
import { AUTH_TYPES_REFUSED } from './settings-auth.js';

export interface GeneralParts {
  settings: GivenSettings;
  /** Of auth_file. */
  listed: ReadonlyMap<string, ListedUser>;
  general: DraftTable;
  admin: DraftTable;
  problems: ProblemList;
}

/** Names as our one admin database has them. */
export const ADMIN_NAME = 'pgbouncer';

export function translateJoined(parts: GeneralParts): void {
  translateSocket(parts);
  translateReserve(parts);
  translateCheck(parts);
  translateReset(parts);
  translateAuth(parts);
  translateClientTls(parts);
  translateServerTls(parts);
  translateAdmin(parts);
}

/** Paths are relative to the working directory, as in PgBouncer; in ours they would be to the file. */
export function absolute(path: string): string {
  return resolve(path);
}

function translateSocket({ settings, general }: GeneralParts): void {
  const directory = settings.get('unix_socket_dir').text;
  if (directory === '' || directory.startsWith('@')) return;
  const [mode, group] = [settings.get('unix_socket_mode'), settings.get('unix_socket_group')];
  if (mode.isSaid) general.set('unix_socket_mode', mode.value, mode.place);
  if (group.text !== '') general.set('unix_socket_group', group.value, group.place);
}

/** With reserve_pool_timeout = 0 PgBouncer never opens them; here they would be opened at once. */
export function isReserveOff(settings: GivenSettings): boolean {
  return settings.get('reserve_pool_timeout').value === 0;
}

function translateReserve({ settings, general, problems }: GeneralParts): void {
  const [size, wait] = [settings.get('reserve_pool_size'), settings.get('reserve_pool_timeout')];
  if (isReserveOff(settings)) {
    problems.warning(wait.place, '0 means that no pool has a reserve: reserve_pool_size is written as 0');
    general.set('reserve_pool_size', 0, size.place);
    return;
  }
  if (size.isSaid) general.set('reserve_pool_size', size.value, size.place);
  general.set('reserve_pool_timeout', wait.value, wait.place);
}

/** Queries that tell no more than an empty one. */
const PLAIN_CHECKS = ['<empty>', ';', 'select 1', 'select 1;'];

function translateCheck({ settings, general, problems }: GeneralParts): void {
  const [delay, query] = [settings.get('server_check_delay'), settings.get('server_check_query')];
  if (query.text === '') {
    general.set('healthcheck_interval', 0, query.place);
    return;
  }
  if (!PLAIN_CHECKS.includes(query.text.toLowerCase()))
    problems.warning(query.place, 'is not sent: connections are checked by an empty query');
  // 0 is "before each use" there, "never" here.
  general.set('healthcheck_interval', delay.value === 0 ? 1 : delay.value, delay.place);
}

/** Statements whose work is done here anyway, by their first words. */
const RESETS =
  /^(discard\s+(all|plans|sequences|temp|temporary)|reset\s+(all|session\s+authorization|role)|deallocate\s+(prepare\s+)?all|unlisten\s+\*|close\s+all|set\s+session\s+authorization\s+default|select\s+(pg_catalog\.)?pg_advisory_unlock_all\s*\(\s*\)|abort|rollback)$/i;

function translateReset({ settings, problems }: GeneralParts): void {
  const { text, place, isSaid } = settings.get('server_reset_query');
  if (!isSaid) return;
  if (text === '') {
    problems.warning(place, 'has no effect here: what a client left behind is always undone');
    return;
  }
  const statements = text.split(';').map((statement) => statement.trim());
  if (statements.every((statement) => statement === '' || RESETS.test(statement))) return;
  problems.error(
    place,
    'a statement of your own cannot be run between clients; what a client left behind is undone as by DISCARD ALL: leave the setting out',
  );
}

function translateAuth({ settings, general, problems }: GeneralParts): void {
  const type = settings.get('auth_type');
  if (Object.hasOwn(AUTH_TYPES_REFUSED, type.text)) {
    problems.error(type.place, AUTH_TYPES_REFUSED[type.text]);
    return;
  }
  general.set('auth_type', type.text === 'scram-sha-256' ? 'scram' : type.text, type.place);
  // There the password is asked for on any connection.
  if (type.text === 'plain') general.set('plain_auth_without_tls', true, type.place);
  for (const key of ['auth_hba_file', 'auth_ident_file']) {
    const file = settings.get(key);
    if (file.text === '') continue;
    if (type.text === 'hba') general.set(key, absolute(file.text), file.place);
    else problems.warning(file.place, `has no effect while auth_type is "${type.text}"`);
  }
}

interface TlsFile {
  setting: string;
  key: string;
}

const CLIENT_FILES: readonly TlsFile[] = [
  { setting: 'client_tls_cert_file', key: 'tls_certificate' },
  { setting: 'client_tls_key_file', key: 'tls_private_key' },
  { setting: 'client_tls_ca_file', key: 'tls_client_ca_certificate' },
];

const SERVER_FILES: readonly TlsFile[] = [
  { setting: 'server_tls_cert_file', key: 'tls_server_certificate' },
  { setting: 'server_tls_key_file', key: 'tls_server_private_key' },
  { setting: 'server_tls_ca_file', key: 'tls_server_ca_certificate' },
];

/** Files are used from the mode on that needs them; named earlier they would mean more here than there. */
function translateClientTls({ settings, general, problems }: GeneralParts): void {
  const mode = settings.get('client_tls_sslmode');
  general.set('client_tls_sslmode', mode.value, mode.place);
  for (const { setting, key } of CLIENT_FILES) {
    const file = settings.get(setting);
    if (file.text === '') continue;
    const isCa = setting === 'client_tls_ca_file';
    if (mode.text === 'disable') {
      problems.warning(file.place, 'has no effect while client_tls_sslmode is "disable"');
    } else if (isCa && !mode.text.startsWith('verify')) {
      problems.warning(
        file.place,
        `has no effect while client_tls_sslmode is "${mode.text}": certificates of clients are not verified`,
      );
    } else {
      general.set(key, absolute(file.text), file.place);
    }
  }
}

function translateServerTls({ settings, general }: GeneralParts): void {
  for (const { setting, key } of SERVER_FILES) {
    const file = settings.get(setting);
    if (file.text !== '') general.set(key, absolute(file.text), file.place);
  }
}

/** The first operator has his password in [admin]; the others, and who may look, are users like any other. */
function translateAdmin({ settings, listed, admin, problems }: GeneralParts): void {
  const operators = settings.get('admin_users');
  const [first, ...others] = splitList(operators.text).filter((name) => name !== '');
  admin.set('name', ADMIN_NAME, operators.place);
  const viewers = settings.get('stats_users');
  const lists = [
    ['admin_users', others, operators.place],
    ['stats_users', splitList(viewers.text).filter((name) => name !== ''), viewers.place],
  ] as const;
  for (const [key, names, place] of lists) {
    const known = names.filter((name) => listed.has(name));
    if (known.length > 0) admin.set(key, known, place);
    for (const name of names.filter((one) => !listed.has(one)))
      problems.warning(place, `"${name}" is not in auth_file and may not enter the admin database`);
  }
  if (first === undefined) return;
  admin.set('user', first, operators.place);
  const password = passwordOf(first, listed);
  if (password === null)
    problems.warning(
      operators.place,
      `auth_file has no password for "${first}": nobody may enter the admin database`,
    );
  else admin.set('password', password.secret, password.place);
}

function passwordOf(
  name: string,
  listed: ReadonlyMap<string, ListedUser>,
): { secret: string; place: Place } | null {
  const user = listed.get(name);
  return user === undefined || user.secret === '' ? null : user;
}

/** In clear, or null: a hash opens no server for a user who is not the client. */
export function clearPasswordOf(
  name: string,
  listed: ReadonlyMap<string, ListedUser>,
): { secret: string; place: Place } | null {
  const user = passwordOf(name, listed);
  return user !== null && readSecretForm(user.secret).kind === 'clear' ? user : null;
}
