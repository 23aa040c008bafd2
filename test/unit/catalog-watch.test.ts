// This file is over 400 lines because everything that a watch does shows in one state of the shards.
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CATALOG_AREA_BYTES,
  type CatalogReadMessage,
  createSharedMemory,
  type ShardCatalogData,
} from '@pgdog-cluster/core';
import { CatalogWatch, type RawCatalog, type ShardConnection } from 'pgdog-cluster';
import { FakeLogger } from '../support/fake-logger.js';
import { load, USER } from '../support/load-configuration.js';
import { PATIENCE_MS } from '../support/patience.js';

const CONFIG =
  [0, 1].map((shard) => `[[databases]]\nname = "shop"\nhost = "h${shard}"\nshard = ${shard}\n`).join('') +
  '[[sharded_tables]]\ndatabase = "shop"\nname = "orders"\ncolumn = "id"\n';

let logger: FakeLogger;
let watch: CatalogWatch;
let told: [CatalogReadMessage, number[]][];
let published: (readonly ShardCatalogData[])[];
let reads: number;
/** Of both shards. */
let raw: RawCatalog;
let failure: Error | null;
let gate: Promise<void>;

beforeEach(() => {
  logger = new FakeLogger();
  told = [];
  published = [];
  reads = 0;
  failure = null;
  gate = Promise.resolve();
  raw = {
    relations: [],
    schemas: ['public'],
    searchPaths: {},
    encoding: 'UTF8',
    functions: [],
    types: [],
    numbered: [],
    sorting: 'bytes',
    preparedMax: 0,
  };
  watch = new CatalogWatch({
    logger,
    open: async () => {
      reads++;
      const answer = structuredClone(raw);
      await gate;
      if (failure !== null) throw failure;
      return connectionOf(answer);
    },
    publish: async (catalogs) => void published.push(catalogs()),
    tell: (message, except) => void told.push([message, [...except]]),
  });
});

let closed = 0;

function connectionOf(catalog: RawCatalog, mark = JSON.stringify(catalog)): ShardConnection {
  return { mark, read: async () => catalog, close: async () => void closed++ };
}

function start(general = ''): void {
  watch.takeUp(load({ config: `${CONFIG}[general]\nload_schema_interval = 0\n${general}`, users: USER }));
}

async function until(isTrue: () => boolean): Promise<void> {
  const endMs = Date.now() + PATIENCE_MS;
  while (!isTrue()) {
    assert.ok(Date.now() < endMs, 'it never came');
    await sleep(2);
  }
}

const wanted = (reason: 'unknown' | 'ddl', worker = 0): void =>
  watch.wanted({ type: 'catalogWanted', worker, database: 'shop', reason, version: 0 });

test('read at the start, published, told; without a change nothing is published again', async () => {
  start();
  await until(() => told.length === 1);
  assert.deepEqual(told, [[{ type: 'catalogRead', database: 'shop', version: 1 }, []]]);
  assert.deepEqual(
    published.map((catalogs) => catalogs.map(({ database, version }) => [database, version])),
    [[['shop', 1]]],
  );
  wanted('ddl');
  await until(() => told.length === 2);
  assert.equal(told[1][0].version, 1);
  assert.equal(published.length, 1);
  raw.schemas.push('late');
  wanted('ddl');
  await until(() => told.length === 3);
  assert.deepEqual([told[2][0].version, published[1][0].schemas], [2, ['public', 'late']]);
  assert.equal(reads, 6, 'two shards, three times');
  assert.deepEqual(
    logger.of('rule_unmatched').map(({ message }) => message),
    ['"shop": there is no table orders, which [[sharded_tables]] has a rule for'],
  );
  watch.close();
});

test('who asks while it is being read is answered by the next reading only, whoever asked before by this one', async () => {
  let open = (): void => {};
  gate = new Promise((resolve) => {
    open = resolve;
  });
  start();
  await until(() => reads === 2);
  wanted('ddl', 1);
  wanted('unknown', 1);
  raw.schemas.push('late');
  open();
  await until(() => told.length === 2);
  assert.deepEqual(
    told.map(([{ version }, except]) => [version, except]),
    [
      [1, [1]],
      [2, []],
    ],
  );
  assert.equal(reads, 4, 'two questions, one more reading');
  watch.close();
});

test('unknown names do not keep the servers busy', async () => {
  start();
  await until(() => told.length === 1);
  const startMs = Date.now();
  for (let count = 0; count < 3; count++) {
    wanted('unknown');
    await until(() => told.length === 2 + count);
  }
  assert.ok(Date.now() - startMs >= 500, 'a pause before each');
  watch.close();
});

