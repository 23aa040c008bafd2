// What is known of the tables of a database that is on three shards: three databases of one server.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import type { CatalogRelation, ShardCatalogData } from '@pgdog-cluster/core';
import pg from 'pg';
import { differenceText, Supervisor } from 'pgdog-cluster';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { FakeLogger } from '../support/fake-logger.js';
import { load } from '../support/load-configuration.js';
import { databaseOf, startProxy } from '../support/proxy.js';
import { runProgram } from '../support/run-program.js';
import { eventually } from '../support/wire.js';

const SCHEMA = `
  CREATE DOMAIN amount AS numeric(10, 2) NOT NULL;
  CREATE DOMAIN price AS amount CHECK (VALUE > 0);
  CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE TABLE customers (id bigint PRIMARY KEY, email text COLLATE "C" UNIQUE, name text COLLATE loose);
  CREATE TABLE plans (id int GENERATED ALWAYS AS IDENTITY, price price, tripled numeric GENERATED ALWAYS AS (3 * 2) STORED);
  CREATE SCHEMA sales;
  CREATE TABLE sales.orders (id bigserial, customer_id bigint NOT NULL REFERENCES public.customers ON DELETE CASCADE,
    note varchar(20) DEFAULT 'none', PRIMARY KEY (customer_id, id)) PARTITION BY HASH (customer_id);
  CREATE TABLE sales.orders_0 PARTITION OF sales.orders FOR VALUES WITH (MODULUS 2, REMAINDER 0);
  CREATE TABLE sales.orders_1 PARTITION OF sales.orders FOR VALUES WITH (MODULUS 2, REMAINDER 1);
  CREATE UNIQUE INDEX ON plans (id) WHERE price > 0;
  CREATE UNIQUE INDEX ON plans ((id + 1));
  CREATE VIEW recent AS SELECT o.id, c.email FROM sales.orders o JOIN customers c ON c.id = o.customer_id;
  CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER watched BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION quiet();
  CREATE RULE ignored AS ON DELETE TO plans DO INSTEAD NOTHING;
  ALTER TABLE plans ENABLE ROW LEVEL SECURITY;
  CREATE TABLE checked (old bigint, new bigint NOT NULL);
  ALTER TABLE checked ADD CONSTRAINT kept NOT NULL old NOT VALID;
  CREATE TEMP TABLE gone (id int);`;

const RULES = `
  [[sharded_tables]]
  database = "shop"
  name = "customers"
  column = "id"
  [[sharded_tables]]
  database = "shop"
  column = "customer_id"
`;

let postgres: TestPostgres;
let supervisor: Supervisor;
let config: string;
const logger = new FakeLogger();
const shards: pg.Client[] = [];
const USERS = '[[users]]\nname = "postgres"\nall_databases = true\npassword = "postgres"\n';

before(async () => {
  postgres = await startPostgres({ settings: { max_prepared_transactions: '10' } });
  for (const shard of [0, 1, 2]) {
    await postgres.query(`CREATE DATABASE shop_${shard}`);
    await postgres.query(`ALTER DATABASE shop_${shard} SET search_path = sales, public`);
    const client = new pg.Client(postgres.url(`shop_${shard}`));
    await client.connect();
    await client.query(`SET search_path = public; ${SCHEMA}`);
    shards.push(client);
  }
  await postgres.query('ALTER ROLE postgres SET search_path = public');
  const entries = shards.map(
    (_, shard) =>
      `[[databases]]\nname = "shop"\nhost = "127.0.0.1"\nport = ${postgres.port}\nshard = ${shard}\ndatabase_name = "shop_${shard}"\n`,
  );
  const general =
    '[general]\nhost = "127.0.0.1"\nport = 6432\nworkers = 2\nmin_pool_size = 0\nload_schema_interval = 200\n';
  config = general + entries.join('') + RULES;
  const loaded = load({ config, users: USERS });
  loaded.listen = [{ host: '127.0.0.1', port: 0 }];
  supervisor = new Supervisor({ loaded, logger });
  await supervisor.start();
});

after(async () => {
  await supervisor?.cut();
  for (const client of shards) await client.end();
  await postgres?.stop();
});

