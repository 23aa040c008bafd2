import { constantOf, nodeOf, nodesOf, type SqlNode, textOf } from '../sql/sql-node.js';
import { readDefault, readWrite, readWritten } from './change-reading.js';
import { readExpression } from './expression-reading.js';
import { readTable } from './from-reading.js';
import { refusedSpread } from './merge-plan-reader.js';
import { NO_SHOWN, readSelect, type Shown } from './query-reading.js';
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

/** Its rows are placed one by one, if its key is among the columns. */
function readCopyFrom(ctx: ShardContext, node: SqlNode, target: SqlNode, finish: Finish): ShardReading {
  const { part, relation } = readWritten(ctx, target);
  if (relation === null) return finish(ctx, NO_SHOWN, true);
  const list = nodesOf(node, 'attlist').map((each) => textOf(nodeOf(each, 'String'), 'sval'));
  const names = list.length > 0 ? list : relation.columns.map(({ name }) => name);
  for (const column of relation.columns) if (!names.includes(column.name)) readDefault(ctx, relation, column);
  readUniques(
    ctx,
    relation,
    insertedInto(relation, ({ name }) => (names.includes(name) ? [] : null)),
  );
  readExpression(
    ctx,
    node.whereClause,
    { scope: new Scope([part], null), ctes: null, sublinks: new Map() },
    true,
  );
  const key = relation.columns[relation.keyColumn];
  if (part.nodes.length > 0 && key !== undefined) {
    ctx.isSplitInsert = true;
    if (!names.includes(key.name)) {
      ctx.refuse(
        `COPY into "${relation.name}" does not list its sharding key "${key.name}"`,
        `list "${key.name}"`,
      );
    } else if (key.typmod >= 0) {
      ctx.refuse(
        `the sharding key ${relation.name}.${key.name} has a length, to which values may be cut`,
        'make it text',
      );
    }
  }
  if (part.nodes.length === 0 && relation.shard === undefined) {
    ctx.refuse(`COPY into "${relation.name}", which is on every shard`, 'use INSERT');
  }
  return finish(ctx, NO_SHOWN, true);
}
