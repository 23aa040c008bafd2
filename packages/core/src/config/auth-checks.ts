/** Relations between the keys of authentication. */
import { concernsDatabase, groupNames, groupWord } from '../auth/hba-match.js';
import { readSecretForm, type SecretForm } from '../auth/secret-form.js';
import { isPattern } from '../base/name-pattern.js';
import { authTypeOf } from './auth-entries.js';
import type { CheckedParts, Placed } from './cross-checks.js';
import type { UserEntry } from './loaded-config.js';
import type { Place, ProblemList } from './problem-list.js';
import type { UserInput } from './schema.js';
import { concernsUser } from './template-checks.js';

export function checkAuthentication(parts: CheckedParts, problems: ProblemList): void {
  const { general, generalOrigin, databases } = parts;
  const at = (key: string) => generalOrigin(key).place(key);
  const type = authTypeOf(general.auth_type);
  if (type === 'hba' && general.auth_hba_file === null) {
    problems.error(at('auth_hba_file'), 'missing: auth_type "hba" needs a file of rules');
  }
  if (type !== 'hba' && general.auth_hba_file !== null) {
    problems.warning(at('auth_hba_file'), `has no effect while auth_type is "${general.auth_type}"`);
  }
  if (general.auth_ident_file !== null && general.auth_hba_file === null) {
    problems.warning(at('auth_ident_file'), 'has no effect without auth_hba_file');
  }
  if (general.auth_failures_max > 0 && general.auth_failures_window === 0) {
    problems.error(at('auth_failures_window'), 'expected more than 0 while auth_failures_max is set');
  }
  checkCertificates(parts, at, problems);
  checkGroups(parts, problems);
  for (const { entry, input, origin } of databases) {
    const { authQuery } = entry;
    if (authQuery === null) {
      if (input.auth_query !== undefined) {
        problems.error(origin.place('auth_user'), 'missing: auth_query needs a user who asks it');
      }
      continue;
    }
    if (isPattern(authQuery.database)) {
      // Whoever is not logged in yet would choose in which databases we ask.
      const text =
        'missing: users of databases that are made of a pattern are asked for in one that is configured';
      problems.error(origin.place('auth_dbname'), text);
      continue;
    }
    if (databases.some((other) => other.entry.name === authQuery.database)) continue;
    const place = input.auth_dbname === undefined ? at('auth_dbname') : origin.place('auth_dbname');
    problems.error(place, `no database "${authQuery.database}" is configured`);
  }
}

/** Whoever is asked for a certificate needs one that can be verified. Only a warning: it keeps people out, not in. */
function checkCertificates(parts: CheckedParts, at: (key: string) => Place, problems: ProblemList): void {
  const { general, users, hba } = parts;
  if (general.tls_client_ca_certificate !== null) return;
  const text = 'nobody can log in by certificate without tls_client_ca_certificate';
  if (authTypeOf(general.auth_type) === 'cert') problems.warning(at('auth_type'), text);
  for (const { entry, origin } of users) {
    if (entry.authType === 'cert') problems.warning(origin.place('auth_type'), text);
    if (entry.identity !== null) problems.warning(origin.place('identity'), text);
    else if (entry.isCertificateRequired)
      problems.warning(origin.place('tls_client_certificate_required'), text);
  }
  const rule = hba?.find(({ method, clientCert }) => method !== 'reject' && clientCert !== 'no');
  if (rule !== undefined) problems.warning(at('auth_hba_file'), `line ${rule.line}: ${text}`);
}

/** All of them go into each question, and into its answer, which has to fit a mailbox message. */
const GROUPS_MAX = 200;

/**
 * `+role` and `samerole` need a server that is asked about members. Where some databases have none, rules with them let nobody in there,
 * and those that reject keep everybody out.
 */
function checkGroups({ hba, databases }: CheckedParts, problems: ProblemList): void {
  for (const rule of hba ?? []) {
    const word = groupWord(rule);
    if (word === null) continue;
    const place = { source: rule.file, line: rule.line, key: '' };
    const concerned = databases.map(({ entry }) => entry).filter(({ name }) => concernsDatabase(rule, name));
    const silent = concerned.filter(({ authQuery }) => authQuery === null).map(({ name }) => `"${name}"`);
    const effect = rule.method === 'reject' ? 'it rejects everybody' : 'it does not match';
    const lack = `"${word}": auth_user is not set, so nobody can be asked who is a member`;
    if (silent.length === 0) continue;
    if (silent.length === concerned.length) problems.error(place, lack);
    else problems.warning(place, `${lack} in ${[...new Set(silent)].join(', ')}: there ${effect}`);
  }
  const names = groupNames(hba ?? [], null);
  if (names.length <= GROUPS_MAX) return;
  const place = { source: hba?.[0].file ?? '', line: 0, key: '' };
  problems.error(place, `asks about ${names.length} roles with "+", of which ${GROUPS_MAX} are allowed`);
}

/** Can anybody log in who is not listed? */
export function areStrangersKnown({ databases, general }: CheckedParts): boolean {
  return general.passthrough_auth !== 'disabled' || databases.some(({ entry }) => entry.authQuery !== null);
}

/** It says itself what the user shows. */
export function hasSecret({ passwords, passwordHash }: UserEntry): boolean {
  return passwords.length > 0 || passwordHash !== null;
}

/** Is there somebody to ask about the user's password? */
function isLookedUp(user: UserEntry, { databases, general }: CheckedParts): boolean {
  if (general.passthrough_auth !== 'disabled') return true;
  const mine = databases.filter(({ entry }) => concernsUser(user, entry.name));
  return mine.length > 0 && mine.every(({ entry }) => entry.authQuery !== null);
}

function checkForm(kind: SecretForm['kind'], place: Place, problems: ProblemList): void {
  if (kind !== 'malformed') return;
  problems.error(place, 'begins like a verifier, but is none; `pgdog-cluster hash` prints them');
}

/** Can the user log in by the method that is asked? And is each secret what it looks like? */
export function checkSecrets(
  placed: Placed<UserInput, UserEntry>,
  parts: CheckedParts,
  problems: ProblemList,
): void {
  const { entry, origin } = placed;
  const { passwords, passwordHash, serverPassword } = entry;
  const forms = passwords.map((password) => readSecretForm(password.reveal()).kind);
  for (const kind of forms) checkForm(kind, origin.place('password'), problems);
  if (passwordHash !== null) {
    const { kind } = readSecretForm(passwordHash.reveal());
    if (kind !== 'scram' && kind !== 'md5') {
      problems.error(
        origin.place('password_hash'),
        'expected a verifier "SCRAM-SHA-256$…" or "md5…", as `pgdog-cluster hash` prints it',
      );
    }
    forms.push(kind);
  }
  if (serverPassword !== null)
    checkForm(readSecretForm(serverPassword.reveal()).kind, origin.place('server_password'), problems);
  const method = entry.authType ?? authTypeOf(parts.general.auth_type);
  if (method !== 'scram' && method !== 'md5' && method !== 'plain') return;
  if (forms.length === 0) {
    if (entry.identity !== null || isLookedUp(entry, parts)) return;
    problems.error(
      origin.place('password'),
      'missing: the user could not log in; give password, passwords or password_hash',
    );
  } else if (method === 'scram' && forms.every((kind) => kind === 'md5')) {
    problems.error(
      origin.place('password'),
      'an md5 hash cannot serve auth_type "scram": give the password or a SCRAM verifier',
    );
  }
}