/** As a worker reads it. */
const catalog = (): ShardCatalogData | undefined => supervisor.memory.routing.read().catalogs?.[0];
const differences = (): string[] => (catalog()?.differences ?? []).map(differenceText);
const relation = (schema: string, name: string): CatalogRelation =>
  catalog()?.relations.find((one) => one.schema === schema && one.name === name) ?? assert.fail(`no ${name}`);

it('the schema of three equal shards is read at the start, with everything that decides where rows are', async () => {
  await eventually('it is read', async () => catalog() !== undefined);
  assert.deepEqual(differences(), []);
  assert.deepEqual(catalog()?.schemas, ['public', 'sales']);
  assert.deepEqual(catalog()?.searchPaths, { '': 'sales, public', postgres: 'public' });
  assert.deepEqual(
    catalog()?.relations.map(({ schema, name, kind, placement }) => `${schema}.${name} ${kind} ${placement}`),
    [
      'public.checked table omni',
      'public.customers table sharded',
      'public.plans table omni',
      'public.plans_id_seq sequence omni',
      'public.recent view view',
      'sales.orders partitioned sharded',
      'sales.orders_0 table sharded',
      'sales.orders_1 table sharded',
      'sales.orders_id_seq sequence omni',
    ],
  );
  const orders = relation('sales', 'orders');
  const columns = ['customer_id', 'id'];
  const [unique] = orders.uniques;
  assert.deepEqual([orders.keyColumn, orders.rule, orders.uniques.length], [1, 1, 1]);
  assert.deepEqual(
    [unique.name, unique.keys, new Set(unique.columns)],
    ['orders_pkey', columns, new Set(columns)],
  );
  assert.equal(orders.looseUniques, undefined);
  assert.deepEqual(orders.foreignKeys, [
    {
      columns: ['customer_id'],
      schema: 'public',
      table: 'customers',
      targetColumns: ['id'],
      onDelete: 'c',
      onUpdate: 'a',
    },
  ]);
  assert.deepEqual(relation('sales', 'orders_1').parents, [['sales', 'orders']]);
  const [, , note] = orders.columns;
  assert.deepEqual(
    [note.type, note.typmod, note.defaultText],
    ['pg_catalog.varchar', 24, "'none'::character varying"],
  );
  assert.match(relation('public', 'recent').viewText ?? '', /FROM \(?sales\.orders o/);
});

it('a constraint that nobody has held the rows against says nothing of them', () => {
  const { columns } = relation('public', 'checked');
  assert.deepEqual(
    columns.map(({ name, isNotNull }) => [name, isNotNull]),
    [
      ['old', false],
      ['new', true],
    ],
  );
});

it('columns: domains are their base type, collations are known, and what is generated', () => {
  const [id, email, name] = relation('public', 'customers').columns;
  assert.deepEqual([id.type, id.isNotNull, id.isByteOrdered], ['pg_catalog.int8', true, true]);
  assert.deepEqual([email.isByteOrdered, email.isDeterministic], [true, true]);
  assert.deepEqual([name.isByteOrdered, name.isDeterministic], [false, false]);
  const { columns, uniques, hasTriggers, hasRules, hasRowSecurity } = relation('public', 'plans');
  const [identity, price, tripled] = columns;
  assert.deepEqual([identity.generated, tripled.generated, tripled.defaultText], ['a', 's', '(3 * 2)']);
  assert.deepEqual(
    [price.type, price.typmod, price.isDomain, price.isNotNull],
    ['pg_catalog.numeric', (10 << 16) + 2 + 4, true, true],
  );
  assert.deepEqual(
    uniques.map(({ keys, columns: all }) => [keys, all]),
    [
      [['id'], ['id', 'price']],
      [[], ['id']],
    ],
    'of a part of the rows, of an expression',
  );
  assert.deepEqual([hasTriggers, hasRules, hasRowSecurity], [false, true, true]);
  assert.equal(relation('public', 'customers').hasTriggers, true);
});

it('that the servers have room for prepared transactions', () => {
  assert.equal(catalog()?.canPrepare, true);
});

it('a difference is found by itself, and is gone when it is mended', async () => {
  await shards[2].query('ALTER TABLE plans ADD COLUMN late text');
  await shards[1].query('CREATE TABLE only_here (customer_id bigint)');
  await eventually('both are seen', async () => differences().length === 2);
  assert.deepEqual(differences().sort(), [
    'public.only_here: missing on shards 0 and 2',
    'public.plans: column "late" is missing on shard 0',
  ]);
  assert.equal(
    catalog()?.relations.some(({ name }) => name === 'plans'),
    false,
    'it is not to be used',
  );
  assert.equal(logger.of('shards_differ').length, 2);
  await shards[2].query('ALTER TABLE plans DROP COLUMN late');
  await shards[1].query('DROP TABLE only_here');
  await eventually('they are gone', async () => differences().length === 0);
  assert.equal(relation('public', 'plans').placement, 'omni');
});

/** What is done to one shard, what is said of it, and how it is undone. */
const CHANGES: [change: string, difference: RegExp, back: string][] = [
  [
    'ALTER TABLE customers RENAME email TO mail',
    /column "email" is missing on shard 2/,
    'ALTER TABLE customers RENAME mail TO email',
  ],
  [
    'ALTER TABLE sales.orders ALTER note SET NOT NULL',
    /"note" is NOT NULL on shard 2 only/,
    'ALTER TABLE sales.orders ALTER note DROP NOT NULL',
  ],
  [
    "ALTER TABLE sales.orders ALTER note SET DEFAULT 'x'",
    /has the default 'none'.* on shard 0 and 'x'/,
    "ALTER TABLE sales.orders ALTER note SET DEFAULT 'none'",
  ],
  [
    'ALTER TABLE plans DISABLE ROW LEVEL SECURITY',
    /has row security on shard 0 only/,
    'ALTER TABLE plans ENABLE ROW LEVEL SECURITY',
  ],
  [
    'CREATE UNIQUE INDEX extra ON customers (name)',
    /unique constraints are others on shard 2/,
    'DROP INDEX extra',
  ],
  [
    'ALTER TABLE plans ADD COLUMN c bigint REFERENCES customers',
    /column "c" is missing on shard 0/,
    'ALTER TABLE plans DROP COLUMN c',
  ],
  [
    'ALTER TABLE sales.orders DROP CONSTRAINT orders_customer_id_fkey',
    /foreign keys are others on shard 2/,
    'ALTER TABLE sales.orders ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE',
  ],
  [
    'CREATE RULE more AS ON DELETE TO customers DO NOTHING',
    /has rules on shard 2 only/,
    'DROP RULE more ON customers',
  ],
  [
    'DROP TRIGGER watched ON customers',
    /has triggers on shard 0 only/,
    'CREATE TRIGGER watched BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION quiet()',
  ],
  [
    'CREATE OR REPLACE VIEW recent AS SELECT id, email FROM customers',
    /query is another on shard 2/,
    'CREATE OR REPLACE VIEW recent AS SELECT o.id, c.email FROM sales.orders o JOIN customers c ON c.id = o.customer_id',
  ],
  [
    'ALTER DOMAIN amount DROP NOT NULL',
    /"price" is NOT NULL on shard 0 only/,
    'ALTER DOMAIN amount SET NOT NULL',
  ],
  ['CREATE TABLE kid () INHERITS (customers)', /missing on shards 0 and 1/, 'DROP TABLE kid'],
  ['CREATE SCHEMA extra', /the schema is missing on shards 0 and 1/, 'DROP SCHEMA extra'],
  [
    'ALTER DATABASE shop_2 SET search_path = public',
    /of the database is .*public on shard 2/,
    'ALTER DATABASE shop_2 SET search_path = sales, public',
  ],
];

it('whatever is changed on one shard is noticed, and so is its end', async () => {
  const { catalogs } = supervisor.shards;
  const ask = () =>
    catalogs.wanted({ type: 'catalogWanted', worker: 0, database: 'shop', reason: 'ddl', version: 0 });
  for (const [change, expected, back] of CHANGES) {
    await shards[2].query(change);
    ask();
    await eventually(change, async () => differences().some((text) => expected.test(text)));
    await shards[2].query(back);
    ask();
    await eventually(back, async () => differences().length === 0);
  }
});

it('on demand it is read at once, and without a change the version stays', async () => {
  const version = catalog()?.version ?? 0;
  for (const client of shards) await client.query('CREATE TABLE bills (customer_id bigint)');
  supervisor.shards.catalogs.wanted({
    type: 'catalogWanted',
    worker: 0,
    database: 'shop',
    reason: 'ddl',
    version,
  });
  await eventually(
    'it is there',
    async () => catalog()?.relations.some(({ name }) => name === 'bills') === true,
  );
  assert.equal(relation('public', 'bills').placement, 'sharded');
  const after = catalog()?.version;
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(catalog()?.version, after);
  const { epoch } = supervisor.memory.routing.read();
  await eventually('all workers have it', async () =>
    [0, 1].every((worker) => supervisor.memory.workers.epoch(worker) === epoch),
  );
});

it('a shard that cannot be reached: what is known stays, and who asks is told why', async () => {
  const version = catalog()?.version;
  await postgres.query(`ALTER DATABASE shop_1 ALLOW_CONNECTIONS false`);
  try {
    await eventually('it fails', async () => supervisor.shards.catalogs.states[0].error !== null);
    assert.match(
      String(supervisor.shards.catalogs.states[0].error),
      /^shard 1: .*shop_1.*not currently accepting/,
    );
    assert.equal(catalog()?.version, version);
  } finally {
    await postgres.query(`ALTER DATABASE shop_1 ALLOW_CONNECTIONS true`);
  }
  await eventually('it is read again', async () => supervisor.shards.catalogs.states[0].error === null);
});

it('check --connect warns of differences', async () => {
  await shards[0].query('CREATE TABLE lonely (id int)');
  const directory = mkdtempSync(join(tmpdir(), 'pgdog-check-'));
  try {
    writeFileSync(join(directory, 'pgdog.toml'), config);
    writeFileSync(join(directory, 'users.toml'), USERS);
    const { code, out, err } = await runProgram(['check', '--connect'], directory);
    assert.equal(code, 0, err);
    assert.match(err, /^warning: "shop": public\.lonely: missing on shards 1 and 2$/m);
    assert.match(
      err,
      /^warning: "shop": public\.customers has unique constraints without the sharding key \("customers_email_key"\)/m,
    );
    assert.match(out, /^ok {5}"shop": 3 shards, \d+ relations, 5 sharded$/m);
  } finally {
    rmSync(directory, { recursive: true });
    await shards[0].query('DROP TABLE lonely');
  }
});

it('SHOW SHARDED_TABLES, SHOW POOLS and RELOAD of the running program', async () => {
  const proxy = await startProxy({
    databases: [0, 1, 2].map((shard) =>
      databaseOf(postgres, { name: 'shop', shard, database_name: `shop_${shard}` }),
    ),
    general: { load_schema_interval: 0, min_pool_size: 0 },
    lists: { sharded_tables: [{ database: 'shop', name: 'customers', column: 'id' }] },
  });
  const tables = () => proxy.adminQuery('SHOW SHARDED_TABLES');
  const isShown = async (name: string) => (await tables()).some((row) => row.name === name);
  try {
    await eventually('it has been read', () => isShown('customers'));
    assert.deepEqual(
      (await tables()).find(({ name }) => name === 'customers'),
      {
        database: 'shop',
        schema: 'public',
        name: 'customers',
        kind: 'table',
        placement: 'sharded',
        shard: null,
        column: 'id',
        data_type: 'int8',
        function: 'hash',
        unique_per_shard: 'customers_email_key',
        difference: null,
      },
    );
    const pools = await proxy.adminQuery('SHOW POOLS');
    assert.deepEqual(
      pools.map(({ shard }) => shard),
      ['0', '1', '2'],
    );
    await shards[1].query('CREATE TABLE after_the_start (id int)');
    await proxy.adminQuery('RELOAD');
    await eventually('RELOAD reads it again', () => isShown('after_the_start'));
    const [first] = await tables();
    assert.deepEqual(
      [first.schema, first.name, first.difference],
      ['public', 'after_the_start', 'missing on shards 0 and 2'],
    );
  } finally {
    await shards[1].query('DROP TABLE IF EXISTS after_the_start');
    await proxy.stop();
  }
});
