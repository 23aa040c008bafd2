/** ADD, ALTER and DROP: how they are read, what they do to a configuration, what is kept of them. */
import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import { PgDogError } from '@pgdog-cluster/core';
import {
  type ConfigurationChange,
  ConfigurationError,
  formatProblem,
  type LoadedConfig,
} from '@pgdog-cluster/core/config';
import {
  type ChangeOrder,
  changeTag,
  commandText,
  draftPersistFile,
  loadConfig,
  NO_TLS,
  parseChange,
  parsePersisted,
  planChange,
  Reloads,
  readPersistFile,
  splitCommands,
  valuesText,
  whereText,
} from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgdog-changes-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const CONFIG = `[general]
persist_file = "changes.sql"
[[databases]]
name = "shop"
host = "h1"
[[databases]]
name = "shop"
host = "h2"
role = "replica"
`;
const USERS = '[[users]]\nname = "app"\nall_databases = true\npassword = "p"\n';

const path = (name: string) => join(folder, name);

function load(unpersisted: readonly ConfigurationChange[] = [], config = CONFIG): LoadedConfig {
  writeFileSync(path('pgdog.toml'), config);
  writeFileSync(path('users.toml'), USERS);
  return loadConfig(
    {
      config: path('pgdog.toml'),
      users: path('users.toml'),
      listen: [],
      databaseUrls: [],
      isSessionMode: false,
    },
    () => {},
    unpersisted,
  );
}

function order(text: string): ChangeOrder {
  const [tokens] = splitCommands(text);
  const { change: parsed, isPersisted } = parseChange(tokens);
  const change = { ...parsed, source: `${changeTag(parsed)} "${parsed.name}" by admin`, line: 0 };
  return { type: 'change', change, isPersisted };
}

const after = (loaded: LoadedConfig, ...texts: string[]): LoadedConfig =>
  texts.reduce((config, text) => planChange(config, order(text)), loaded);

function refusal(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof PgDogError) return `${error.code} ${error.message}`;
    if (error instanceof ConfigurationError) return error.problems.map(formatProblem).join('; ');
    throw error;
  }
  return 'no refusal';
}

const shown = ({ databases }: LoadedConfig) =>
  databases.map(({ name, host, port, role }) => `${name} ${host}:${port} ${role}`);
const told = ({ layers }: LoadedConfig) => ({
  kept: layers.persisted.map(commandText),
  other: layers.unpersisted.map(commandText),
});

test('entries come, change and go, by name or one of several; each order sees what those before it did', () => {
  const loaded = load();
  const added = after(
    loaded,
    "ADD DATABASE shop host='h3' role=replica",
    "ADD DATABASE crm host='c' port=5433",
  );
  assert.deepEqual(shown(added), [
    'shop h1:5432 primary',
    'shop h2:5432 replica',
    'shop h3:5432 replica',
    'crm c:5433 primary',
  ]);
  const altered = after(
    added,
    "ALTER DATABASE shop WHERE host = 'h2' port = 6000",
    'ALTER DATABASE shop pool_size = 7',
    'ALTER DATABASE crm port = DEFAULT',
  );
  assert.deepEqual(shown(altered)[1], 'shop h2:6000 replica');
  assert.deepEqual(
    altered.databases.map(({ overrides }) => overrides.poolSize),
    [7, 7, 7, null],
  );
  assert.deepEqual(shown(altered)[3], 'crm c:5432 primary');
  const dropped = after(
    altered,
    'DROP DATABASE shop WHERE role = replica AND port = 6000',
    'DROP DATABASE crm',
  );
  assert.deepEqual(shown(dropped), ['shop h1:5432 primary', 'shop h3:5432 replica']);
  // Of what only orders had made nothing is left.
  assert.equal(
    told(dropped).other.some((text) => text.includes('crm')),
    false,
  );
  const again = after(
    dropped,
    "ADD DATABASE b host='b'",
    'DROP DATABASE shop',
    "ADD DATABASE shop host='new'",
    'DROP DATABASE b',
  );
  assert.deepEqual(shown(again), ['shop new:5432 primary']);
  assert.deepEqual(told(again).other, ['DROP DATABASE "shop"', `ADD DATABASE "shop" host = 'new'`]);
  const users = after(
    loaded,
    "ADD USER eve password='e' database=shop",
    "ALTER USER eve password='f' pool_size=2",
  );
  assert.deepEqual(
    users.users.map(({ name, passwords }) => `${name} ${passwords[0]?.reveal()}`),
    ['app p', 'eve f'],
  );
  assert.deepEqual(after(users, 'DROP USER eve').layers.unpersisted, []);
  // What was there before is as it was.
  assert.deepEqual(shown(loaded), ['shop h1:5432 primary', 'shop h2:5432 replica']);
});