test('a failure is told with its reason and tried again; what was read stays', async () => {
  failure = new Error('shard 1: no connection');
  start();
  await until(() => told.length === 1);
  assert.deepEqual(told[0][0], {
    type: 'catalogRead',
    database: 'shop',
    version: 0,
    error: 'shard 1: no connection',
  });
  assert.equal(watch.states[0].error, 'shard 1: no connection');
  failure = null;
  await until(() => told.length === 2);
  assert.deepEqual(told[1][0], { type: 'catalogRead', database: 'shop', version: 1 });
  failure = new Error('gone');
  wanted('ddl');
  await until(() => told.length === 3);
  assert.deepEqual(told[2][0], { type: 'catalogRead', database: 'shop', version: 1, error: 'gone' });
  assert.equal(watch.states[0].data?.version, 1);
  assert.deepEqual(
    logger.of('catalog_failed').map(({ message }) => message),
    [
      'the schema of "shop" cannot be read, its clients wait for it: shard 1: no connection',
      'the schema of "shop" cannot be read, the one read before stays in force: gone',
    ],
  );
  assert.equal(logger.of('catalog_read').length, 1);
  watch.close();
});

test('it is read again every load_schema_interval, and not with load_schema = "off"', async () => {
  start('load_schema = "auto"\n');
  await until(() => told.length === 1);
  await sleep(60);
  assert.equal(told.length, 1, 'interval 0');
  watch.close();
  const periodic = (rest: string) =>
    load({ config: `${CONFIG}[general]\nload_schema_interval = 20\n${rest}`, users: USER });
  for (const [rest, isPeriodic] of [
    ['', true],
    ['load_schema = "off"\n', false],
  ] as const) {
    const own: CatalogReadMessage[] = [];
    const other = new CatalogWatch({
      logger,
      open: async () => connectionOf(raw),
      publish: async () => {},
      tell: (message) => void own.push(message),
    });
    other.takeUp(periodic(rest));
    if (isPeriodic) await until(() => own.length > 2);
    else {
      await until(() => own.length > 0);
      await sleep(100);
      assert.equal(own.length, 1, rest);
    }
    other.close();
  }
});

test('whether the servers can prepare comes with every reading, and stays known over a reload', async () => {
  for (const preparedMax of [0, 10, 0]) {
    raw.preparedMax = preparedMax;
    const count = told.length;
    start();
    await until(() => told.length > count);
    assert.equal(published.at(-1)?.[0].canPrepare, preparedMax > 0);
    start();
    assert.equal(watch.states[0].data?.canPrepare, preparedMax > 0);
  }
  watch.close();
});

const RULE = '[[sharded_tables]]\ndatabase = "shop"\nname = "plans"\ncolumn = "id"\n';
const QUIET = '[general]\nload_schema_interval = 0\n';

test('over a reload: no version comes twice, what holds stays known, what other rules have placed does not', async () => {
  start();
  await until(() => told.length === 1);
  start();
  assert.equal(watch.states[0].data?.version, 1, 'under the same rules');
  await until(() => told.length === 2);
  assert.equal(published.length, 1);
  raw.schemas.push('late');
  start('two_phase_commit = true\n');
  assert.equal(watch.states[0].data?.version, 1, 'where rows are does not depend on it');
  await until(() => told.length === 3);
  const placedBy = (): string | undefined => watch.states[0].data?.placedBy;
  const before = placedBy();
  watch.takeUp(load({ config: `${CONFIG}${RULE}${QUIET}`, users: USER }));
  assert.equal(watch.states[0].data, null);
  await until(() => told.length === 4);
  start();
  await until(() => told.length === 5);
  assert.equal(placedBy(), before);
  assert.equal(told.map(([{ version }]) => version).join(), '1,1,2,3,4');
  watch.takeUp(load({ config: `[[databases]]\nname = "other"\nhost = "h"\n${QUIET}`, users: USER }));
  assert.deepEqual(published.at(-1), [], 'should it come back, nobody finds what was read before');
  watch.close();
});

