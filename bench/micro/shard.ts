/**
 * Finding the shard of a statement of a sharded database: the parts in core (choose-shard, statement-values, literal-bytes,
 * shard-function, key-lookups, shard-of-value, partition-hash, hash-bytes, key-value), and what a session does for one request beside
 * what it does anyway (shard-request, which shard-desk asks; prepared-text). What an answer is
 * changed by (shard-oids).
 */
import {
  type CatalogRelation,
  CLIENT_UTF8,
  KeyLookups,
  loadSqlParser,
  readShape,
  type ShardCatalogData,
  ShardFunction,
  type ShardingSnapshot,
  ShardOids,
} from '@pgdog-cluster/core';
import {
  NO_PARAMETERS,
  newPreparedText,
  PlanCache,
  planOfText,
  readInto,
  ShardedDatabase,
  ShardRequest,
} from '@pgdog-cluster/worker';
import { type MicroResult, timeOperations } from './time-operations.js';

const SHARDING: ShardingSnapshot = {
  shardCount: 3,
  tables: [
    {
      schema: null,
      table: 'orders',
      column: 'id',
      keyType: 'int8',
      function: 'hash',
      mapping: [],
      lookupQuery: null,
      lookupResult: 'shard',
    },
  ],
  schemas: [],
  omnisharded: [],
  crossShard: 'full',
  isOmniSticky: false,
  commit: 'as_allowed',
};

const ORDERS: CatalogRelation = {
  schema: 'public',
  name: 'orders',
  kind: 'table',
  placement: 'sharded',
  columns: [
    {
      name: 'id',
      type: 'pg_catalog.int8',
      typmod: -1,
      isDomain: false,
      isNotNull: true,
      isByteOrdered: true,
      isDeterministic: true,
      defaultText: null,
      generated: '',
    },
  ],
  keyColumn: 0,
  rule: 0,
  viewText: null,
  parents: [],
  uniques: [{ name: 'customer_pkey', keys: ['id'], columns: ['id'] }],
  foreignKeys: [],
  hasTriggers: false,
  hasRules: false,
  hasRowSecurity: false,
};

const CATALOG: ShardCatalogData = {
  database: 'shop',
  version: 1,
  canPrepare: true,
  placedBy: '',
  relations: [ORDERS],
  searchPaths: {},
  schemas: ['public'],
  functions: [],
  textOrder: 'bytes',
  differences: [],
};

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `Bind` behind the statement's name: one parameter in text, results in text. */
function bindOf(value: string): Uint8Array {
  const bytes = Buffer.alloc(2 + 2 + 4 + value.length + 2);
  bytes.writeUInt16BE(1, 2);
  bytes.writeInt32BE(value.length, 4);
  bytes.write(value, 8);
  return bytes;
}

function parseOf(text: string): Uint8Array {
  const body = Buffer.from(`\0${text}\0\0\0`);
  const frame = Buffer.alloc(5 + body.length);
  frame.write('P');
  frame.writeUInt32BE(4 + body.length, 1);
  body.copy(frame, 5);
  return frame;
}

/** Keys to shards: by hash, and by what a query has said. */
function timeFunctions(quick: boolean, clock: { nowMs: number }): MicroResult[] {
  const words = Array.from({ length: 64 }, (_, i) => encode(String(1000 + i * 77)));
  const hash = new ShardFunction(SHARDING.tables[0], 3);
  const lookups = new KeyLookups(0, 1 << 20, clock);
  const lookup = new ShardFunction({ ...SHARDING.tables[0], function: 'lookup' }, 3, lookups);
  for (const word of words) lookups.take(lookup.keyOfText(Buffer.from(word).toString()) ?? '', 1, '');
  return [
    ['shard of an int8 in text (shard-function)', hash] as const,
    ['shard of an int8 that was looked up (key-lookups)', lookup] as const,
  ].map(([title, of]) =>
    timeOperations(title, quick, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++)
        sum = (Math.imul(sum, 31) + of.ofText(words[i & 63], 0, words[i & 63].length)) | 0;
      return sum;
    }),
  );
}

/** A RowDescription of eight columns, one of which is an enum, of another shard than the first. */
function timeNumbers(quick: boolean): MicroResult {
  const columns = Array.from({ length: 8 }, (_, column) => {
    const fields = Buffer.alloc(18);
    fields.writeUInt32BE(17_001, 0);
    fields.writeUInt32BE(column === 3 ? 16_501 : 23, 6);
    return Buffer.concat([Buffer.from(`column_${column}\0`), fields]);
  });
  const body = Buffer.concat([Buffer.from([0, columns.length]), ...columns]);
  const frame = Buffer.concat([Buffer.from('T'), Buffer.alloc(4), body]);
  const oids = ShardOids.of({ types: [[16_401, 16_501]], relations: [[17_000, 17_001]] }, 1);
  return timeOperations('a RowDescription of 8 columns of another shard (shard-oids)', quick, (count) => {
    for (let i = 0; i < count; i++) oids?.describeRow(frame, 0, frame.length);
    return frame[frame.length - 1];
  });
}

export async function run({ quick }: { quick: boolean }): Promise<MicroResult[]> {
  const parser = await loadSqlParser();
  const plans = new PlanCache(parser, 1000, 1024 * 1024, true);
  const reported = new Map([
    ['client_encoding', 'UTF8'],
    ['server_encoding', 'UTF8'],
  ]);
  const config = { general: { shardLookupBytes: 1 << 20 } };
  const context = { plans, parser, worker: 0, nowMs: 1, config, tell() {} };
  const session = {
    id: 1,
    parameters: NO_PARAMETERS,
    user: 'me',
    context,
    router: null,
    pool: null,
    reported,
  };
  const database = new ShardedDatabase(context as never, 'shop', SHARDING);
  database.takeUp(SHARDING, CATALOG);
  const asked = new ShardRequest(session as never, database, { isInTransaction: false } as never);
  const texts = Array.from({ length: 64 }, (_, i) =>
    encode(`SELECT * FROM orders WHERE id = ${1000 + i * 77}`),
  );
  const prepared = newPreparedText();
  const frame = parseOf('SELECT * FROM orders WHERE id = $1');
  readInto(prepared, frame, 0, frame.length);
  const binds = Array.from({ length: 64 }, (_, i) => bindOf(String(1000 + i * 77)));
  const plan = plans.lookup(texts[0], 0, texts[0].length, asked.scope);
  return [
    ...timeFunctions(quick, context),
    timeNumbers(quick),
    timeOperations('shard-request: a Query whose plan is at hand', quick, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        asked.begin();
        readShape(texts[i & 63], 0, texts[i & 63].length);
        asked.query(plan, texts[i & 63], 0, texts[i & 63].length);
        sum = (Math.imul(sum, 31) + asked.found) | 0;
      }
      return sum;
    }),
    timeOperations('shard-request: a Bind of a prepared statement', quick, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        asked.begin();
        asked.bound(
          planOfText(prepared, plans, asked.scope, CLIENT_UTF8),
          prepared,
          binds[i & 63],
          0,
          binds[i & 63].length,
        );
        sum = (Math.imul(sum, 31) + asked.found) | 0;
      }
      return sum;
    }),
  ];
}
