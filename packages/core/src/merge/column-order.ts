import type { ValueOrder } from './byte-order.js';
import { orderOfLabels } from './enum-order.js';
import type { ShapeColumn } from './row-shape.js';
import { sameBytes, valueKeyOf, type WriteValueKey } from './value-key.js';
import { orderOf } from './value-order.js';
import { VALUE_FORMAT } from './value-types.js';

/** null: no order is known here for its type in its format. */
export function orderOfColumn({ typeOid, format, labels }: ShapeColumn): ValueOrder | null {
  return labels !== undefined && isKnown(format) ? orderOfLabels(labels) : orderOf(typeOid, format);
}

/** null: when its values are equal is not known here. */
export function keyOfColumn({ typeOid, format, labels }: ShapeColumn): WriteValueKey | null {
  return labels !== undefined && isKnown(format) ? sameBytes : valueKeyOf(typeOid, format);
}

function isKnown(format: number): boolean {
  return format === VALUE_FORMAT.text || format === VALUE_FORMAT.binary;
}