test('a new difference is looked at again soon: it may be DDL on its way; RELOAD reads at once', async () => {
  let isBehind = true;
  const relation = {
    schema: 'public',
    name: 't',
    kind: 'table' as const,
    columns: [],
    viewText: null,
    parents: [],
    uniques: [],
    foreignKeys: [],
    hasTriggers: false,
    hasRules: false,
    hasRowSecurity: false,
  };
  const own: CatalogReadMessage[] = [];
  const other = new CatalogWatch({
    logger,
    open: async (_, shard) => connectionOf({ ...raw, relations: shard === 1 && isBehind ? [] : [relation] }),
    publish: async () => {},
    tell: (message) => void own.push(message),
  });
  other.takeUp(load({ config: `${CONFIG}[general]\nload_schema = "off"\n`, users: USER }));
  await until(() => own.length === 1);
  assert.equal(other.states[0].data?.differences.length, 1);
  isBehind = false;
  await until(() => own.length === 2);
  assert.deepEqual(other.states[0].data?.differences, []);
  await sleep(1_100);
  assert.equal(own.length, 2, 'then all is well');
  other.hurry();
  await until(() => own.length === 3);
  other.close();
});

test('rows are read only when a mark has changed, and no connection stays open', async () => {
  const marks = ['a', 'b'];
  const readFrom: number[] = [];
  let opened = 0;
  closed = 0;
  const own: CatalogReadMessage[] = [];
  const other = new CatalogWatch({
    logger,
    open: async (_, shard) => {
      if (failure !== null && shard === 1) throw failure;
      opened++;
      const read = async () => {
        readFrom.push(shard);
        return raw;
      };
      return { ...connectionOf(raw, marks[shard]), read };
    },
    publish: async () => {},
    tell: (message) => void own.push(message),
  });
  other.takeUp(load({ config: `${CONFIG}[general]\nload_schema = "off"\n`, users: USER }));
  await until(() => own.length === 1);
  other.hurry();
  await until(() => own.length === 2);
  assert.deepEqual(readFrom, [0, 1]);
  marks[1] = 'c';
  other.hurry();
  await until(() => own.length === 3);
  assert.deepEqual(readFrom, [0, 1, 0, 1]);
  failure = new Error('shard 1: gone');
  other.hurry();
  await until(() => own.length === 4);
  assert.equal(own[3].error, 'shard 1: gone');
  assert.deepEqual([opened, closed], [7, 7]);
  other.close();
});

test('a database of one shard has nothing to be read', () => {
  start();
  watch.wanted({ type: 'catalogWanted', worker: 0, database: 'other', reason: 'ddl', version: 0 });
  assert.deepEqual(told[0][0], {
    type: 'catalogRead',
    database: 'other',
    version: 0,
    error: 'it has one shard',
  });
  watch.close();
});

test('thousands of tables fit into shared memory, and are unpacked once per change', () => {
  const memory = createSharedMemory({
    workers: 1,
    poolsMax: 1,
    fdMax: 64,
    catalogAreaBytes: CATALOG_AREA_BYTES,
  });
  assert.equal(memory.catalogs.read(), null);
  const columns = Array.from({ length: 20 }, (_, index) => ({
    name: `a_rather_long_name_of_column_${index}`,
    type: 'pg_catalog.timestamptz',
    typmod: -1,
    isDomain: false,
    isNotNull: true,
    isByteOrdered: true,
    isDeterministic: true,
    defaultText: "nextval('public.a_sequence_for_the_ids'::regclass)",
    generated: '' as const,
  }));
  const relations = Array.from({ length: 2_000 }, (_, index) => ({
    schema: 'public',
    name: `a_rather_long_name_of_table_${index}`,
    kind: 'table' as const,
    placement: 'omni' as const,
    columns,
    keyColumn: -1,
    rule: -1,
    viewText: null,
    parents: [],
    uniques: [{ name: 'orders_pkey', keys: ['id'], columns: ['id'] }],
    foreignKeys: [],
    hasTriggers: false,
    hasRules: false,
    hasRowSecurity: false,
  }));
  const data: ShardCatalogData = {
    database: 'shop',
    version: 1,
    canPrepare: true,
    placedBy: '',
    relations,
    searchPaths: { '': 'a, b', 'a role': '"$user"' },
    schemas: ['public'],
    functions: [],
    textOrder: 'bytes',
    differences: [{ schema: 'public', name: 'x', text: 'missing on shard 1' }],
  };
  memory.catalogs.publish([data]);
  const read = memory.catalogs.read();
  assert.deepEqual(read, [data]);
  assert.equal(memory.catalogs.read(), read, 'the same object');
  assert.ok(memory.catalogs.usedBytes() < CATALOG_AREA_BYTES / 4, `${memory.catalogs.usedBytes()} bytes`);
  memory.catalogs.publish([{ ...data, version: 2 }]);
  assert.equal(memory.catalogs.read()?.[0].version, 2);
  assert.throws(() => memory.catalogs.publish(Array.from({ length: 20 }, () => data)), /the area holds/);
  assert.equal(memory.catalogs.read()?.[0].version, 2, 'the old ones stay');
});
