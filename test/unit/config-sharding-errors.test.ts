import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigurationTexts, errorsOf, USER } from '../support/load-configuration.js';

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

const mapping = (...entries: string[]): ConfigurationTexts =>
  withTable(entries.map((entry) => `[[sharded_tables.mapping]]\n${entry}\n`).join(''));
const typed = (type: string, values: string): ConfigurationTexts =>
  withTable(`data_type = "${type}"\n[[sharded_tables.mapping]]\nvalues = ${values}\nshard = 1\n`);

/** What is written, and how the first error line begins. */
const REFUSED: [string, ConfigurationTexts, string][] = [
  [
    'a gap',
    { config: shard(0) + shard(2), users: USER },
    'pgdog.toml:9: databases[1].shard: "shop" has no shard 1: shards are numbered from 0 without gaps',
  ],
  [
    'no shard 0',
    { config: shard(1), users: USER },
    'pgdog.toml:4: databases[0].shard: "shop" has no shard 0',
  ],
  [
    'a slip of the finger',
    { config: shard(0) + shard(1).replace('shard = 1', 'shard = 1000000'), users: USER },
    'pgdog.toml:9: databases[1].shard: expected a number below 1024, got 1000000',
  ],
  [
    'two primaries of a shard',
    { config: shard(0) + shard(1) + shard(1, 'port = 5433'), users: USER },
    'pgdog.toml:11: databases[2].role: shard 1 of "shop" has a primary already (pgdog.toml:7)',
  ],
  [
    'the same host twice in a shard',
    { config: shard(0) + shard(1) + shard(1), users: USER },
    'pgdog.toml:13: databases[2].host: shard 1 of "shop" has an entry for this host and port already',
  ],
  [
    'two shards in one place',
    { config: shard(0) + shard(1).replace('127.0.0.2', '127.0.0.1'), users: USER },
    'pgdog.toml:9: databases[1].shard: shard 0 is this database on this host already (pgdog.toml:2)',
  ],
  [
    'one shard read-only',
    { config: shard(0) + shard(1, 'role = "replica"'), users: USER },
    'pgdog.toml:10: databases[1].role: shard 1 of "shop" has only replicas, and other shards have a primary',
  ],
  [
    'pool modes',
    { config: shard(0) + shard(1, 'pooler_mode = "session"'), users: USER },
    'pgdog.toml:10: databases[1].pooler_mode: one for all shards of "shop"',
  ],
  [
    'a mirror',
    sharded(
      '[[databases]]\nname = "copy"\nhost = "h"\n[[mirroring]]\nsource_db = "shop"\ndestination_db = "copy"\n',
    ),
    'pgdog.toml:20: mirroring[0].source_db: "shop" has several shards',
  ],
  [
    'unknown database',
    sharded(table().replace('"shop"', '"shopp"')),
    'pgdog.toml:17: sharded_tables[0].database: no database "shopp" is configured; did you mean "shop"?',
  ],
  [
    'no column',
    sharded('[[sharded_tables]]\ndatabase = "shop"\n'),
    'pgdog.toml:16: sharded_tables[0].column: missing',
  ],
  [
    'a name with its schema',
    sharded(table().replace('"orders"', '"sales.orders"')),
    'pgdog.toml:18: sharded_tables[0].name: the schema has a key of its own, "schema"',
  ],
  [
    'unknown key',
    withTable('colum = "x"\n'),
    'pgdog.toml:20: sharded_tables[0].colum: unknown key; did you mean "column"?',
  ],
  [
    'unknown type',
    withTable('data_type = "money"\n'),
    'pgdog.toml:20: sharded_tables[0].data_type: expected one of "bigint"',
  ],
  [
    'vectors',
    withTable('data_type = "vector"\n'),
    'pgdog.toml:20: sharded_tables[0].data_type: sharding by vectors is not supported',
  ],
  [
    'centroids',
    withTable('centroids = [[1.0]]\n'),
    'pgdog.toml:20: sharded_tables[0].centroids: sharding by vectors',
  ],
  [
    'lookup',
    withTable('lookup_query = "SELECT 1"\n'),
    'pgdog.toml:20: sharded_tables[0].lookup_query: must have the key as its only parameter, $1',
  ],
  [
    'lookup by two',
    withTable('lookup_query = "SELECT $1, $2"\n'),
    'pgdog.toml:20: sharded_tables[0].lookup_query: must have the key as its only parameter, $1',
  ],
  [
    'lookup of a date',
    withTable('data_type = "date"\nlookup_query = "SELECT $1"\n'),
    'pgdog.toml:21: sharded_tables[0].lookup_query: is asked with the text form of the key, which date has more than one of',
  ],
  [
    'lookup of a shard, hashed',
    withTable('hasher = "sha1"\nlookup_query = "SELECT $1"\nlookup_result = "shard"\n'),
    'pgdog.toml:20: sharded_tables[0].hasher: has no meaning where lookup_query gives the shard itself',
  ],
  [
    'lookup without one',
    withTable('lookup_result = "shard"\n'),
    'pgdog.toml:20: sharded_tables[0].lookup_result: has no meaning',
  ],
  [
    'sha1 of a date',
    withTable('data_type = "date"\nhasher = "sha1"\n'),
    'pgdog.toml:21: sharded_tables[0].hasher: "sha1" is of the text form, which date has more than one of',
  ],
  [
    'hash and mapping',
    withTable('hasher = "postgres"\n[[sharded_tables.mapping]]\nshard = 0\n'),
    'pgdog.toml:20: sharded_tables[0].hasher: contradicts the mapping',
  ],
  [
    'no such shard',
    mapping('shard = 3'),
    'pgdog.toml:21: sharded_tables[0].mapping[0].shard: there is no shard 3: the database has shards 0 to 2',
  ],
  ['no shard', mapping('values = [1]'), 'pgdog.toml:20: sharded_tables[0].mapping[0].shard: missing'],
  [
    'an empty list',
    mapping('values = []\nshard = 0'),
    'pgdog.toml:21: sharded_tables[0].mapping[0].values: is empty',
  ],
  [
    'a list and a range',
    mapping('values = [1]\nend = 2\nshard = 0'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].end: contradicts values',
  ],
  [
    'two defaults',
    mapping('shard = 0', 'shard = 1'),
    'pgdog.toml:23: sharded_tables[0].mapping[1].shard: there is a default already',
  ],
  [
    'a value twice',
    mapping('values = [1, 2]\nshard = 0', 'values = [" +2"]\nshard = 1'),
    'pgdog.toml:24: sharded_tables[0].mapping[1].values[0]: " +2" is listed already (pgdog.toml:21)',
  ],
  [
    'an empty range',
    mapping('start = 5\nend = 5\nshard = 0'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].end: must be above start',
  ],
  [
    'ranges that overlap',
    mapping('start = 10\nend = 20\nshard = 0', 'start = 20\nshard = 1', 'end = 11\nshard = 2'),
    'pgdog.toml:20: sharded_tables[0].mapping[0]: the range has values in common with another (pgdog.toml:27)',
  ],
  [
    'two open ends',
    mapping('start = 10\nshard = 0', 'start = 20\nshard = 1'),
    'pgdog.toml:23: sharded_tables[0].mapping[1]: the range has',
  ],
  [
    'no number',
    typed('bigint', '["abc"]'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].values[0]: "abc" is no value of bigint',
  ],
  [
    'too large',
    typed('smallint', '[40000]'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].values[0]: "40000" is no value of smallint',
  ],
  [
    'beyond what a number keeps',
    typed('bigint', '[9223372036854775807]'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].values[0]: a number this large must be written in quotes',
  ],
  [
    'a fraction',
    typed('numeric', '[1.5]'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].values[0]: expected a text in quotes or a whole number',
  ],
  [
    'a date',
    typed('date', '["31.1.2024"]'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].values[0]: "31.1.2024" is no value of date (as',
  ],
  [
    'no zone',
    typed('timestamptz', '["2024-01-31 12:00:00"]'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].values[0]: "2024-01-31 12:00:00" is no',
  ],
  [
    'half a uuid',
    typed('uuid', '["12345678"]'),
    'pgdog.toml:22: sharded_tables[0].mapping[0].values[0]: "12345678" is no value of uuid',
  ],
  [
    'two rules for one table',
    sharded(table() + table('schema = "s"\n').replace('customer_id', 'id')),
    'pgdog.toml:22: sharded_tables[1].name: column "customer_id" of orders is the sharding key already (pgdog.toml:18)',
  ],
  [
    'a rule for every table twice',
    sharded(
      '[[sharded_tables]]\ndatabase = "shop"\ncolumn = "c"\n[[sharded_tables]]\ndatabase = "shop"\ncolumn = "C"\n',
    ),
    'pgdog.toml:21: sharded_tables[1].column: column "c" of every table is the sharding key already (pgdog.toml:18)',
  ],
  [
    'a mapping without its table',
    withTable('[[sharded_mappings]]\ndatabase = "shop"\ncolumn = "other"\nkind = "default"\nshard = 0\n'),
    'pgdog.toml:22: sharded_mappings[0].column: no [[sharded_tables]] entry of "shop" has this column and table',
  ],
  [
    'a list without values',
    withTable('[[sharded_mappings]]\ndatabase = "shop"\ncolumn = "customer_id"\nkind = "list"\nshard = 0\n'),
    'pgdog.toml:23: sharded_mappings[0].kind: "list" needs values',
  ],
  [
    'values of a range',
    withTable(
      '[[sharded_mappings]]\ndatabase = "shop"\ncolumn = "customer_id"\nkind = "range"\nvalues = [1]\nstart = 1\nshard = 0\n',
    ),
    'pgdog.toml:24: sharded_mappings[0].values: has no meaning with kind = "range"',
  ],
  [
    'sharded and omnisharded',
    withTable('[[omnisharded_tables]]\ndatabase = "shop"\ntables = ["plans", "public.Orders"]\n'),
    'pgdog.toml:22: omnisharded_tables[0].tables[1]: "public.Orders" is sharded by column "customer_id" of orders',
  ],
  [
    'a schema twice',
    sharded(
      '[[sharded_schemas]]\ndatabase = "shop"\nname = "a"\n[[sharded_schemas]]\ndatabase = "shop"\nname = "A"\n',
    ),
    'pgdog.toml:21: sharded_schemas[1].name: schema "a" has an entry already (pgdog.toml:18)',
  ],
  [
    'all others twice',
    sharded('[[sharded_schemas]]\ndatabase = "shop"\n[[sharded_schemas]]\ndatabase = "shop"\nshard = 1\n'),
    'pgdog.toml:18: sharded_schemas[1].name: there is an entry for all other schemas already (pgdog.toml:16)',
  ],
  [
    'a schema on no shard',
    sharded('[[sharded_schemas]]\ndatabase = "shop"\nshard = 3\n'),
    'pgdog.toml:18: sharded_schemas[0].shard: there is no shard 3',
  ],
  [
    'a schema on one and on all',
    sharded('[[sharded_schemas]]\ndatabase = "shop"\nshard = 1\nall = true\n'),
    'pgdog.toml:18: sharded_schemas[0].shard: contradicts all = true',
  ],
  [
    'a sharded table in a schema of one shard',
    withTable('schema = "eu"\n[[sharded_schemas]]\ndatabase = "shop"\nname = "eu"\nshard = 1\n'),
    'pgdog.toml:20: sharded_tables[0].schema: schema "eu" is on shard 1 only ([[sharded_schemas]])',
  ],
  [
    'rows left behind',
    sharded('[rewrite]\nshard_key = "ignore"\n'),
    'pgdog.toml:17: rewrite.shard_key: "ignore" is refused, rows would be',
  ],
  [
    'inserts',
    sharded('[rewrite]\nsplit_inserts = "ignore"\n'),
    'pgdog.toml:17: rewrite.split_inserts: "ignore" is refused',
  ],
  [
    'catalogs of all shards',
    sharded('', '[general]\nsystem_catalogs = "sharded"\n'),
    'pgdog.toml:18: general.system_catalogs: catalogs of all shards in one answer are not supported yet',
  ],
  [
    'one key against the other',
    sharded('', '[general]\ncross_shard_disabled = true\ncross_shard = "full"\n'),
    'pgdog.toml:19: general.cross_shard: "full" contradicts cross_shard_disabled = true',
  ],
  [
    'two phases for one user',
    { ...sharded(''), users: `${USER}two_phase_commit = true\n` },
    'users.toml:5: users[0].two_phase_commit: holds for all users or for none',
  ],
];

for (const [name, texts, expected] of REFUSED) {
  test(`refused: ${name}`, () => {
    const errors = errorsOf(texts);
    assert.ok(errors[0]?.startsWith(expected), `expected ${expected}\ngot      ${errors.join('\n')}`);
  });
}
