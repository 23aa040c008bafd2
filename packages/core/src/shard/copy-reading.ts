import type { CopyKeyField, CopyLayout } from '../copy/copy-layout.js';
import { constantOf, nodeOf, nodesOf, pathOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { readDefault, readWrite, readWritten } from './change-reading.js';
import { type CopyOptions, readCopyOptions } from './copy-options.js';
import { isTimeType, readExpression } from './expression-reading.js';
import { readTable } from './from-reading.js';
import { refusedSpread } from './merge-plan-reader.js';
import { NO_SHOWN, readSelect, type Shown } from './query-reading.js';
import type { CatalogColumn, CatalogRelation } from './shard-catalog.js';
import { CHOOSE_SHARD, type ShardContext } from './shard-context.js';
import type { MergePlan, ShardReading } from './shard-reading.js';
import { Scope } from './shard-scope.js';
import { insertedInto, readUniques } from './unique-reading.js';

type Finish = (ctx: ShardContext, shown: Shown, isWrite: boolean) => ShardReading;

/** One shard's rows behind another's. */
const CONCATENATED: MergePlan = {
  sort: [],
  group: null,
  aggregates: [],
  isDistinct: false,
  limit: null,
  offset: null,
};

export function readCopy(ctx: ShardContext, node: SqlNode, finish: Finish): ShardReading {
  if (textOf(node, 'filename') !== '' || node.is_program === true) {
    ctx.refuse('COPY to or from a file or program of the server');
  }
  const query = nodeOf(node, 'query');
  if (query !== undefined) return readCopyQuery(ctx, node, query, finish);
  const relation = nodeOf(node, 'relation') ?? {};
  if (node.is_from === true) return readCopyFrom(ctx, node, relation, finish);
  const table = readTable(ctx, relation, null);
  const reading = finish(ctx, { ...NO_SHOWN, splits: table.part.splits }, false);
  if (reading.groups.length === 0 || reading.refusal !== null) return reading;
  return hasFrame(node) ? framed(reading) : { ...reading, spread: { kind: 'merge', plan: CONCATENATED } };
}

function readCopyQuery(ctx: ShardContext, node: SqlNode, query: SqlNode, finish: Finish): ShardReading {
  const kind = Object.keys(query)[0] ?? '';
  const inner = nodeOf(query, kind) ?? {};
  const isSelect = kind === 'SelectStmt';
  const shown = isSelect ? readSelect(ctx, inner, null, null) : readWrite(ctx, kind, inner, null, null);
  const reading = finish(ctx, shown, !isSelect);
  if (reading.spread.kind !== 'merge') return isSelect ? reading : framed(reading);
  // What is copied are lines, which nobody sorts or sums.
  const { plan } = reading.spread;
  const isPlain =
    plan.sort.length === 0 &&
    plan.group === null &&
    !plan.isDistinct &&
    plan.limit === null &&
    plan.offset === null;
  if (isPlain && !hasFrame(node)) return reading;
  return isPlain ? framed(reading) : withReason(reading, 'COPY of a query whose rows must be merged');
}

/** Each shard would send a header of its own. */
function hasFrame(node: SqlNode): boolean {
  return nodesOf(node, 'options').some((each) => {
    const option = nodeOf(each, 'DefElem');
    const name = textOf(option, 'defname');
    if (name === 'header') return true;
    if (name !== 'format') return false;
    const argument = nodeOf(option, 'arg') ?? {};
    const format = textOf(nodeOf(argument, 'String'), 'sval') || (constantOf(argument) ?? '');
    return format !== 'csv' && format !== 'text';
  });
}

function framed(reading: ShardReading): ShardReading {
  return withReason(reading, 'COPY of several shards in binary or with a header');
}

function withReason(reading: ShardReading, reason: string): ShardReading {
  return reading.groups.length === 0
    ? reading
    : { ...reading, spread: refusedSpread({ reason, remedy: CHOOSE_SHARD }) };
}

/** Its rows are placed one by one, if its key is among the columns; of a table that is on every shard each gets all. */
function readCopyFrom(ctx: ShardContext, node: SqlNode, target: SqlNode, finish: Finish): ShardReading {
  const { part, relation } = readWritten(ctx, target);
  if (relation === null) return finish(ctx, NO_SHOWN, true);
  const options = readCopyOptions(ctx, node);
  const list = pathOf(node, 'attlist');
  const names = list.length > 0 ? list : relation.columns.filter(isGiven).map(({ name }) => name);
  // Where a mark stands for the default, any row may ask for any column's.
  for (const column of relation.columns) {
    if (!names.includes(column.name) || options.defaultText !== null) readDefault(ctx, relation, column);
  }
  readUniques(
    ctx,
    relation,
    insertedInto(relation, ({ name }) => (names.includes(name) ? [] : null)),
  );
  const level = { scope: new Scope([part], null), ctes: null, sublinks: new Map() };
  readExpression(ctx, node.whereClause, level, true);
  const isSharded = part.nodes.length > 0;
  const key = isSharded ? keyField(ctx, relation, names, options) : null;
  const layout: CopyLayout = {
    ...options,
    key,
    columnCount: names.length,
    times: timeFields(relation, names),
  };
  if (isSharded) {
    ctx.isSplitInsert = true;
    ctx.copy = layout;
  }
  const reading = finish(ctx, NO_SHOWN, true);
  const isOfAll = reading.groups.length === 0 && reading.refusal === null && reading.home === 'every';
  return isOfAll ? { ...reading, spread: { kind: 'copy', layout } } : reading;
}

/** COPY without a list takes all columns but those that are computed. */
function isGiven({ generated }: CatalogColumn): boolean {
  return generated !== 's' && generated !== 'v';
}

function keyField(
  ctx: ShardContext,
  relation: CatalogRelation,
  names: readonly string[],
  { forceNull, forceNotNull }: CopyOptions,
): CopyKeyField | null {
  const { name = '', typmod = -1 } = relation.columns[relation.keyColumn] ?? {};
  const index = names.indexOf(name);
  if (index < 0) {
    ctx.refuse(`COPY into "${relation.name}" does not list its sharding key "${name}"`, `list "${name}"`);
    return null;
  }
  // A question for each row, or a stop of the stream for some.
  if (ctx.terms.sharding.tables[relation.rule]?.function === 'lookup')
    ctx.refuse(`COPY into "${relation.name}", whose shards are found by lookup_query`, 'use INSERT');
  return {
    rule: relation.rule,
    label: `${relation.name}.${name}`,
    index,
    // A varchar's says n + 4; keys of other types that cut or round are refused.
    charactersMax: typmod < 0 ? Number.POSITIVE_INFINITY : typmod - 4,
    isNullForced: forceNull === '*' || forceNull.includes(name),
    isNullBarred: forceNotNull === '*' || forceNotNull.includes(name),
  };
}

/** Of dates and times, alone or as parts of an array or a range. */
function timeFields(relation: CatalogRelation, names: readonly string[]): number[] {
  return names.flatMap((name, field) => {
    const { type = '' } = relation.columns.find((column) => column.name === name) ?? {};
    return holdsTime(type) ? [field] : [];
  });
}

const TIME_PARTS: ReadonlySet<string> = new Set(
  (
    '_date _timestamp _timestamptz _time _timetz daterange tsrange tstzrange ' +
    'datemultirange tsmultirange tstzmultirange'
  ).split(' '),
);

function holdsTime(type: string): boolean {
  return (
    isTimeType(type) || (type.startsWith('pg_catalog.') && TIME_PARTS.has(type.slice('pg_catalog.'.length)))
  );
}
