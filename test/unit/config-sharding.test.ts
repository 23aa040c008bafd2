import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from '@pgdog-cluster/core/config';
import { Directory } from '@pgdog-cluster/worker';
import { buildSnapshot, planGroups } from 'pgdog-cluster';
import { type ConfigurationTexts, errorsOf, load, USER } from '../support/load-configuration.js';

/** Five lines each. */
const shard = (number: number, rest = ''): string =>
  `[[databases]]\nname = "shop"\nhost = "127.0.0.${number + 1}"\nshard = ${number}\n${rest}\n`;
const THREE = [0, 1, 2].map((number) => shard(number)).join('');

/** `rest` from line 16 on. */
const sharded = (rest: string, general = ''): ConfigurationTexts => ({
  config: `${THREE}${rest}\n${general}`,
  users: USER,
});

const table = (rest = ''): string =>
  `[[sharded_tables]]\ndatabase = "shop"\nname = "orders"\ncolumn = "customer_id"\n${rest}`;
/** `rest` from line 20 on. */
const withTable = (rest: string): ConfigurationTexts => sharded(table(rest));

const shopOf = (texts: ConfigurationTexts) => load(texts).sharding.get('shop');
const warningsOf = (texts: ConfigurationTexts): string[] => load(texts).warnings.map(formatProblem);

test('a database with several shards, nothing said beside: defaults', () => {
  assert.deepEqual(shopOf(sharded('')), {
    shardCount: 3,
    tables: [],
    schemas: [],
    omnisharded: [],
    crossShard: 'full',
    isOmniSticky: false,
    isCatalogSticky: true,
    commit: 'as_allowed',
    areKeysMovable: false,
    areInsertsSplit: true,
  });
  assert.equal(load({ config: shard(0), users: USER }).sharding.size, 0, 'one shard is none');
});

test('a table is sharded by hash of bigint unless said otherwise; names are as in SQL', () => {
  const rule = {
    schema: null,
    table: 'orders',
    column: 'customer_id',
    keyType: 'int8',
    function: 'hash',
    mapping: [],
    lookupQuery: null,
    lookupResult: 'value',
    areUniquesPerShard: false,
  };
  assert.deepEqual(shopOf(withTable(''))?.tables, [rule]);
  const other = `[[sharded_tables]]\ndatabase = "shop"\nschema = '"Sales"'\nname = "Orders"\ncolumn = '"Customer""Id"'\ndata_type = "varchar"\nhasher = "sha1"\nprimary = true\n`;
  assert.deepEqual(shopOf(sharded(other))?.tables, [
    { ...rule, schema: 'Sales', column: 'Customer"Id', keyType: 'text', function: 'sha1' },
  ]);
  const looked = 'lookup_query = "SELECT s FROM m WHERE k = $1"\n';
  const lookup = { ...rule, function: 'lookup', lookupQuery: 'SELECT s FROM m WHERE k = $1' };
  assert.deepEqual(shopOf(withTable(`${looked}lookup_result = "shard"\n`))?.tables, [
    { ...lookup, lookupResult: 'shard' },
  ]);
  assert.deepEqual(shopOf(withTable(`${looked}hasher = "sha1"\n`))?.tables, [
    { ...lookup, lookupHash: 'sha1' },
  ]);
  assert.deepEqual(shopOf(withTable('unique_per_shard = true\n'))?.tables, [
    { ...rule, areUniquesPerShard: true },
  ]);
});

test('every type has its key', () => {
  const types = {
    bigint: 'int8',
    int: 'int4',
    smallint: 'int2',
    uuid: 'uuid',
    varchar: 'text',
    text: 'text',
    date: 'date',
    timestamp: 'timestamp',
    timestamptz: 'timestamptz',
    numeric: 'numeric',
    bytea: 'bytea',
  };
  for (const [name, keyType] of Object.entries(types)) {
    assert.equal(shopOf(withTable(`data_type = "${name}"\n`))?.tables[0].keyType, keyType);
  }
});

