// That nothing is too odd to be read, and what names mean.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import {
  catalogLookup,
  loadSqlParser,
  type ReadTerms,
  readShards,
  type SqlParser,
} from '@pgdog-cluster/core';
import { readWholeCorpus } from '../support/corpus.js';
import { checkVerdicts, termsOf } from './shard-fixture.js';
import { CATALOG } from './shard-fixture-catalog.js';

type SqlNode = Parameters<typeof readShards>[1];

let parser: SqlParser;
let terms: ReadTerms;
before(async () => {
  parser = await loadSqlParser();
  terms = termsOf(parser);
});

describe('names', () => {
  const found = (path: string[], schema: string | null, name: string): string => {
    const result = catalogLookup(CATALOG, path).find(schema, name);
    return result.kind === 'relation' ? `${result.relation.schema}.${result.relation.name}` : result.kind;
  };
  it('are found along the search path', () => {
    assert.equal(found(['public'], null, 'orders'), 'public.orders');
    assert.equal(found(['app', 'public'], null, 'orders'), 'public.orders');
    assert.equal(found(['app'], null, 'orders'), 'unknown');
    assert.equal(found([], 'public', 'orders'), 'public.orders');
    assert.equal(found(['public'], 'app', 'orders'), 'unknown');
    assert.equal(found(['public'], null, 'skewed'), 'different');
  });
  it('of the system are known by their form', () => {
    assert.equal(found(['public'], null, 'pg_anything'), 'system');
    assert.equal(found(['public'], 'pg_catalog', 'pg_class'), 'system');
    assert.equal(found(['public'], 'information_schema', 'tables'), 'system');
    assert.equal(found(['public'], null, 'tables'), 'unknown');
  });
  it('of children carry the key of their parents', () => {
    const result = catalogLookup(CATALOG, ['public']).find(null, 'parted_1');
    assert.ok(result.kind === 'relation');
    assert.deepEqual(
      [result.relation.placement, result.relation.keyColumn, result.relation.rule],
      ['sharded', 0, 1],
    );
  });
});

describe('anything', () => {
  it('is read without an error, all statements of the corpus among it', () => {
    let count = 0;
    for (const sql of readWholeCorpus()) {
      const statements = parser.parse(sql);
      if (statements === null || statements === 'unread') continue;
      for (const { kind, node } of statements) {
        const reading = readShards(kind, node, terms);
        assert.notEqual(reading.refusal?.reason, 'the statement is not understood', sql);
        count++;
      }
    }
    assert.ok(count > 1000, `${count} statements`);
  });

  it('is refused where the tree is broken', () => {
    const breakable: [string, string][] = [
      [
        'SelectStmt',
        'SELECT DISTINCT a.user_id, sum(n) OVER (PARTITION BY 1) FROM orders a LEFT JOIN items i USING (user_id) WHERE a.user_id IN (1, 2) GROUP BY 1 ORDER BY 1 LIMIT 1',
      ],
      [
        'InsertStmt',
        'WITH x AS (SELECT 1) INSERT INTO users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id',
      ],
      [
        'MergeStmt',
        'MERGE INTO orders o USING items i ON o.user_id = i.user_id WHEN NOT MATCHED THEN INSERT (user_id) VALUES (i.user_id)',
      ],
      ['CopyStmt', 'COPY orders (user_id) FROM STDIN (FORMAT csv)'],
    ];
    for (const [kind, sql] of breakable) {
      const statements = parser.parse(sql);
      assert.ok(Array.isArray(statements));
      for (const broken of breakages(statements[0].node)) {
        // Without an error; and never to one shard by a key that is not there.
        assert.doesNotThrow(() => readShards(kind, broken, terms));
      }
    }
  });

  it('is refused where it is too deep', () => {
    const leaf = { A_Const: { boolval: { boolval: true } } };
    let node: SqlNode = leaf;
    for (let i = 0; i < 50_000; i++) node = { BoolExpr: { boolop: 'OR_EXPR', args: [leaf, node] } };
    const reading = readShards(
      'SelectStmt',
      { fromClause: [{ RangeVar: { relname: 'orders' } }], whereClause: node },
      {
        ...terms,
      },
    );
    assert.ok(reading.refusal !== null || reading.spread.kind !== 'every');
  });
});

/** The tree with one field taken away, for each of its fields. */
function* breakages(node: SqlNode): Generator<SqlNode> {
  for (const key in node) {
    const { [key]: value, ...rest } = node;
    yield rest;
    yield { ...rest, [key]: 5 };
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) {
        if (typeof item !== 'object' || item === null || Array.isArray(item)) continue;
        for (const broken of breakages(item as SqlNode))
          yield { ...rest, [key]: value.toSpliced(i, 1, broken) };
      }
    } else if (typeof value === 'object' && value !== null) {
      for (const broken of breakages(value as SqlNode)) yield { ...rest, [key]: broken };
    }
  }
}

checkVerdicts(
  'bounds',
  `refused | ${`WITH a0 AS (SELECT * FROM orders)${Array.from({ length: 12 }, (_, i) => `, a${i + 1} AS (SELECT x.user_id FROM a${i} x JOIN a${i} y ON x.user_id = y.user_id)`).join('')} SELECT * FROM a12 WHERE user_id = 1`}`,
  () => terms,
);
