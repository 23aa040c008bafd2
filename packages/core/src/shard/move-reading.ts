/** UPDATE of the sharding key: rows that belong elsewhere with what it is set to, and why they cannot go there. */
import { nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { isSameRule, keyOfRelation } from './key-family.js';
import { refusedSpread } from './merge-plan-reader.js';
import { readMoveText } from './move-text.js';
import type { CatalogForeignKey, CatalogReference, CatalogRelation } from './shard-catalog.js';
import type { MovedKey, ShardContext } from './shard-context.js';
import type { KeyGroup, ShardReading, Spread } from './shard-reading.js';
import { walkNodes } from './value-facts.js';

/** pg_constraint: neither NO ACTION nor RESTRICT changes rows. */
const KEEPING_ACTIONS: ReadonlySet<string> = new Set(['a', 'r']);
const SPLIT_REMEDY = 'delete the rows and insert them anew';

/** @param reading of the same UPDATE, as if its key were not set */
export function readMove(ctx: ShardContext, node: SqlNode, reading: ShardReading): ShardReading {
  const { move } = ctx;
  if (move === null || reading.refusal !== null) return reading;
  const pins = move.source === null ? [] : [{ sources: [move.source] }];
  if (!pins.every((pin) => ctx.isCertain(pin, move.info))) {
    const refusal = {
      reason: `what the sharding key ${move.info.label} is set to may be of another type`,
      remedy: 'cast the parameter to the type of the key wherever it stands',
    };
    return { ...reading, refusal, spread: refusedSpread(refusal) };
  }
  const { rule, keyType, label } = move.info;
  const key: KeyGroup = { rule, keyType, column: label, pins };
  return { ...reading, move: key, spread: spreadOfMove(ctx, move, node, reading.spread) };
}

function spreadOfMove(ctx: ShardContext, move: MovedKey, node: SqlNode, spread: Spread): Spread {
  if (spread.kind !== 'sum') return spread;
  const { terms } = ctx;
  const { label } = move.info;
  if (terms.sharding.areKeysMovable !== true) {
    return refusedSpread({
      reason: `the sharding key ${label} is set: the row may belong elsewhere`,
      remedy: 'set [rewrite] shard_key = "rewrite", or delete the row and insert it anew',
    });
  }
  const why =
    whyTable(ctx, move.relation) ??
    (move.source === null ? (whyRouted(ctx, move) ?? whyCondition(ctx, node)) : null) ??
    whyLoose(ctx, move, node) ??
    whyStatement(node);
  if (why !== null) return refusedSpread({ reason: `${why}: its rows are not moved`, remedy: SPLIT_REMEDY });
  // Of a shape, or where it is only told what would be done.
  if (ctx.literals !== null || terms.text === undefined) return { kind: 'byText' };
  const plan = readMoveText(terms.parser, terms.text, node, move.relation, move.source === null);
  if (plan !== null) return { kind: 'move', plan };
  return refusedSpread({
    reason: `the text of an UPDATE that sets ${label} cannot be rewritten`,
    remedy: SPLIT_REMEDY,
  });
}

/** What would be seen of a row's leaving one table and coming to another. */
function whyTable({ terms }: ShardContext, relation: CatalogRelation): string | null {
  const { schema, name, kind, parents, foreignKeys } = relation;
  const key = relation.columns[relation.keyColumn]?.name ?? '';
  if (kind !== 'table' || parents.length > 0 || terms.lookup.hasChildren(schema, name))
    return `"${name}" has partitions, children or parents`;
  const incoming = terms.lookup.referencing(schema, name).find((each) => !isSeenAlike(each, key));
  if (incoming !== undefined)
    return `a foreign key of "${incoming.relation.name}" to "${name}" tells DELETE from UPDATE`;
  const outgoing = foreignKeys.find((each) => !isFoundThere(terms, relation, each, key));
  if (outgoing !== undefined)
    return `a foreign key of "${name}" to "${outgoing.table}" does not go by their sharding keys`;
  return null;
}

/** Each row has a new key of its own, which is known when it has left. */
function whyRouted({ terms }: ShardContext, { relation, info }: MovedKey): string | null {
  const { schema, name } = relation;
  // Some rows keep their key: those may be referred to, and could not be deleted.
  if (terms.lookup.referencing(schema, name).length > 0)
    return `a foreign key to "${name}", whose sharding key is set to another value for each row`;
  if (terms.sharding.tables[info.rule]?.function === 'lookup')
    return `the sharding key ${info.label} is set to another value for each row, which would have to be looked up`;
  // Equal numbers may have different digits.
  return info.family === 'numeric'
    ? `the sharding key ${info.label} of type numeric is set to another value for each row`
    : null;
}

/** Rows that have left must be all: what is asked again for them must not mean others then. */
function whyCondition({ volatile }: ShardContext, node: SqlNode): string | null {
  let why: string | null = null;
  walkNodes(node.whereClause, (type) => {
    if (type === 'SubLink') why ??= 'a subquery in WHERE';
    if (type === 'FuncCall' && volatile !== null) why ??= `${volatile}, and a function in WHERE`;
    return true;
  });
  return why === null ? null : `${why} of an UPDATE that sets the sharding key to another value for each row`;
}

/** A constraint that each shard has for itself would compare rows as they are when they arrive, not one after the other. */
function whyLoose({ terms }: ShardContext, { relation, info }: MovedKey, node: SqlNode): string | null {
  if (terms.sharding.tables[info.rule]?.areUniquesPerShard !== true) return null;
  const set = nodesOf(node, 'targetList').map((each) => textOf(nodeOf(each, 'ResTarget'), 'name'));
  const computed = relation.columns.filter(({ generated }) => generated === 's' || generated === 'v');
  const touched = new Set([...set, ...computed.map(({ name }) => name)]);
  const loose = relation.looseUniques?.find(({ columns }) => columns.some((column) => touched.has(column)));
  return loose === undefined
    ? null
    : `"${loose.name}" of "${relation.name}" is unique on each shard, and is set beside the sharding key`;
}

/** A row that is referred to can be deleted exactly when its key can be changed. */
function isSeenAlike({ foreignKey }: CatalogReference, key: string): boolean {
  const { onDelete, onUpdate, targetColumns } = foreignKey;
  return onDelete === onUpdate && KEEPING_ACTIONS.has(onDelete) && targetColumns.includes(key);
}

/** What a row refers to is where the row goes: on every shard, or by the same key. */
function isFoundThere(
  { lookup, sharding }: ShardContext['terms'],
  relation: CatalogRelation,
  { schema, table, columns, targetColumns }: CatalogForeignKey,
  key: string,
): boolean {
  const found = lookup.find(schema, table);
  // Rows that refer to each other would have to come in their order.
  if (found.kind !== 'relation' || (table === relation.name && schema === relation.schema)) return false;
  const target = found.relation;
  if (target.placement === 'omni') return true;
  if (target.placement !== 'sharded') return false;
  const [own, other] = [keyOfRelation(relation, sharding), keyOfRelation(target, sharding)];
  const at = columns.indexOf(key);
  const isByKey = at >= 0 && targetColumns[at] === target.columns[target.keyColumn]?.name;
  return isByKey && typeof own !== 'string' && typeof other !== 'string' && isSameRule(own, other, sharding);
}

/** What two statements in its place would not do alike. */
function whyStatement(node: SqlNode): string | null {
  if (nodeOf(node, 'withClause') !== undefined) return 'an UPDATE with WITH sets the sharding key';
  if (nodesOf(node, 'fromClause').length > 0) return 'an UPDATE with FROM sets the sharding key';
  for (const each of nodesOf(node, 'targetList')) {
    const target = nodeOf(each, 'ResTarget');
    if (nodesOf(target, 'indirection').length > 0) return 'a part of a column is set beside the sharding key';
    if ('MultiAssignRef' in (nodeOf(target, 'val') ?? {}))
      return 'several columns are set from one list beside the sharding key';
  }
  return whyReturning(nodeOf(node, 'returningClause'));
}

/** RETURNING is evaluated with the row's INSERT. */
function whyReturning(clause: SqlNode | undefined): string | null {
  let why: string | null = nodesOf(clause, 'options').length > 0 ? 'RETURNING WITH' : null;
  walkNodes(clause ?? null, (type, inner) => {
    if (type === 'SubLink') why ??= 'a subquery in RETURNING';
    if (type === 'ParamRef') why ??= 'a parameter in RETURNING';
    if (type === 'ColumnRef' && OLD_AND_NEW.has(pathOf(inner, 'fields')[0] ?? ''))
      why ??= 'RETURNING of old or new rows';
    return true;
  });
  return why === null ? null : `${why} of an UPDATE that sets the sharding key`;
}

const OLD_AND_NEW: ReadonlySet<string> = new Set(['old', 'new']);
