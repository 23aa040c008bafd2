/** What a catalog says of its tables to who reads statements. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CatalogRelation, catalogLookup, type RelationKind } from '@pgdog-cluster/core';
import { CATALOG } from './shard-fixture-catalog.js';

const [SAMPLE] = CATALOG.relations;
const relation = (name: string, kind: RelationKind, ...parents: string[]): CatalogRelation => ({
  ...(SAMPLE ?? assert.fail()),
  name,
  kind,
  parents: parents.map((parent) => ['public', parent] as const),
});

test('NOT NULL holds in all rows that a table is read with, unless some are of foreign tables or of children that need not have it', () => {
  const relations = [
    relation('alone', 'table'),
    relation('far', 'foreignTable'),
    relation('parted', 'partitioned'),
    relation('part', 'partitioned', 'parted'),
    relation('piece', 'table', 'part'),
    relation('mixed', 'partitioned'),
    relation('near', 'table', 'mixed'),
    relation('away', 'foreignTable', 'mixed'),
    relation('above', 'table'),
    relation('below', 'table', 'above'),
    relation('lowest', 'table', 'below'),
  ];
  const lookup = catalogLookup({ ...CATALOG, relations }, ['public']);
  const held = relations.filter((each) => lookup.holdsNotNull(each)).map(({ name }) => name);
  assert.deepEqual(held, ['alone', 'parted', 'part', 'piece', 'near', 'lowest']);
});
