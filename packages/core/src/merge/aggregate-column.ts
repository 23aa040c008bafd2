import type { AggregateKind } from '../shard/shard-reading.js';
import { BoolColumn, ExtremeColumn, type FoldColumn, NumericColumn, WholeColumn } from './fold-column.js';
import type { ShapeColumn } from './row-shape.js';
import { orderOf } from './value-order.js';
import { typeName, VALUE_FORMAT, VALUE_TYPE } from './value-types.js';

/**
 * How partial results of an aggregate become one, by the type of the result, which each shard's partial result has.
 * @returns why they cannot here, in words, if so
 */
export function aggregateColumn(kind: AggregateKind, column: ShapeColumn): FoldColumn | string {
  const { typeOid, format } = column;
  if (format !== VALUE_FORMAT.text && format !== VALUE_FORMAT.binary)
    return `column "${column.name}" has format ${format}`;
  switch (kind) {
    case 'count':
      return typeOid === VALUE_TYPE.int8 ? new WholeColumn(format, true) : refusal(kind, column);
    case 'sum':
      return sumColumn(column);
    case 'min':
    case 'max': {
      const order = orderOf(typeOid, format);
      return order === null ? refusal(kind, column) : new ExtremeColumn(order, kind === 'max');
    }
    case 'bool_and':
    case 'bool_or':
      return typeOid === VALUE_TYPE.bool
        ? new BoolColumn(format, kind === 'bool_and')
        : refusal(kind, column);
  }
}

function sumColumn(column: ShapeColumn): FoldColumn | string {
  const { typeOid, format } = column;
  if (typeOid === VALUE_TYPE.int8) return new WholeColumn(format, false);
  if (typeOid === VALUE_TYPE.numeric) return new NumericColumn(format);
  if (typeOid === VALUE_TYPE.float4 || typeOid === VALUE_TYPE.float8) {
    return (
      `the sum of ${typeName(typeOid)} depends on the order in which it is added up, so sums of several shards are not ` +
      `the sum of all (column "${column.name}")`
    );
  }
  return refusal('sum', column);
}

const refusal = (kind: AggregateKind, { name, typeOid }: ShapeColumn): string =>
  `${kind} with a result of ${typeName(typeOid)} cannot be made of those of several shards (column "${name}")`;