test('the same checks as for files, with the order as the place; nothing of a secret', () => {
  const loaded = load();
  const cases: [string, RegExp][] = [
    ['ADD DATABASE x prot = 1', /ADD DATABASE "x" by admin: prot: unknown key; did you mean "port"/],
    ['ADD DATABASE x port = 5433', /ADD DATABASE "x" by admin: host: missing/],
    [
      "ADD DATABASE x host='h' port = 70000",
      /ADD DATABASE "x" by admin: port: expected a port number .*got 70000/,
    ],
    [
      "ADD DATABASE shop host='h2' role=replica",
      /by admin: host: "shop" has an entry for this host and port already \(.*pgdog\.toml:7\)/,
    ],
    ["ADD DATABASE shop host='h9'", /"shop" has a primary already \(.*pgdog\.toml:4\)/],
    ["ADD DATABASE admin host='h'", /"admin" is the admin database/],
    [
      "ALTER DATABASE shop WHERE host='h2' role = primary",
      /ALTER DATABASE "shop" by admin: role: "shop" has a primary already/,
    ],
    ['ALTER DATABASE shop min_pool_size = 99', /ALTER DATABASE "shop" by admin: min_pool_size: 99 exceeds/],
    ['ALTER DATABASE shop pool_size = 0', /pool_size: expected a whole number, 1 or more, got 0/],
    [
      "ADD USER app password='x' database=shop",
      /"app" has an entry for the same database already \(.*users\.toml:2\)/,
    ],
    ["ADD USER eve password='x'", /ADD USER "eve" by admin: /],
    ['ADD USER eve password=12345 database=shop', /password: expected a text in quotes/],
    [
      "ADD USER eve password=env('PGDOG_NO_SUCH') database=shop",
      /environment variable PGDOG_NO_SUCH is not set/,
    ],
    ["ADD USER eve password=file('/no/such') database=shop", /file \/no\/such: ENOENT/],
    ['DROP DATABASE shop', /no database is configured/],
    ['DROP DATABASE nope', /^order_refused there is no database "nope"$/],
    [
      "ALTER DATABASE shop WHERE host='h7' pool_size = 1",
      /^order_refused there is no database "shop" with host "h7"$/,
    ],
    ['ALTER USER eve pool_size = 1', /^order_refused there is no user "eve"$/],
    ["DROP USER app WHERE database = 'x'", /^order_refused there is no user "app" with database "x"$/],
  ];
  for (const [text, expected] of cases) {
    const said = refusal(() => after(loaded, text));
    assert.match(said, expected, text);
    assert.equal(said.includes('12345'), false);
  }
  const eve = after(loaded, "ADD USER eve password='hunter2' database=shop").layers;
  const [change] = eve.unpersisted;
  assert.equal(valuesText(change), "password = [secret], database = 'shop'");
  assert.equal(inspect(eve, { depth: 9 }).includes('hunter2'), false);
  assert.equal(JSON.stringify(eve.unpersisted).includes('hunter2'), false);
  assert.equal(whereText(change), '');
});

