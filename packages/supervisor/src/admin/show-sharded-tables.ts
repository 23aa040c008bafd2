import type { CatalogRelation, ShardRule } from '@pgdog-cluster/core';
import type { CatalogState } from '../catalog/catalog-watch.js';
import { column, defineShow } from './show.js';

interface TableRow {
  database: string;
  schema: string | null;
  name: string | null;
  relation: CatalogRelation | null;
  rule: ShardRule | null;
  /** Why statements on it are refused. */
  difference: string | null;
}

function rowsOf({ database, sharding, data, error }: CatalogState): TableRow[] {
  const nothing = { schema: null, name: null, relation: null, rule: null };
  if (data === null) {
    return [{ database, ...nothing, difference: `not read yet${error === null ? '' : `: ${error}`}` }];
  }
  const failed = error === null ? [] : [{ database, ...nothing, difference: `as read before: ${error}` }];
  const differing = data.differences.map(({ schema, name, text }) => ({
    database,
    schema,
    name,
    relation: null,
    rule: null,
    difference: text,
  }));
  const agreed = data.relations.map((relation) => ({
    database,
    schema: relation.schema,
    name: relation.name,
    relation,
    rule: sharding.tables[relation.rule] ?? null,
    difference: null,
  }));
  return [...failed, ...differing, ...agreed];
}

/** Under the name of PgDog's section. */
export const SHOW_SHARDED_TABLES = defineShow<TableRow>({
  name: 'sharded_tables',
  privilege: 'admin',
  description:
    'Tables of databases with several shards: where their rows are, and what the shards do not have in common.',
  columns: [
    column('database', 'text', 'Name of the database.', (row) => row.database),
    column('schema', 'text', 'Its schema.', (row) => row.schema),
    column('name', 'text', 'Its name; empty for a schema as a whole.', (row) => row.name),
    column(
      'kind',
      'text',
      'table, partitioned, view, materializedView, foreignTable or sequence.',
      (row) => row.relation?.kind ?? null,
    ),
    column(
      'placement',
      'text',
      'sharded (by its key), omni (whole on every shard), oneShard (in a schema that one shard has alone), view.',
      (row) => row.relation?.placement ?? null,
    ),
    column('shard', 'numeric', 'Of what one shard has alone: which.', (row) => row.relation?.shard ?? null),
    column('column', 'text', 'Sharding key.', (row) => row.rule?.column ?? null),
    column('data_type', 'text', 'Its type, as the rule says.', (row) => row.rule?.keyType ?? null),
    column('function', 'text', 'hash, sha1 or mapped.', (row) => row.rule?.function ?? null),
    column(
      'unique_per_shard',
      'text',
      'Unique constraints without the sharding key, which each shard sees to by itself: what would need them is refused, or with unique_per_shard of [[sharded_tables]] left to the application.',
      (row) => row.relation?.looseUniques?.map(({ name }) => name).join(', ') ?? null,
    ),
    column(
      'difference',
      'text',
      'Why statements on it are refused: what the shards do not have in common, or a rule that does not fit.',
      (row) => row.difference,
    ),
  ],
  rows: ({ catalogs }) => catalogs().flatMap(rowsOf),
});
