import type { CatalogForeignKey, CatalogRelation } from './shard-catalog.js';
import type { ShardContext } from './shard-context.js';
import { readUniques } from './unique-reading.js';

/** pg_constraint: NO ACTION and RESTRICT change nothing. */
const CASCADE = 'c';
const SET_NULL = 'n';
const SET_DEFAULT = 'd';

/**
 * What foreign keys do to other tables when rows are deleted (`changed` null) or columns are set. Refuses what would leave
 * a row on a shard where its key does not belong, or change one copy of a table only.
 */
export function readForeignKeys(
  ctx: ShardContext,
  relation: CatalogRelation,
  changed: readonly string[] | null,
  seen: Set<string> = new Set(),
): void {
  const name = `${relation.schema}.${relation.name} ${changed?.join() ?? ''}`;
  if (seen.has(name)) return;
  seen.add(name);
  for (const { relation: other, foreignKey } of ctx.terms.lookup.referencing(
    relation.schema,
    relation.name,
  )) {
    const action = changed === null ? foreignKey.onDelete : foreignKey.onUpdate;
    const isTouched = changed === null || foreignKey.targetColumns.some((column) => changed.includes(column));
    if (!isTouched || ![CASCADE, SET_NULL, SET_DEFAULT].includes(action)) continue;
    const isDeleted = changed === null && action === CASCADE;
    readEffect(ctx, relation, other, isDeleted ? null : foreignKey);
    readForeignKeys(ctx, other, isDeleted ? null : foreignKey.columns, seen);
  }
}

/** @param set whose columns are set; null: rows are deleted */
function readEffect(
  ctx: ShardContext,
  relation: CatalogRelation,
  other: CatalogRelation,
  set: CatalogForeignKey | null,
): void {
  const key = other.columns[other.keyColumn]?.name;
  const text = `a foreign key of "${other.name}"`;
  if (set !== null && other.placement === 'sharded' && key !== undefined && set.columns.includes(key)) {
    ctx.refuse(`${text} would set its sharding key "${key}"`, 'change those rows first');
  }
  if (other.placement === 'omni' && relation.placement !== 'omni') {
    ctx.refuse(
      `${text}, which is on every shard, would change it on one shard only`,
      'change those rows first',
    );
  }
  if (set !== null) readUniques(ctx, other, (column) => (set.columns.includes(column) ? 'value' : 'kept'));
  if (other.hasTriggers) ctx.refuse(`triggers of "${other.name}" may read or write rows of other shards`);
}
