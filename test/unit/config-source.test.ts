/** [config_source]: what it may say, what its rows may say, and the copy of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import {
  ConfigurationError,
  formatProblem,
  type LoadedConfig,
  type PreparedConfig,
  prepareConfig,
  SourceRows,
  type SourceTable,
  sourceTablesSql,
} from '@pgdog-cluster/core/config';
import { ageText, readSourceCache, writeSourceCache } from 'pgdog-cluster';

const NOTHING: SourceTable = { columns: [], rows: [] };
const FILES = '[[databases]]\nname = "shop"\nhost = "h"\n';
const USERS = '[[users]]\nname = "app"\nall_databases = true\npassword = "p"\n';
const SOURCE = '[config_source]\npostgres = "postgres://reader:hunter2@cfg:5444/config"\n';

function prepare(config: string, environment: Record<string, string> = {}): PreparedConfig {
  return prepareConfig({
    config: { name: 'pgdog.toml', text: config },
    users: { name: 'users.toml', text: USERS },
    commandLine: { listen: [], isSessionMode: false, databaseUrls: [] },
    environment,
    cpuCount: 1,
    readSecretFile: () => 'from a file\n',
  });
}

const rowsOf = (databases: SourceTable, users: SourceTable = NOTHING) =>
  new SourceRows({ databases, users }, { identity: 'i', atMs: 1000, digest: 'd' });
const withRows = (databases: SourceTable, users?: SourceTable, config = FILES): LoadedConfig =>
  prepare(config + SOURCE).finish(rowsOf(databases, users));

function errorsOf(body: () => unknown): string[] {
  try {
    body();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.filter(({ severity }) => severity === 'error').map(formatProblem);
  }
  return [];
}

test('where it is, what is asked, what is listened to', () => {
  const { configSource } = prepare(FILES + SOURCE);
  assert.ok(configSource !== null);
  const { entry } = configSource;
  assert.deepEqual(
    [entry.host, entry.port, entry.serverDatabase, entry.serverUser],
    ['cfg', 5444, 'config', 'reader'],
  );
  assert.equal(entry.serverPassword?.reveal(), 'hunter2');
  assert.equal(configSource.tls.mode, 'prefer');
  assert.equal(configSource.databasesQuery, 'SELECT * FROM pgdog.databases ORDER BY name, shard, host, port');
  assert.deepEqual(
    [configSource.channel, configSource.refreshIntervalMs, configSource.cacheFile],
    ['pgdog_config', 60_000, null],
  );
  assert.equal(inspect(configSource, { depth: 9 }).includes('hunter2'), false);
  assert.equal(configSource.identity.includes('hunter2'), false);
  const more = `[config_source]\npostgres = { env = "URL" }\npassword = { file = "x" }\nchannel = ""\nusers_query = ""\nrefresh_interval = 500\ncache_file = "c"\n`;
  const other = prepare(FILES + more, { URL: 'postgres://r@h/d?sslmode=verify-full' }).configSource;
  assert.equal(other?.entry.serverPassword?.reveal(), 'from a file');
  assert.deepEqual(
    [other?.tls.mode, other?.usersQuery, other?.channel, other?.cacheFile],
    ['verify_full', '', '', 'c'],
  );
  assert.equal(prepare(FILES).configSource, null);
});

test('what it may not say; its URL is never shown', () => {
  const cases: [string, string][] = [
    ['channel = "x"', 'pgdog.toml:4: config_source.postgres: missing: expected a text'],
    ['postgres = 7', 'pgdog.toml:5: config_source.postgres: expected a text in quotes'],
    ['postgres = "mysql://hunter2@h/d"', 'pgdog.toml:5: config_source.postgres: not a URL of the form'],
    [
      'postgres = "postgres://u:hunter2@h/d?pol_size=1"',
      'pgdog.toml:5: config_source.postgres.pol_size: unknown parameter; did you mean "pool_size"?',
    ],
    [
      'postgres = { env = "NO_URL" }',
      'pgdog.toml:5: config_source.postgres: environment variable NO_URL is not set',
    ],
    [
      'postgres = "postgres://u@h/d"\nchanel = "x"',
      'pgdog.toml:6: config_source.chanel: unknown key; did you mean "channel"?',
    ],
    [
      'postgres = "postgres://u@h/d"\nrefresh_interval = 1',
      'pgdog.toml:6: config_source.refresh_interval: expected a whole number, 100 or more, got 1',
    ],
  ];
  for (const [text, expected] of cases) {
    const errors = errorsOf(() => prepare(`${FILES}[config_source]\n${text}\n`));
    assert.equal(errors.length, 1, errors.join('\n'));
    assert.ok(errors[0]?.startsWith(expected), errors[0]);
    assert.equal(errors[0]?.includes('hunter2'), false);
  }
});

test('rows are entries behind those of files; NULL is not set', () => {
  const loaded = withRows(
    {
      columns: ['name', 'host', 'port', 'role', 'read_only'],
      rows: [
        ['crm', 'c1', 5433, null, true],
        ['shop', 'h2', 5432, 'replica', null],
      ],
    },
    {
      columns: ['name', 'password', 'databases', 'database'],
      rows: [['eve', 'hunter2', ['crm', 'shop'], null]],
    },
  );
  assert.deepEqual(
    loaded.databases.map(({ name, host, port, role, overrides }) => [
      name,
      host,
      port,
      role,
      overrides.readOnly,
    ]),
    [
      ['shop', 'h', 5432, 'primary', null],
      ['crm', 'c1', 5433, 'primary', true],
      ['shop', 'h2', 5432, 'replica', null],
    ],
  );
  assert.deepEqual(loaded.users[1]?.databases, ['crm', 'shop']);
  assert.equal(inspect(loaded, { depth: 9 }).includes('hunter2'), false);
  assert.equal(JSON.stringify(loaded.layers.rows).includes('hunter2'), false);
  assert.deepEqual(loaded.layers.rows?.counts, { databases: 2, users: 1 });
});

test('a bad row is told with its number and column, and refuses all of them', () => {
  const columns = ['name', 'host', 'port'];
  const good = ['a', 'h', 1];
  const cases: [SourceTable, SourceTable, string][] = [
    [
      { columns, rows: [good, ['b', 'h', 70_000]] },
      NOTHING,
      'config_source databases row 2: port: expected a port number from 1 to 65535, got 70000',
    ],
    [{ columns, rows: [good, ['b', null, 1]] }, NOTHING, 'config_source databases row 2: host: missing'],
    [
      { columns, rows: [['b', 'h', '5432']] },
      NOTHING,
      'config_source databases row 1: port: expected a port number from 1 to 65535, got "5432"',
    ],
    [
      { columns: [...columns, 'prot'], rows: [] },
      NOTHING,
      'config_source databases: prot: unknown column; did you mean "port"?',
    ],
    [{ columns: [...columns, 'name'], rows: [] }, NOTHING, 'config_source databases: name: is there twice'],
    [
      { columns, rows: [['shop', 'h', 5432]] },
      NOTHING,
      'config_source databases row 1: host: "shop" has an entry for this host and port already (pgdog.toml:2)',
    ],
    [
      NOTHING,
      { columns: ['name', 'password'], rows: [['eve', 7]] },
      'config_source users row 1: password: expected a text in quotes',
    ],
    [
      NOTHING,
      { columns: ['name', 'password', 'database'], rows: [['eve', { file: '/etc/shadow' }, 'shop']] },
      'config_source users row 1: password: a secret of a row stands in the row itself',
    ],
    [
      NOTHING,
      { columns: ['name', 'passwords', 'database'], rows: [['eve', [{ env: 'X' }], 'shop']] },
      'config_source users row 1: passwords: a secret of a row',
    ],
  ];
  for (const [databases, users, expected] of cases) {
    const errors = errorsOf(() => withRows(databases, users));
    assert.ok(errors[0]?.startsWith(expected), errors.join('\n'));
  }
  const many = Array.from({ length: 1000 }, () => ['x', 'h', 0]);
  assert.equal(errorsOf(() => withRows({ columns, rows: many })).length, 20);
});

test('the tables that are made have a column for each key, of a type that it takes', () => {
  const sql = sourceTablesSql();
  for (const line of [
    '"pool_size" bigint',
    '"read_only" boolean',
    '"databases" text[]',
    '"password" text',
    '"patroni_url" text',
    '"lb_weight" bigint',
  ]) {
    assert.ok(sql.includes(line), line);
  }
  assert.equal(sql.includes('resharding_only'), false);
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgdog-source-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the copy is read as it was written, only for the same source, and is nobody else’s to read', () => {
  const path = join(folder, 'cache');
  const reasonOf = (identity: string): string => {
    try {
      readSourceCache(path, identity);
      return '';
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
  };
  assert.equal(reasonOf('i'), 'there is no copy of it yet');
  const table = { columns: ['name', 'databases'], rows: [['eve', ['a', 'b']]] };
  writeSourceCache(path, rowsOf(NOTHING, table));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const read = readSourceCache(path, 'i');
  assert.deepEqual(read.reveal().users, table);
  assert.deepEqual([read.atMs, read.digest, read.counts.users], [1000, 'd', 1]);
  assert.match(reasonOf('another'), /of another source/);
  const text = readFileSync(path, 'utf8');
  for (const damaged of [
    text.slice(0, -1),
    '',
    'null',
    '[]',
    text.replace('"version":1', '"version":2'),
    text.replace('["eve",', '['),
  ]) {
    writeFileSync(path, damaged);
    assert.match(reasonOf('i'), /damaged/, damaged);
  }
  assert.deepEqual(
    [ageText(4000), ageText(600_000), ageText(10_000_000), ageText(1e9)],
    ['4 s', '10 min', '3 h', '12 days'],
  );
});