test('mappings are tried as lists, then ranges, then the default', () => {
  const rest =
    '[[sharded_tables.mapping]]\nshard = 2\n' +
    '[[sharded_tables.mapping]]\nend = 0\nshard = 0\n' +
    '[[sharded_tables.mapping]]\nstart = 0\nend = 100\nshard = 1\n' +
    '[[sharded_tables.mapping]]\nvalues = [7, "8", -9]\nshard = 0\n';
  const [rule] = shopOf(withTable(rest))?.tables ?? [];
  assert.equal(rule.function, 'mapped');
  assert.deepEqual(rule.mapping, [
    { kind: 'list', values: ['7', '8', '-9'], shard: 0 },
    { kind: 'range', start: null, end: '0', shard: 0 },
    { kind: 'range', start: '0', end: '100', shard: 1 },
    { kind: 'default', shard: 2 },
  ]);
});

test('[[sharded_mappings]] goes to its table, with a warning', () => {
  const old = (kind: string, rest: string): string =>
    `[[sharded_mappings]]\ndatabase = "shop"\ncolumn = "customer_id"\nkind = "${kind}"\n${rest}`;
  const texts = withTable(
    old('list', 'values = [1, 2]\nshard = 1\n') +
      old('range', 'table = "orders"\nstart = 3\nshard = 2\n') +
      old('default', 'shard = 0\n'),
  );
  assert.deepEqual(shopOf(texts)?.tables[0].mapping, [
    { kind: 'list', values: ['1', '2'], shard: 1 },
    { kind: 'range', start: '3', end: null, shard: 2 },
    { kind: 'default', shard: 0 },
  ]);
  assert.deepEqual(
    warningsOf(texts)[0],
    'pgdog.toml:20: sharded_mappings[0]: is deprecated: write [[sharded_tables.mapping]] below its table',
  );
});

test('a limit that leaves no room for one server connection on each shard is warned of, once', () => {
  const refused = (value: number): string =>
    `${value} server connections at a time are fewer than database "shop" has shards (3): what writes on all of them is refused`;
  const general = (line: string): string[] => warningsOf(sharded('', `[general]\n${line}\n`));
  for (const key of ['max_server_conn', 'max_db_connections', 'max_user_connections']) {
    assert.deepEqual(general(`${key} = 2`), [`pgdog.toml:18: general.${key}: ${refused(2)}`]);
    for (const value of [0, 3]) assert.deepEqual(general(`${key} = ${value}`), []);
  }
  const own = {
    config: [0, 1, 2].map((number) => shard(number, 'max_db_connections = 1')).join(''),
    users: USER,
  };
  assert.equal(warningsOf(own).length, 3);
  assert.match(warningsOf(own)[0], /max_db_connections: 1 server connections/);
  const user = { config: THREE, users: `${USER}max_user_connections = 2\n` };
  assert.match(warningsOf(user).join(), /^users\.toml:\d+: users\[\w+\]\.max_user_connections: 2 server/);
  const single = { config: `${shard(0)}[general]\nmax_db_connections = 1\n`, users: USER };
  assert.deepEqual(warningsOf(single), []);
});

test('schemas and omnisharded tables', () => {
  const rest =
    '[[sharded_schemas]]\ndatabase = "shop"\nname = "Eu"\nshard = 1\n' +
    '[[sharded_schemas]]\ndatabase = "shop"\nname = "common"\nall = true\n' +
    '[[sharded_schemas]]\ndatabase = "shop"\n' +
    '[[omnisharded_tables]]\ndatabase = "shop"\ntables = ["Plans", "common.rates", \'"Odd.Name"\']\n' +
    '[[omnisharded_tables]]\ndatabase = "shop"\ntables = []\nsticky = true\n';
  const sharding = shopOf(sharded(rest));
  assert.deepEqual(sharding?.schemas, [
    { name: 'eu', shard: 1, isOnAll: false },
    { name: 'common', shard: 0, isOnAll: true },
    { name: null, shard: 0, isOnAll: false },
  ]);
  assert.deepEqual(sharding?.omnisharded, [
    [null, 'plans'],
    ['common', 'rates'],
    [null, 'Odd.Name'],
  ]);
  assert.equal(sharding?.isOmniSticky, true);
});

