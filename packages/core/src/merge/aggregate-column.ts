import type { AggregateKind } from '../shard/shard-reading.js';
import { keyOfColumn, orderOfColumn } from './column-order.js';
import { BoolColumn, ExtremeColumn, type FoldColumn, NumericColumn, WholeColumn } from './fold-column.js';
import type { ShapeColumn } from './row-shape.js';
import { BitColumn, DistinctColumn, FirstColumn } from './value-columns.js';
import { typeName, VALUE_FORMAT, VALUE_TYPE } from './value-types.js';

/**
 * How partial results of an aggregate become one, by the type of the result, which each shard's partial result has; of values
 * that count once, by theirs.
 * @param limitBytes of what is remembered of values that count once
 * @returns why they cannot here, in words, if so
 */
export function aggregateColumn(
  kind: AggregateKind,
  column: ShapeColumn,
  limitBytes: number,
): FoldColumn | string {
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
      const order = orderOfColumn(column);
      return order === null ? refusal(kind, column) : new ExtremeColumn(order, kind === 'max');
    }
    case 'bool_and':
    case 'bool_or':
      return typeOid === VALUE_TYPE.bool
        ? new BoolColumn(format, kind === 'bool_and')
        : refusal(kind, column);
    case 'bit_and':
    case 'bit_or':
    case 'bit_xor': {
      const size = INTEGER_BYTES[typeOid];
      return size === undefined ? refusal(kind, column) : new BitColumn(format, size, kind);
    }
    case 'first':
      return new FirstColumn();
    case 'count_distinct':
    case 'sum_distinct':
      return distinctColumn(kind, column, limitBytes);
  }
}

/** 1 as an int8. */
const TEXT_ONE = Uint8Array.of(0x31);
const BINARY_ONE = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);

const INTEGER_BYTES: Record<number, number> = {
  [VALUE_TYPE.int2]: 2,
  [VALUE_TYPE.int4]: 4,
  [VALUE_TYPE.int8]: 8,
};

function distinctColumn(
  kind: 'count_distinct' | 'sum_distinct',
  column: ShapeColumn,
  limitBytes: number,
): FoldColumn | string {
  const key = keyOfColumn(column);
  if (key === null) return refusal(kind, column);
  if (kind === 'count_distinct') {
    const unit = column.format === VALUE_FORMAT.text ? TEXT_ONE : BINARY_ONE;
    return new DistinctColumn(key, new WholeColumn(column.format, true), unit, limitBytes);
  }
  const sum = sumColumn(column);
  return typeof sum === 'string' ? sum : new DistinctColumn(key, sum, null, limitBytes);
}

/** Of what is made of a column: the type it has then. */
export function foldedType(kind: AggregateKind | null, { typeOid }: ShapeColumn): number {
  return kind === 'count_distinct' ? VALUE_TYPE.int8 : typeOid;
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