test('what is kept stands in a file of mode 0600, whole or not at all, and is read after all others', () => {
  let loaded = after(
    load(),
    "ADD DATABASE crm host='c' PERSIST",
    'ALTER DATABASE crm pool_size=3',
    "ADD USER eve password='it''s\nnew' database=crm PERSIST",
  );
  assert.deepEqual(told(loaded).other, ['ALTER DATABASE "crm" pool_size = 3']);
  const draft = draftPersistFile(path('changes.sql'), loaded.layers.persisted);
  assert.deepEqual(readPersistFile(path('changes.sql'), 'changes.sql'), []);
  draft.keep();
  assert.equal(statSync(path('changes.sql')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder).sort(), ['changes.sql', 'pgdog.toml', 'users.toml']);
  const kept = told(loaded).kept;
  loaded = load();
  assert.deepEqual(told(loaded).kept, kept);
  assert.equal(loaded.users[1]?.passwords[0]?.reveal(), "it's\nnew");
  assert.deepEqual(
    loaded.layers.persisted.map(({ source, line }) => `${source}:${line}`),
    ['changes.sql:3', 'changes.sql:4'],
  );
  assert.deepEqual(shown(loaded).at(-1), 'crm c:5432 primary');
  // A link stays one, and a draft that is thrown away changes nothing.
  symlinkSync('changes.sql', path('link.sql'));
  draftPersistFile(path('link.sql'), []).discard();
  assert.equal(readPersistFile(path('link.sql'), 'link.sql').length, 2);
  draftPersistFile(path('link.sql'), loaded.layers.persisted.slice(1)).keep();
  assert.equal(readPersistFile(path('changes.sql'), 'x').length, 1);
  assert.match(
    refusal(() => draftPersistFile(path('no/such.sql'), [])),
    /^order_refused persist_file .*no\/such\.sql cannot be written: ENOENT/,
  );
});

test('a file of changes that cannot be used is told with its line', () => {
  assert.match(
    refusal(() => parsePersisted('-- ok\nDROP USER x;\n\nADD NONSENSE;', 'c.sql')),
    /^c\.sql:4: ADD: expected DATABASE/,
  );
  assert.match(
    refusal(() => parsePersisted("ADD USER x password = 'open", 'c.sql')),
    /^c\.sql: /,
  );
  writeFileSync(path('changes.sql'), "DROP USER nobody;\nADD DATABASE x host='h', prot = 1;\n");
  assert.match(
    refusal(() => load()),
    /changes\.sql:2: prot: unknown key; did you mean "port"/,
  );
  writeFileSync(path('changes.sql'), 'DROP USER nobody;\n');
  assert.deepEqual(load().warnings.map(formatProblem), [
    'changes.sql:1: has no effect: there is no user "nobody"',
  ]);
});

test('what is kept takes with it what was ordered about the same name, and must stand without the rest', () => {
  const loaded = after(load(), "ADD DATABASE crm host='c'", 'ALTER DATABASE shop pool_size = 20');
  const altered = after(
    loaded,
    'ALTER DATABASE crm pool_size = 5',
    'ALTER DATABASE crm pool_size = 9 PERSIST',
  );
  assert.deepEqual(told(altered), {
    kept: [`ADD DATABASE "crm" host = 'c'`, 'ALTER DATABASE "crm" pool_size = 9'],
    other: ['ALTER DATABASE "shop" pool_size = 20'],
  });
  assert.equal(altered.databases.at(-1)?.overrides.poolSize, 9);
  assert.match(
    refusal(() => after(altered, 'DROP DATABASE crm', 'ALTER USER app min_pool_size = 15 PERSIST')),
    /^order_refused after a restart, without the changes that are not persisted: .*15 exceeds the pool size 10/,
  );
  const all = planChange(after(loaded, "ADD USER eve password='e' database=crm"), { type: 'persist' });
  assert.deepEqual([all.layers.persisted.length, all.layers.unpersisted.length], [3, 0]);
  const reset = planChange(after(all, 'DROP USER eve'), { type: 'reset' });
  assert.deepEqual(
    reset.users.map(({ name }) => name),
    ['app', 'eve'],
  );
  const gone = after(all, 'DROP USER eve PERSIST', 'DROP DATABASE crm PERSIST');
  assert.deepEqual(told(gone), { kept: ['ALTER DATABASE "shop" pool_size = 20'], other: [] });
});