test('[general] and [rewrite] reach the database', () => {
  const general =
    '[general]\ncross_shard = "merge"\ntwo_phase_commit = false\nsystem_catalogs = "omnisharded"\nomnisharded_sticky = true\n[rewrite]\nenabled = true\nshard_key = "rewrite"\nsplit_inserts = "error"\n';
  const { crossShard, commit, isCatalogSticky, isOmniSticky, areKeysMovable, areInsertsSplit } =
    shopOf(sharded('', general)) ?? assert.fail();
  assert.deepEqual(
    { crossShard, commit, isCatalogSticky, isOmniSticky, areKeysMovable, areInsertsSplit },
    {
      crossShard: 'merge',
      commit: 'plain',
      isCatalogSticky: false,
      isOmniSticky: true,
      areKeysMovable: true,
      areInsertsSplit: false,
    },
  );
  assert.equal(shopOf(sharded('', '[general]\ntwo_phase_commit = true\n'))?.commit, 'two_phase');
  const keysOf = (value: string) => shopOf(sharded('', `[rewrite]\nprimary_key = "${value}"\n`))?.madeKeys;
  assert.deepEqual(['ignore', 'rewrite', 'rewrite_omni', 'error'].map(keysOf), [
    undefined,
    'all',
    'omni',
    'error',
  ]);
});

test('cross_shard_disabled: user over database over general', async () => {
  const poolOf = async (general: string, database: string, user: string) => {
    const config = [0, 1].map((number) => shard(number, database)).join('') + general;
    const { databases, pools } = await buildSnapshot(load({ config, users: `${USER}${user}` }), 1);
    return [databases[0].sharding?.crossShard, pools[0].crossShard, pools[1].crossShard];
  };
  const off = '[general]\ncross_shard_disabled = true\n';
  assert.deepEqual(await poolOf('', '', ''), ['full', undefined, undefined]);
  assert.deepEqual(await poolOf(off, '', ''), ['direct_only', undefined, undefined]);
  assert.deepEqual(await poolOf(off, 'cross_shard_disabled = false', ''), ['full', undefined, undefined]);
  const merge = '[general]\ncross_shard = "merge"\n';
  assert.deepEqual(await poolOf(merge, 'cross_shard_disabled = true', ''), [
    'direct_only',
    undefined,
    undefined,
  ]);
  assert.deepEqual(await poolOf(merge, '', 'cross_shard_disabled = true\n'), [
    'merge',
    'direct_only',
    'direct_only',
  ]);
  assert.deepEqual(await poolOf(off, '', 'cross_shard_disabled = false\n'), ['direct_only', 'full', 'full']);
});

test('pools have their shard, and each shard its cluster', async () => {
  const config = `${shard(0)}${shard(1)}${shard(1, 'role = "replica"\nport = 5433')}[[databases]]\nname = "plain"\nhost = "h"\n`;
  const users = USER.replace('database = "shop"', 'all_databases = true');
  const { pools, clusters, databases } = await buildSnapshot(load({ config, users }), 1);
  assert.deepEqual(
    pools.map(({ shard: number, role }) => `${number} ${role}`),
    ['0 primary', '1 primary', '1 replica', '0 primary'],
  );
  const app = { user: 'app' };
  assert.deepEqual(clusters, [
    { ...app, database: 'shop', shard: 0, pools: [0], isRouted: true },
    { ...app, database: 'shop', shard: 1, pools: [1, 2], isRouted: true },
    { ...app, database: 'plain', shard: 0, pools: [3], isRouted: false },
  ]);
  assert.deepEqual(
    databases.map(({ name, sharding }) => `${name} ${sharding?.shardCount}`),
    ['shop 2', 'plain undefined'],
  );
});

