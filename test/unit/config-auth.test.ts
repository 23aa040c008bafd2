/** Keys of authentication: what fits together, where the question about strangers comes from, and files of rules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { deriveVerifier, formatVerifier, md5Hash } from '@pgdog-cluster/core';
import { type LoadedConfig, listSettings } from '@pgdog-cluster/core/config';
import { buildSnapshot } from 'pgdog-cluster';
import { DATABASE, errorsOf, load, USER } from '../support/load-configuration.js';

const general = (...lines: string[]) => `[general]\n${lines.join('\n')}\n${DATABASE}`;
const NO_PASSWORD = '[[users]]\nname = "app"\ndatabase = "shop"\n';
const VERIFIER = formatVerifier(deriveVerifier('pencil', 5));
const MD5 = `md5${md5Hash('hunter2', 'app')}`;

const REFUSED: [name: string, texts: Parameters<typeof errorsOf>[0], expected: string][] = [
  [
    'hba without a file',
    { config: general('auth_type = "hba"'), users: USER },
    'pgdog.toml:1: general.auth_hba_file: missing',
  ],
  [
    'absent file',
    { config: general('auth_type = "hba"', 'auth_hba_file = "nope"'), users: USER },
    'pgdog.toml:3: general.auth_hba_file: file nope: ENOENT',
  ],
  [
    'a bad rule',
    {
      config: general('auth_type = "hba"', 'auth_hba_file = "rules"'),
      users: USER,
      files: { rules: '# comment\nlocal all all trust\nhost all all 10.0.0.0/8 ldap\n' },
    },
    'rules:3: method "ldap" is not supported',
  ],
  [
    'a group, and nobody to ask about members',
    {
      config: general('auth_type = "hba"', 'auth_hba_file = "rules"'),
      users: USER,
      files: { rules: 'local all all trust\nhost shop +staff all md5\n' },
    },
    'rules:2: "+staff": auth_user is not set, so nobody can be asked who is a member',
  ],
  [
    'too many groups',
    {
      config: general('auth_type = "hba"', 'auth_hba_file = "rules"', 'auth_user = "asker"'),
      users: USER,
      files: { rules: `host all ${Array.from({ length: 201 }, (_, n) => `+g${n}`)} all md5\n` },
    },
    'rules: asks about 201 roles with "+", of which 200 are allowed',
  ],
  [
    'a map nobody defines',
    {
      config: general('auth_type = "hba"', 'auth_hba_file = "rules"', 'auth_ident_file = "maps"'),
      users: USER,
      files: { rules: 'local all all peer map=m\n', maps: 'other a b\n' },
    },
    'rules:1: map "m" is not in auth_ident_file',
  ],
  [
    'a bad map',
    {
      config: general('auth_type = "hba"', 'auth_hba_file = "rules"', 'auth_ident_file = "maps"'),
      users: USER,
      files: { rules: 'local all all peer map=m\n', maps: 'm /^(.*)$ \\1\n' },
    },
    'maps:1: regular expressions are not supported',
  ],
  [
    'question without a user',
    { config: `${DATABASE}auth_query = "SELECT 1"\n`, users: USER },
    'pgdog.toml:1: databases[0].auth_user: missing',
  ],
  [
    'question in an unknown database',
    { config: general('auth_user = "asker"', 'auth_dbname = "nowhere"'), users: USER },
    'pgdog.toml:3: general.auth_dbname: no database "nowhere"',
  ],
  [
    'failures without a window',
    { config: general('auth_failures_window = 0'), users: USER },
    'pgdog.toml:2: general.auth_failures_window: expected more than 0',
  ],
  [
    'md5 hash for scram',
    { config: DATABASE, users: `${NO_PASSWORD}password_hash = "${MD5}"\n` },
    'users.toml:1: users[0].password: an md5 hash cannot serve',
  ],
  [
    'broken verifier as password',
    { config: DATABASE, users: `${NO_PASSWORD}password = "${VERIFIER}x"\n` },
    'users.toml:4: users[0].password: begins like a verifier',
  ],
  ['nobody', { config: DATABASE }, 'pgdog.toml: users: no user is configured'],
  [
    'no password and nobody to ask',
    { config: DATABASE, users: NO_PASSWORD },
    'users.toml:1: users[0].password: missing',
  ],
];

for (const [name, texts, expected] of REFUSED) {
  test(`refused: ${name}`, () => {
    const errors = errorsOf(texts);
    assert.ok(errors[0]?.startsWith(expected), `expected ${expected}\ngot      ${errors.join('\n')}`);
  });
}

test('accepted: users without a password where somebody can be asked, or nothing is', () => {
  for (const texts of [
    { config: general('passthrough_auth = "enabled"') },
    { config: general('auth_user = "asker"') },
    { config: general('auth_user = "asker"'), users: NO_PASSWORD },
    { config: general('passthrough_auth = "enabled_plain_allow_change"'), users: NO_PASSWORD },
    { config: general('auth_type = "cert"'), users: NO_PASSWORD },
    { config: general('auth_type = "trust"'), users: NO_PASSWORD },
    { config: DATABASE, users: `${NO_PASSWORD}auth_type = "cert"\n` },
    { config: general('auth_type = "md5"'), users: `${NO_PASSWORD}password_hash = "${VERIFIER}"\n` },
    { config: general('auth_type = "password"'), users: `${NO_PASSWORD}password_hash = "${MD5}"\n` },
    { config: general('auth_type = "scram-sha-256"'), users: USER },
  ]) {
    assert.deepEqual(errorsOf(texts), [], JSON.stringify(texts));
  }
});

test('warned: certificates are asked for, and none can be verified', () => {
  const warningsOf = (texts: Parameters<typeof load>[0]) =>
    load(texts).warnings.map(({ message }) => message);
  const text = 'nobody can log in by certificate without tls_client_ca_certificate';
  assert.deepEqual(warningsOf({ config: general('auth_type = "cert"'), users: NO_PASSWORD }), [text]);
  assert.deepEqual(warningsOf({ config: DATABASE, users: `${NO_PASSWORD}auth_type = "cert"\n` }), [text]);
  const tls = ['tls_certificate = "c"', 'tls_private_key = "k"', 'tls_client_ca_certificate = "a"'];
  assert.deepEqual(warningsOf({ config: general('auth_type = "cert"', ...tls), users: NO_PASSWORD }), []);
});

test('the question about strangers: database over general, password from where it is', () => {
  const other = DATABASE.replace('shop', 'other');
  const config = `${general('auth_user = "asker"', 'auth_password = "g3neral"', 'auth_dbname = "other"')}${other}auth_user = "second"\nauth_query = "SELECT f($1)"\nauth_dbname = "shop"\n`;
  const users = `${USER}[[users]]\nname = "second"\ndatabase = "shop"\npasswords = ["${VERIFIER}", "s3cond"]\n`;
  const { databases } = load({ config, users });
  const seen = databases.map(
    ({ authQuery }) => authQuery && { ...authQuery, password: authQuery.password?.reveal() },
  );
  assert.deepEqual(seen[0] && { ...seen[0], sql: '' }, {
    user: 'asker',
    password: 'g3neral',
    database: 'other',
    sql: '',
  });
  assert.match(seen[0]?.sql ?? '', /rolvaliduntil < pg_catalog\.now\(\).*rolname = \$1 AND rolcanlogin/);
  assert.deepEqual(seen[1], {
    user: 'second',
    password: 's3cond',
    database: 'shop',
    sql: 'SELECT f($1)',
  });
});

test('auth_password is nowhere to be seen', () => {
  const MARK = 'sw0rdfish';
  const shown = (loaded: LoadedConfig) =>
    [
      inspect(loaded, { depth: null, showHidden: true }),
      JSON.stringify(loaded),
      JSON.stringify(listSettings(loaded)),
    ].join('\n');
  const config = `${general('auth_user = "asker"', `auth_password = "${MARK}"`)}auth_password = "${MARK}2"\n`;
  assert.equal(shown(load({ config, users: USER })).includes(MARK), false);
  const environment = { PGDOG_AUTH_PASSWORD: MARK };
  const loaded = load({ config: general('auth_user = "asker"'), users: USER, environment });
  assert.equal(loaded.databases[0].authQuery?.password?.reveal(), MARK);
  assert.equal(shown(loaded).includes(MARK), false);
  for (const wrong of [`["${MARK}"]`, `{ text = "${MARK}" }`, `${MARK}`]) {
    const errors = errorsOf({ config: general('auth_user = "a"', `auth_password = ${wrong}`), users: USER });
    assert.ok(errors.length > 0);
    assert.equal(errors.join().includes(MARK), false, errors.join());
  }
});

test('certificates of users: who needs no password, and a warning where nobody vouches for certificates', () => {
  const users = `${NO_PASSWORD}identity = "spiffe://a/b"\ntls_client_certificate_required = true\n`;
  const {
    users: [user],
    warnings,
  } = load({ config: DATABASE, users });
  assert.deepEqual([user.identity, user.isCertificateRequired], ['spiffe://a/b', true]);
  assert.deepEqual(
    warnings.map(({ key, message }) => `${key}: ${message}`),
    ['users[0].identity: nobody can log in by certificate without tls_client_ca_certificate'],
  );
  // Without a name in it any certificate will do, beside a password.
  assert.deepEqual(
    errorsOf({ config: DATABASE, users: `${NO_PASSWORD}tls_client_certificate_required = true\n` }),
    [
      'users.toml:1: users[0].password: missing: the user could not log in; give password, passwords or password_hash',
    ],
  );
});

test('names in files: lists by @file beside the rules, comments and quotes in them', () => {
  const { hba } = load({
    config: general('auth_type = "hba"', 'auth_hba_file = "rules"'),
    users: USER,
    files: {
      rules: 'host shop @names,late 127.0.0.1/32 md5\nhost all "@names" all md5\n',
      names: 'ann # first\n"b o b",all\n\n@more\n',
      more: 'carl\n',
    },
  });
  const name = (text: string) => ({ kind: 'name', name: text });
  assert.deepEqual(hba?.[0].users, [name('ann'), name('b o b'), { kind: 'all' }, name('carl'), name('late')]);
  assert.deepEqual(hba?.[1].users, [name('@names')]);
  const errors = errorsOf({
    config: general('auth_type = "hba"', 'auth_hba_file = "rules"'),
    users: USER,
    files: { rules: 'host @gone all all md5\nhost @loop all all md5\n', loop: '@loop' },
  });
  assert.deepEqual(errors, ['rules:1: file "gone" cannot be read', 'rules:2: file "loop" cannot be read']);
});

// What workers get of a secret, by the methods that may be asked.

const FORMS = `passwords = ["clear", "${MD5}", "${VERIFIER}"]\n`;
const snapshotOf = async (config: string, files?: Record<string, string>) => {
  const snapshot = await buildSnapshot(load({ config, users: `${NO_PASSWORD}${FORMS}`, files }), 1);
  const [user] = snapshot.users;
  return { snapshot, counts: [user.verifiers.length, user.md5Hashes.length, user.passwordTags.length] };
};

test('each method gets the forms it needs and no other', async () => {
  const counts = async (type: string) => (await snapshotOf(general(`auth_type = "${type}"`))).counts;
  assert.deepEqual(await counts('scram'), [2, 0, 0]);
  assert.deepEqual(await counts('md5'), [1, 2, 0]);
  assert.deepEqual(await counts('plain'), [1, 1, 1]);
  assert.deepEqual(await counts('trust'), [0, 0, 0]);
  assert.deepEqual(await counts('cert'), [0, 0, 0]);
  const hba = general('auth_type = "hba"', 'auth_hba_file = "rules"');
  const both = { rules: 'host all all all md5\nhost all all all scram-sha-256\n' };
  assert.deepEqual((await snapshotOf(hba, both)).counts, [2, 2, 0]);
  assert.deepEqual((await snapshotOf(hba, { rules: 'host all all samehost trust\n' })).counts, [0, 0, 0]);
});

test('a given verifier lends its salt and iterations to the other passwords', async () => {
  const { snapshot } = await snapshotOf(DATABASE);
  const [given, derived] = snapshot.users[0].verifiers;
  assert.equal(given.iterations, 5);
  assert.deepEqual(derived.salt, given.salt);
  assert.equal(derived.iterations, 5);
});

test('towards servers: every form, but hashes only for the same role', async () => {
  const [own] = (await snapshotOf(DATABASE)).snapshot.pools;
  assert.deepEqual(own.serverPasswords, ['clear']);
  assert.deepEqual([own.serverMd5Hashes.length, own.serverVerifiers.length], [1, 1]);
  const [forced] = (await snapshotOf(`${DATABASE}user = "other"\n`)).snapshot.pools;
  assert.deepEqual(forced.serverPasswords, ['clear']);
  assert.deepEqual([forced.serverMd5Hashes.length, forced.serverVerifiers.length], [0, 0]);
  const given = `md5${md5Hash('x', 'other')}`;
  const [named] = (await snapshotOf(`${DATABASE}user = "other"\npassword = "${given}"\n`)).snapshot.pools;
  assert.deepEqual(named.serverPasswords, []);
  assert.deepEqual(named.serverMd5Hashes, [given.slice(3)]);
});

test("samehost and samenet are this machine's addresses when the rules are published", async () => {
  const hba = general('auth_type = "hba"', 'auth_hba_file = "rules"');
  const files = {
    rules: 'host all all samehost trust\nhost all all samenet trust\nhost all all all trust\n',
  };
  const { snapshot } = await snapshotOf(hba, files);
  const [host, net, any] = snapshot.hba ?? [];
  assert.ok(host.address.kind === 'networks' && net.address.kind === 'networks');
  const loopback = host.address.networks.find(({ address }) => address.join('.') === '127.0.0.1');
  assert.equal(loopback?.prefixBits, 32);
  assert.ok(
    net.address.networks.some(
      ({ address, prefixBits }) => address.join('.') === '127.0.0.0' && prefixBits === 8,
    ),
  );
  assert.equal(any.address.kind, 'any');
});
