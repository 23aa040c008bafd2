import type { CatalogRelation } from './shard-catalog.js';
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
    const { columns, setOnDelete } = foreignKey;
    const set = isDeleted ? null : changed === null ? (setOnDelete ?? columns) : columns;
    readEffect(
      ctx,
      relation,
      other,
      set === null ? null : { action, isDelete: changed === null, columns: set },
    );
    readForeignKeys(ctx, other, set, seen);
  }
}

/** Columns that a foreign key sets. */
interface Effect {
  readonly action: string;
  readonly isDelete: boolean;
  readonly columns: readonly string[];
}

/** @param set null: rows are deleted */
function readEffect(
  ctx: ShardContext,
  relation: CatalogRelation,
  other: CatalogRelation,
  set: Effect | null,
): void {
  const key = other.columns[other.keyColumn]?.name;
  const text = `a foreign key of "${other.name}"`;
  if (set !== null && other.placement === 'sharded' && key !== undefined && set.columns.includes(key)) {
    ctx.refuse(`${text} would set its sharding key "${key}"`, remedyFor(set, key));
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

/** Of a foreign key of several columns Postgres can leave the sharding key as it is. */
function remedyFor({ action, isDelete, columns }: Effect, key: string): string {
  const others = columns.filter((column) => column !== key).map((column) => `"${column}"`);
  if (!isDelete || others.length === 0 || action === CASCADE) return 'change those rows first';
  const word = action === SET_NULL ? 'SET NULL' : 'SET DEFAULT';
  return `declare the foreign key with ON DELETE ${word} (${others.join(', ')}) (Postgres 15), or change those rows first`;
}