test('the directory knows every shard, also of users who come later', async () => {
  const snapshot = await buildSnapshot(load(sharded('')), 1);
  const directory = new Directory(snapshot);
  assert.deepEqual(directory.cluster('shop', 'app')?.pools, [0]);
  assert.deepEqual(directory.cluster('shop', 'app', 2)?.pools, [2]);
  assert.equal(directory.cluster('shop', 'app', 3), null);
  for (const pool of snapshot.pools.slice(0, 3))
    directory.addPool({ ...pool, index: pool.index + 100, user: 'late' });
  assert.deepEqual(
    directory.shards('shop', 'late').map(({ shard: number, pools, isRouted }) => [number, pools, isRouted]),
    [
      [0, [100], true],
      [1, [101], true],
      [2, [102], true],
    ],
  );
  assert.equal(directory.pool('shop', 'late')?.index, 100);
});

test('values compare as their type does: no overlap where there is none', () => {
  const fine: [string, string[]][] = [
    ['bigint', ['values = ["9223372036854775807", "-9223372036854775808", 9007199254740990]\nshard = 0']],
    ['numeric', ['end = "-1.50"\nshard = 0', 'start = "-1.5"\nend = "1e"\nshard = 1'.replace('1e', '10.01')]],
    ['date', ['end = "2024-01-01"\nshard = 0', 'start = "2024-01-01"\nend = "2024-12-31"\nshard = 1']],
    ['text', ['end = "Z"\nshard = 0', 'start = "Z"\nend = "a"\nshard = 1', 'start = "a"\nshard = 2']],
    [
      'timestamptz',
      ['end = "2024-01-31 12:00:00+02"\nshard = 0', 'start = "2024-01-31 10:00:00Z"\nshard = 1'],
    ],
    ['bytea', ["values = ['\\x00', '\\x0000']\nshard = 0"]],
  ];
  for (const [type, entries] of fine) {
    const rest = `data_type = "${type}"\n${entries.map((entry) => `[[sharded_tables.mapping]]\n${entry}\n`).join('')}`;
    assert.deepEqual(errorsOf(withTable(rest)), [], type);
  }
});

test('three databases on one server are three shards', () => {
  const config = [0, 1, 2]
    .map(
      (number) => `${shard(0).replace('shard = 0', `shard = ${number}`)}database_name = "shop_${number}"\n`,
    )
    .join('');
  assert.equal(shopOf({ config, users: USER })?.shardCount, 3);
});

test('rules of a database with one shard are told to have no effect', () => {
  const texts = { config: `${shard(0)}${table()}`, users: USER };
  assert.deepEqual(warningsOf(texts), [
    'pgdog.toml:6: sharded_tables[0]: has no effect: "shop" has one shard',
  ]);
});

test('hosts are grouped by shard: each has a primary of its own', () => {
  const config = `${shard(0)}${shard(0, 'role = "replica"\nport = 5433')}${shard(1)}${shard(1, 'role = "replica"\nport = 5433')}`;
  const groups = planGroups(load({ config, users: USER }).databases);
  assert.deepEqual(
    groups.map(({ hosts }) => hosts.map(({ host, port }) => `${host}:${port}`)),
    [
      ['127.0.0.1:5432', '127.0.0.1:5433'],
      ['127.0.0.2:5432', '127.0.0.2:5433'],
    ],
  );
});

test('the user whose login reads the schema is marked', async () => {
  const users = `${USER}[[users]]\nname = "boss"\ndatabase = "shop"\npassword = "x"\nschema_admin = true\n`;
  const { pools } = await buildSnapshot(load({ config: THREE, users }), 1);
  assert.deepEqual(
    pools
      .filter(({ isSchemaAdmin }) => isSchemaAdmin === true)
      .map(({ user, shard: number }) => `${user} ${number}`),
    ['boss 0', 'boss 1', 'boss 2'],
  );
});
