import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from '@pgdog-cluster/core/config';
import { DATABASE, errorsOf, load, USER } from '../support/load-configuration.js';

/** `[general]` on line 1, the line under test on line 2. */
const general = (line: string) => ({ config: `[general]\n${line}\n${DATABASE}`, users: USER });
const database = (line: string) => ({ config: `${DATABASE}${line}\n`, users: USER });
const user = (line: string, rest = '') => ({ config: `${rest}${DATABASE}`, users: `${USER}${line}\n` });

/** What is written, and how the first error line begins. */
const REFUSED: [string, Parameters<typeof errorsOf>[0], string][] = [
  ['misspelled key', general('prot = 1'), 'pgdog.toml:2: general.prot: unknown key; did you mean "port"?'],
  [
    'swapped words',
    general('size_pool_min = 1'),
    'pgdog.toml:2: general.size_pool_min: unknown key; did you mean "min_pool_size"?',
  ],
  [
    'dashes',
    general('pool-mode = 1'),
    'pgdog.toml:2: general.pool-mode: unknown key; did you mean "pooler_mode"?',
  ],
  ['nothing near', general('xyzzyplugh = 1'), 'pgdog.toml:2: general.xyzzyplugh: unknown key'],
  [
    'unknown section',
    { config: `${DATABASE}[generall]\nport = 1\n`, users: USER },
    'pgdog.toml:4: generall: unknown key; did you mean "general"?',
  ],
  [
    'key of an unused section',
    { config: `${DATABASE}[memory]\nnet_bufer = 1\n`, users: USER },
    'pgdog.toml:5: memory.net_bufer: unknown key; did you mean "net_buffer"?',
  ],
  [
    'port too large',
    general('port = 70000'),
    'pgdog.toml:2: general.port: expected a port number from 1 to 65535, got 70000',
  ],
  [
    'text for a number',
    general('port = "x"'),
    'pgdog.toml:2: general.port: expected a port number from 1 to 65535, got "x"',
  ],
  [
    'fraction for a duration',
    general('checkout_timeout = 1.5'),
    'pgdog.toml:2: general.checkout_timeout: expected a whole number of milliseconds, 0 or more, got 1.5',
  ],
  [
    'negative',
    general('idle_timeout = -1'),
    'pgdog.toml:2: general.idle_timeout: expected a whole number of milliseconds',
  ],
  [
    'pool of none',
    general('default_pool_size = 0'),
    'pgdog.toml:2: general.default_pool_size: expected a whole number, 1 or more, got 0',
  ],
  [
    'not in the list',
    general('pooler_mode = "statment"'),
    'pgdog.toml:2: general.pooler_mode: expected one of "transaction", "session", "statement", got "statment"',
  ],
  ['log level', general('log_level = "loud"'), 'pgdog.toml:2: general.log_level: expected "error", "warn"'],
  [
    'table for a text',
    general('host = { env = "X" }'),
    'pgdog.toml:2: general.host: expected addresses or names separated by commas, "*" for all, or "" for none, got a table',
  ],
  [
    'same port twice',
    general('openmetrics_port = 6432'),
    'pgdog.toml:2: general.openmetrics_port: port 6432 is the one',
  ],
  [
    'jitter',
    general('server_lifetime_jitter = 86400001'),
    'pgdog.toml:2: general.server_lifetime_jitter: must not exceed',
  ],
  [
    'tls required',
    general('tls_client_required = true'),
    'pgdog.toml:2: general.tls_client_required: needs tls_certificate and tls_private_key',
  ],
  [
    'client CA',
    general('tls_client_ca_certificate = "ca.pem"'),
    'pgdog.toml:2: general.tls_client_ca_certificate: has no effect without TLS',
  ],
  [
    'tls certificate alone',
    general('tls_certificate = "a.pem"'),
    'pgdog.toml:2: general.tls_certificate: needs tls_private_key beside it',
  ],
  [
    'tls off and required',
    general('tls_client_required = true\nclient_tls_sslmode = "disable"'),
    'pgdog.toml:3: general.client_tls_sslmode: "disable" contradicts tls_client_required',
  ],
  [
    'clients verified by nobody',
    general('client_tls_sslmode = "verify-ca"\ntls_certificate = "a"\ntls_private_key = "b"'),
    'pgdog.toml:2: general.client_tls_sslmode: "verify-ca" needs tls_client_ca_certificate',
  ],
  [
    'old TLS',
    general('client_tls_protocols = "tlsv1.1,tlsv1.2"'),
    'pgdog.toml:2: general.client_tls_protocols: expected "secure"',
  ],
  [
    'revocation list of nobody',
    general('tls_server_crl = "a.crl"'),
    'pgdog.toml:2: general.tls_server_crl: needs tls_server_ca_certificate',
  ],
  [
    'tenants',
    { config: `${DATABASE}[multi_tenant]\ncolumns = "t"\n`, users: USER },
    'pgdog.toml:4: multi_tenant.column: missing',
  ],
  [
    'plugins',
    { config: `${DATABASE}[[plugins]]\nname = "t"\n`, users: USER },
    'pgdog.toml:4: plugins: plugins are not supported',
  ],

  [
    'no host',
    { config: '[[databases]]\nname = "a"\n', users: USER },
    'pgdog.toml:1: databases[0].host: missing: expected a text',
  ],
  [
    'auto beside a fixed role',
    database(`${DATABASE.replace('[[databases]]', '[[databases]]\nport = 5433\nrole = "auto"')}`),
    'pgdog.toml:6: databases[1].role: role = "auto" is for all hosts of a database or for none ("shop")',
  ],
  [
    'the same host again',
    database(DATABASE),
    'pgdog.toml:6: databases[1].host: "shop" has an entry for this host and port already (pgdog.toml:2)',
  ],
  [
    'second primary',
    database(DATABASE.replace('[[databases]]', '[[databases]]\nport = 5433')),
    'pgdog.toml:4: databases[1].role: "shop" has a primary already (pgdog.toml:2): role = "replica" makes',
  ],
  [
    'a URL that is none',
    general('patroni_url = ["http://a:8008", "b:8008"]'),
    'pgdog.toml:2: general.patroni_url: expected a URL',
  ],
  [
    'health checks on the port of clients',
    general('healthcheck_port = 6432'),
    'pgdog.toml:2: general.healthcheck_port: port 6432 is taken',
  ],
  [
    'resharding only',
    database('resharding_only = true'),
    'pgdog.toml:4: databases[0].resharding_only: resharding',
  ],
  [
    'half a pair of a database',
    database('tls_server_certificate = "a.pem"'),
    'pgdog.toml:4: databases[0].tls_server_certificate: needs tls_server_private_key beside it',
  ],
  [
    'wildcard',
    { config: '[[databases]]\nname = "*"\nhost = "{name}"\n', users: USER },
    'pgdog.toml:3: databases[0].host: the client would choose the host',
  ],
  [
    'long name',
    { config: `[[databases]]\nname = "${'ä'.repeat(32)}"\nhost = "h"\n`, users: USER },
    'pgdog.toml:2: databases[0].name: expected a name of 1 to 63 bytes',
  ],
  [
    'admin name',
    { config: '[[databases]]\nname = "admin"\nhost = "h"\n', users: USER },
    'pgdog.toml:2: databases[0].name: "admin" is the admin database',
  ],
  [
    'path of a unix socket too long',
    { config: `[[databases]]\nname = "shop"\nhost = "/${'p'.repeat(93)}"\n`, users: USER },
    `pgdog.toml:3: databases[0].host: the socket /${'p'.repeat(93)}/.s.PGSQL.5432 would have 108 bytes, the system takes 107`,
  ],
  [
    'peer of a TCP host',
    { config: `${DATABASE}require_peer = "postgres"\n`, users: USER },
    'pgdog.toml:4: databases[0].require_peer: only a Unix socket says who is at its other end: expected a host that begins with / or @',
  ],
  [
    'host list',
    { config: '[[databases]]\nname = "shop"\nhost = "a,b"\n', users: USER },
    'pgdog.toml:3: databases[0].host: expected one host: each has an entry of its own',
  ],
  [
    'host with port',
    { config: '[[databases]]\nname = "shop"\nhost = "a:5432"\n', users: USER },
    'pgdog.toml:3: databases[0].host: expected a host name or address; the port has a key',
  ],
  [
    'minimum above size',
    database('pool_size = 2\nmin_pool_size = 3'),
    'pgdog.toml:5: databases[0].min_pool_size: 3 exceeds the pool size 2',
  ],
  [
    'no databases',
    { config: '[general]\nport = 1\n', users: USER },
    'pgdog.toml: databases: no database is configured',
  ],
  ['no users', { config: DATABASE }, 'pgdog.toml: users: no user is configured'],

  [
    'no password',
    { config: DATABASE, users: '[[users]]\nname = "a"\ndatabase = "shop"\n' },
    'users.toml:1: users[0].password: missing',
  ],
  [
    'no database named',
    { config: DATABASE, users: '[[users]]\nname = "a"\npassword = "b"\n' },
    'users.toml:1: users[0].database: missing',
  ],
  [
    'user twice',
    user(USER),
    'users.toml:6: users[1].name: "app" has an entry for the same database already (users.toml:2)',
  ],
  [
    'bad verifier',
    user('password_hash = "SCRAM-SHA-256$nope"'),
    'users.toml:5: users[0].password_hash: expected a verifier',
  ],
  [
    'md5 with verifier only',
    {
      config: `[general]\nauth_type = "md5"\n${DATABASE}`,
      users: '[[users]]\nname = "a"\ndatabase = "shop"\npassword_hash = "x"\n',
    },
    'users.toml:4: users[0].password_hash: expected a verifier',
  ],
  [
    'md5 without password',
    {
      config: `[general]\nauth_type = "md5"\n${DATABASE}`,
      users: '[[users]]\nname = "a"\ndatabase = "shop"\n',
    },
    'users.toml:1: users[0].password: missing: the user could not log in',
  ],
  ['own method', user('auth_type = "hba"'), 'users.toml:5: users[0].auth_type: expected one of'],
  ['certificate without a name', user('identity = ""'), 'users.toml:5: users[0].identity: '],
  [
    'cloud login',
    user('server_auth = "rds_iam"'),
    'users.toml:5: users[0].server_auth: only password authentication',
  ],
  ['vault', user('vault_path = "x"'), 'users.toml:5: users[0].vault_path: passwords kept in Vault'],
  [
    'unset variable',
    user('server_password = { env = "NOT_SET" }'),
    'users.toml:5: users[0].server_password: environment variable NOT_SET is not set',
  ],
  [
    'absent file',
    user('server_password = { file = "/nope" }'),
    'users.toml:5: users[0].server_password: file /nope: ENOENT',
  ],
  ['empty password', user('server_password = ""'), 'users.toml:5: users[0].server_password: is empty'],
  [
    'number as password',
    user('server_password = 12345'),
    'users.toml:5: users[0].server_password: expected a text in quotes, { env',
  ],
  ['general in users.toml', user('[general]'), 'users.toml:5: general: unknown key'],

  ['syntax', { config: '[general]\nport = \n', users: USER }, 'pgdog.toml:2: not valid TOML: '],
  ['key twice', { config: '[general]\nport = 1\nport = 2\n', users: USER }, 'pgdog.toml:3: not valid TOML: '],
  [
    'bad variable',
    { config: DATABASE, users: USER, environment: { PGDOG_WORKERS: 'many' } },
    'PGDOG_WORKERS: expected a whole number',
  ],
  [
    'listen',
    { config: DATABASE, users: USER, commandLine: { listen: ['6432'] } },
    '--listen: expected addr:port',
  ],
];

