import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListenAddress } from '@pgdog-cluster/core/config';
import { DATABASE, errorsOf, load, USER } from '../support/load-configuration.js';

interface Expected {
  name: string;
  user: string;
  password: string | null;
  host: string;
  port: number;
  serverDatabase: string;
}

const FORMS: [string, Expected][] = [
  ['postgres://a:b@h:1/d', { name: 'd', user: 'a', password: 'b', host: 'h', port: 1, serverDatabase: 'd' }],
  [
    'postgresql://a:b@h/d',
    { name: 'd', user: 'a', password: 'b', host: 'h', port: 5432, serverDatabase: 'd' },
  ],
  ['postgres://a:b@h', { name: 'a', user: 'a', password: 'b', host: 'h', port: 5432, serverDatabase: 'a' }],
  ['postgres://a:b@h/', { name: 'a', user: 'a', password: 'b', host: 'h', port: 5432, serverDatabase: 'a' }],
  [
    'postgres://a:b@[::1]:7/d',
    { name: 'd', user: 'a', password: 'b', host: '::1', port: 7, serverDatabase: 'd' },
  ],
  [
    'postgres://%40%C3%A4:p%2F%23%3F%25@h/my%20db',
    { name: 'my db', user: '@ä', password: 'p/#?%', host: 'h', port: 5432, serverDatabase: 'my db' },
  ],
  [
    'postgres://a:b@h/d?database_name=real',
    { name: 'd', user: 'a', password: 'b', host: 'h', port: 5432, serverDatabase: 'real' },
  ],
  [
    'postgres://a:b@h/d?name=shown&sslmode=prefer',
    { name: 'shown', user: 'a', password: 'b', host: 'h', port: 5432, serverDatabase: 'd' },
  ],
];

for (const [url, expected] of FORMS) {
  test(`-d ${url}`, () => {
    const loaded = load({ urls: [url] });
    const [database] = loaded.databases;
    const [user] = loaded.users;
    const actual = {
      name: database.name,
      user: user.name,
      password: user.passwords[0]?.reveal() ?? null,
      host: database.host,
      port: database.port,
      serverDatabase: database.serverDatabase,
    };
    assert.deepEqual(actual, expected);
    assert.deepEqual(user.databases, [database.name]);
  });
}

test('parameters become settings of the database', () => {
  const parameters =
    'pool_size=7&min_pool_size=2&pooler_mode=session&statement_timeout=9&read_only=true&user=su&password=sp';
  const { databases } = load({ urls: [`postgres://a:b@h/d?${parameters}`] });
  const [{ overrides, serverUser, serverPassword }] = databases;
  assert.equal(overrides.poolSize, 7);
  assert.equal(overrides.minPoolSize, 2);
  assert.equal(overrides.poolerMode, 'session');
  assert.equal(overrides.statementTimeoutMs, 9);
  assert.equal(overrides.readOnly, true);
  assert.equal(serverUser, 'su');
  assert.equal(serverPassword?.reveal(), 'sp');
});

const SSLMODES: [parameters: string, verify: string | null, ca: string | null][] = [
  ['', null, null],
  ['sslmode=disable', 'disabled', null],
  ['sslmode=allow', 'prefer', null],
  ['sslmode=prefer', 'prefer', null],
  ['sslmode=require', 'require', null],
  ['sslmode=require&sslrootcert=/ca.pem', 'verify_ca', '/ca.pem'],
  ['sslmode=verify-ca&sslrootcert=/ca.pem', 'verify_ca', '/ca.pem'],
  ['sslmode=verify-full', 'verify_full', null],
];

for (const [parameters, verify, ca] of SSLMODES) {
  test(`TLS towards the server of -d postgres://a:b@h/d?${parameters}`, () => {
    const [{ tls }] = load({ urls: [`postgres://a:b@h/d?${parameters}`] }).databases;
    assert.deepEqual([tls.verify, tls.ca], [verify, ca]);
  });
}

test('sslcert and sslkey are what the server is shown', () => {
  const [{ tls }] = load({ urls: ['postgres://a:b@h/d?sslmode=require&sslcert=c&sslkey=k'] }).databases;
  assert.deepEqual([tls.certificate, tls.privateKey], ['c', 'k']);
});

const REFUSED: [string[], string][] = [
  [['postgres://a:b@h/d?pol_size=1'], '-d: pol_size: unknown parameter; did you mean "pool_size"?'],
  [['postgres://a:b@h/d?pool_size=x'], '-d: pool_size: expected a whole number, 1 or more, got "x"'],
  [['postgres://a:b@h/d?pool_size='], '-d: pool_size: expected a whole number'],
  [['postgres://a:b@h/d?role=leader'], '-d: role: expected one of "primary", "replica", "auto"'],
  [['postgres://a:b@h/d?shard=1'], '-d: shard: "d" has no shard 0'],
  [['postgres://a:b@h/d?sslmode=verify_full'], '-d: sslmode: expected one of "disable", "allow", "prefer"'],
  [['postgres://a:b@h/d?sslcert=c'], '-d: tls_server_certificate: needs tls_server_private_key'],
  [['postgres://h/d'], '-d: user: missing'],
  [['postgres://a@h/d'], '-d: password: missing'],
  [['http://a:b@h/d'], '-d: not a URL of the form postgres://'],
  [['a:b@h/d'], '-d: not a URL of the form'],
  [['postgres://a:b@h:99999/d'], '-d: not a URL of the form'],
  [['postgres://a:b@h:0/d'], '-d: port: expected a port number'],
  [
    ['postgres://a:b@h/d', 'postgres://c:d@h/d'],
    '-d (number 2): host: "d" has an entry for this host and port already (-d (number 1))',
  ],
];

for (const [urls, expected] of REFUSED) {
  test(`refused: -d ${urls.join(' -d ')}`, () => {
    const errors = errorsOf({ urls });
    assert.ok(errors[0]?.startsWith(expected), errors.join('\n'));
  });
}

test('URLs add to the files, and the environment to both', () => {
  const loaded = load({
    config: DATABASE,
    users: USER,
    urls: ['postgres://a:b@h/d'],
    environment: { PGDOG_DATABASE_URL_1: 'postgres://e:f@h/env' },
  });
  assert.deepEqual(
    loaded.databases.map(({ name }) => name),
    ['shop', 'd', 'env'],
  );
  assert.deepEqual(loaded.sources, ['pgdog.toml', 'users.toml', '-d', 'PGDOG_DATABASE_URL_1']);
});

test('listen addresses', () => {
  const cases: [string, string | null][] = [
    ['127.0.0.1:6432', '127.0.0.1 6432'],
    [':1', '0.0.0.0 1'],
    ['[::1]:65535', '::1 65535'],
    ['db.example:5', 'db.example 5'],
    ['::1:5', null],
    ['6432', null],
    ['h:', null],
    ['h:0', null],
    ['h:65536', null],
    ['h:x', null],
    ['h: 5', null],
    ['', null],
  ];
  for (const [text, expected] of cases) {
    const address = parseListenAddress(text, '0.0.0.0');
    assert.equal(address && `${address.host} ${address.port}`, expected, text);
  }
});