test('reloads keep the layer, orders keep what was SET and take up no file; a conflict changes nothing', async () => {
  const published: LoadedConfig[] = [];
  const wrote: string[] = [];
  const logger = new FakeLogger();
  const publish = async (loaded: LoadedConfig) => published.push(loaded);
  const watch = { begin: () => {}, end: () => {}, wrote: (file: string) => void wrote.push(file) };
  let text = CONFIG;
  const options = { publication: { publish, tls: NO_TLS }, logger, onReloaded: () => {}, watch };
  const reloads = new Reloads({ ...options, load: (unpersisted) => load(unpersisted, text) }, load());
  const now = () => published.at(-1)!;
  await reloads.set('query_timeout', '77');
  text = `${CONFIG}\n[[databases]]\nname = "late"\nhost = "l"\n`;
  writeFileSync(path('pgdog.toml'), text);
  await reloads.change(order("ADD DATABASE crm host='c' PERSIST"));
  await reloads.change(order("ADD USER eve password='hunter2' database=crm"));
  assert.deepEqual(
    shown(now()).map((line) => line.split(' ')[0]),
    ['shop', 'shop', 'crm'],
  );
  assert.equal(now().general.query_timeout, 77);
  assert.deepEqual(wrote, [path('changes.sql')]);
  assert.match(readFileSync(path('changes.sql'), 'utf8'), /ADD DATABASE "crm" host = 'c';\n$/);
  await reloads.reload('test');
  assert.deepEqual(
    shown(now()).map((line) => line.split(' ')[0]),
    ['shop', 'shop', 'late', 'crm'],
  );
  assert.equal(now().general.query_timeout, 0);
  assert.deepEqual(
    now().users.map(({ name }) => name),
    ['app', 'eve'],
  );
  // The file now says what an order said.
  text = `${CONFIG}\n[[databases]]\nname = "crm"\nhost = "c"\n`;
  const count = published.length;
  await assert.rejects(
    reloads.reload('test'),
    /changes\.sql:3: .*"crm" has an entry for this host and port already \(.*pgdog\.toml:12\)/,
  );
  assert.equal(published.length, count);
  await reloads.change(order('DROP USER eve'));
  await reloads.change(order('DROP DATABASE crm PERSIST'));
  await reloads.reload('test');
  assert.deepEqual(
    shown(now()).map((line) => line.split(' ')[0]),
    ['shop', 'shop', 'crm'],
  );
  assert.equal(JSON.stringify(logger.lines).includes('hunter2'), false);
  reloads.close();
  await assert.rejects(reloads.change(order('DROP DATABASE crm')), /shutting down/);
});

test('without persist_file, and when what was planned cannot be published, no file is left behind', async () => {
  const logger = new FakeLogger();
  const publish = async (): Promise<number> => {
    throw new ConfigurationError([{ severity: 'error', source: 'x', line: 0, key: '', message: 'no room' }]);
  };
  const options = { publication: { publish, tls: NO_TLS }, logger, onReloaded: () => {} };
  const without = CONFIG.replace(/persist_file.*\n/, '');
  const none = new Reloads({ ...options, load: () => load() }, load([], without));
  await assert.rejects(
    none.change(order("ADD DATABASE crm host='c' PERSIST")),
    /there is no file to keep changes in/,
  );
  const full = new Reloads({ ...options, load: () => load() }, load());
  await assert.rejects(full.change(order("ADD DATABASE crm host='c' PERSIST")), /x: no room/);
  assert.deepEqual(readdirSync(folder).sort(), ['pgdog.toml', 'users.toml']);
  assert.deepEqual(full.layers.persisted, []);
});