for (const [name, texts, expected] of REFUSED) {
  test(`refused: ${name}`, () => {
    const errors = errorsOf(texts);
    assert.ok(errors[0]?.startsWith(expected), `expected ${expected}\ngot      ${errors.join('\n')}`);
  });
}

test('every error is told at once, over both files', () => {
  const errors = errorsOf({
    config: `[general]\nprot = 1\nworkers = "x"\n${DATABASE}rolle = "x"\n`,
    users: 'user = 1\n',
  });
  const places = errors.map((line) => line.split(': ').slice(0, 2).join(': '));
  assert.deepEqual(places.sort(), [
    'pgdog.toml:2: general.prot',
    'pgdog.toml:3: general.workers',
    'pgdog.toml:7: databases[0].rolle',
    'users.toml:1: user',
  ]);
});

/** Loads, with exactly this warning (none when empty). */
const ACCEPTED: [string, Parameters<typeof errorsOf>[0], string[]][] = [
  [
    'PgDog defaults written out',
    general(
      'tls_verify = "prefer"\nhealthcheck_interval = 30_000\nban_replica_lag = 9223372036854775807\ntwo_phase_commit = false\npassthrough_auth = "disabled"',
    ),
    [],
  ],
  [
    'later key',
    general('cutover_timeout = 1'),
    ['pgdog.toml:2: general.cutover_timeout: not supported yet, ignored'],
  ],
  [
    'certificate',
    general(
      'tls_certificate = "a.pem"\ntls_private_key = "b.pem"\nclient_tls_protocols = "TLSv1.2, tlsv1.3"',
    ),
    [],
  ],
  ['verified database', database('tls_verify = "verify-full"'), []],
  [
    'certificate for nobody',
    database('tls_verify = "disabled"\ntls_server_certificate = "a"\ntls_server_private_key = "b"'),
    ['pgdog.toml:5: databases[0].tls_server_certificate: has no effect while tls_verify is "disabled"'],
  ],
  [
    'later section',
    { config: `${DATABASE}[memory]\nnet_buffer = 8192\n`, users: USER },
    ['pgdog.toml:4: memory: not supported yet, ignored'],
  ],
  [
    'congestion',
    { config: `${DATABASE}[tcp]\ncongestion_control = "bbr"\n`, users: USER },
    ['pgdog.toml:5: tcp.congestion_control: not supported yet, ignored'],
  ],
  [
    'unknown database',
    { config: DATABASE, users: USER.replace('database = "shop"', 'databases = ["shop", "shopp"]') },
    ['users.toml:3: users[0].databases: no database "shopp" is configured; did you mean "shop"?'],
  ],
  [
    'mistyped variable',
    { config: DATABASE, users: USER, environment: { PGDOG_WORKRES: '1' } },
    ['PGDOG_WORKRES: no such setting, ignored; did you mean PGDOG_WORKERS?'],
  ],
  [
    'Kubernetes service links',
    {
      config: DATABASE,
      users: USER,
      environment: {
        PGDOG_PORT: 'tcp://10.0.0.1:6432',
        PGDOG_SERVICE_HOST: '10.0.0.1',
        PGDOG_PORT_6432_TCP: 'x',
      },
    },
    [],
  ],
  ['log filter', general('log_level = "info,pgdog=debug"'), []],
  [
    'one name, two databases',
    {
      config: `${DATABASE}[[databases]]\nname = "b"\nhost = "h"\n`,
      users: `${USER}[[users]]\nname = "app"\ndatabase = "b"\npassword = "y"\n`,
    },
    [],
  ],
];

for (const [name, texts, warnings] of ACCEPTED) {
  test(`accepted: ${name}`, () => {
    assert.deepEqual(load(texts).warnings.map(formatProblem), warnings);
  });
}
