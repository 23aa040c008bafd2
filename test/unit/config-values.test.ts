import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  activeGeneralSchema,
  configurationJsonSchema,
  GENERAL_DEFAULTS,
  generalSchema,
  LATER_DATABASE,
  LATER_GENERAL,
  LATER_SECTIONS,
  LATER_USER,
  listSettings,
} from '@pgdog-cluster/core/config';
import { DATABASE, load, USER } from '../support/load-configuration.js';

const ROOT = new URL('../../../', import.meta.url);

test('nothing but a database and a user: PgDog defaults', () => {
  const { general, tcp, admin, listen, workerCount } = load({ config: DATABASE, users: USER });
  assert.equal(general.default_pool_size, 10);
  assert.equal(general.checkout_timeout, 5_000);
  assert.equal(general.auth_type, 'scram');
  assert.equal(general.prepared_statements, 'full');
  assert.equal(general.prepared_statements_limit, 5_000);
  assert.equal(general.openmetrics_port, null);
  assert.equal(tcp.keepalive, true);
  assert.deepEqual(admin, { name: 'admin', user: 'admin', password: null, adminUsers: [], statsUsers: [] });
  assert.deepEqual(listen, [{ host: '0.0.0.0', port: 6432 }]);
  assert.equal(workerCount, 3, 'one per CPU');
});

test('command line over file over environment over default', () => {
  const config = `[general]\ndefault_pool_size = 2\nport = 2\n${DATABASE}`;
  const environment = {
    PGDOG_DEFAULT_POOL_SIZE: '3',
    PGDOG_PORT: '3',
    PGDOG_HOST: '127.0.0.1',
    PGDOG_CLIENT_LOG_TIMEOUT: '77',
    PGDOG_LOG_CONNECTIONS: 'false',
  };
  const commandLine = { poolSize: 1, workers: 5, isSessionMode: true, minPoolSize: 0 };
  const { general, workerCount } = load({ config, users: USER, environment, commandLine });
  assert.equal(general.default_pool_size, 1);
  assert.equal(general.port, 2);
  assert.equal(general.host, '127.0.0.1');
  assert.equal(general.client_login_timeout, 77);
  assert.equal(general.log_connections, false);
  assert.equal(general.pooler_mode, 'session');
  assert.equal(general.min_pool_size, 0);
  assert.equal(workerCount, 5);
});

test('--listen replaces host and port', () => {
  const { listen } = load({
    config: DATABASE,
    users: USER,
    commandLine: { listen: ['[::1]:1', ':2', '*:3'] },
  });
  assert.deepEqual(listen, [
    { host: '::1', port: 1 },
    { host: '0.0.0.0', port: 2 },
    { host: '*', port: 3 },
  ]);
});

test('max_pool_size is default_pool_size by another name', () => {
  assert.equal(
    load({ config: `[general]\nmax_pool_size = 4\n${DATABASE}`, users: USER }).general.default_pool_size,
    4,
  );
});

test('admin in users.toml wins, key by key', () => {
  const { admin } = load({
    config: `${DATABASE}[admin]\nname = "boss"\nuser = "x"\n`,
    users: `${USER}[admin]\nuser = "y"\n`,
  });
  assert.equal(admin.name, 'boss');
  assert.equal(admin.user, 'y');
});

test('each [general] key is either active with a default or known for later', () => {
  const active = Object.keys(activeGeneralSchema.shape);
  assert.deepEqual(Object.keys(GENERAL_DEFAULTS).sort(), active.sort());
  assert.deepEqual(
    Object.keys(generalSchema.shape).sort(),
    [...active, ...Object.keys(LATER_GENERAL)].sort(),
  );
  for (const [key, { default: value }] of Object.entries(GENERAL_DEFAULTS)) {
    if (value === null) continue;
    assert.ok(generalSchema.safeParse({ [key]: value }).success, `${key} refuses its own default`);
  }
  for (const [key, { harmless }] of Object.entries(LATER_GENERAL)) {
    for (const value of harmless) assert.ok(generalSchema.safeParse({ [key]: value }).success, key);
  }
});

test('settings listed once each, with the values in force', () => {
  const rows = listSettings(load({ config: `[general]\nport = 7\n${DATABASE}`, users: USER }));
  const names = rows.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(
    rows.find(({ name }) => name === 'port'),
    { name: 'port', value: '7', default: '6432', unit: '' },
  );
  assert.equal(rows.find(({ name }) => name === 'workers')?.value, '3');
  assert.equal(rows.find(({ name }) => name === 'tcp_keepalive')?.value, 'true');
});

test('JSON Schema knows types, defaults and strictness', () => {
  const schema = JSON.parse(JSON.stringify(configurationJsonSchema('pgdog')));
  assert.equal(schema.additionalProperties, false);
  const { port } = schema.properties.general.properties;
  assert.equal(port.type, 'integer');
  assert.equal(port.default, 6432);
  assert.deepEqual(schema.properties.databases.items.required.sort(), ['host', 'name']);
  const users = JSON.parse(JSON.stringify(configurationJsonSchema('users')));
  assert.deepEqual(users.properties.users.items.required, ['name']);
});

interface SchemaNode {
  description?: string;
  properties?: Record<string, SchemaNode>;
  items?: SchemaNode;
}

/** Paths of all properties with what they say about themselves. */
function descriptions(node: SchemaNode, path = ''): [string, string | undefined][] {
  return Object.entries(node.properties ?? {}).flatMap(([key, property]) => [
    [`${path}${key}`, property.description] as [string, string | undefined],
    ...descriptions(property.items ?? property, `${path}${key}.`),
  ]);
}

test('JSON Schema says of every key what it means; of those without a feature, that', () => {
  for (const file of ['pgdog', 'users'] as const) {
    const schema = JSON.parse(JSON.stringify(configurationJsonSchema(file)));
    const unused = (path: string): boolean => {
      const [section, key] = path.split('.');
      return (
        Object.hasOwn(LATER_SECTIONS, section) ||
        (section === 'general' && Object.hasOwn(LATER_GENERAL, key)) ||
        (section === 'databases' && Object.hasOwn(LATER_DATABASE, key ?? '')) ||
        (section === 'users' && Object.hasOwn(LATER_USER, key ?? '')) ||
        path === 'tcp.congestion_control'
      );
    };
    for (const [path, text] of descriptions(schema)) {
      assert.ok(text !== undefined && text.length > 5, `${file}: ${path} has no description`);
      const isUnused = text === 'Known, but not supported by this version.';
      assert.equal(isUnused, unused(path), `${file}: ${path}: ${text}`);
    }
  }
});

test('the example files are accepted without a warning', () => {
  const read = (name: string) => readFileSync(new URL(`docs/${name}`, ROOT), 'utf8');
  const loaded = load({
    config: read('pgdog.example.toml'),
    users: read('users.example.toml'),
    environment: {
      PGDOG_ADMIN_PASSWORD: 'x',
      SHOP_READER_PASSWORD: 'y',
      ANALYST_VERIFIER: `SCRAM-SHA-256$4096:QUJD$${'A'.repeat(43)}=:${'A'.repeat(43)}=`,
    },
    files: { '/run/secrets/shop_app': 'z\n' },
  });
  assert.deepEqual(loaded.warnings, []);
});

test('docs/reference/configuration.md is what the tables say', () => {
  execFileSync(process.execPath, ['scripts/print-configuration.mjs', '--check'], {
    cwd: ROOT,
    stdio: 'pipe',
  });
});
