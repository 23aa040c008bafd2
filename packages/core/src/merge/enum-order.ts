// ● per-frame path
import { INCOMPARABLE, type ValueOrder } from './byte-order.js';

/** By oid of the type: its labels, in their order. */
export type EnumLabels = ReadonlyMap<number, readonly string[]>;

const orders = new WeakMap<readonly string[], ValueOrder>();

/** The order of labels, which are the values in text and in binary (enum_send() of enum.c), in the encoding of UTF-8. */
export function orderOfLabels(labels: readonly string[]): ValueOrder {
  const known = orders.get(labels);
  if (known !== undefined) return known;
  // exempt: once per type
  const places = new Map(labels.map((label, place) => [Buffer.from(label).toString('latin1'), place]));
  const order: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) => {
    const one = places.get(keyOf(a, aStart, aEnd));
    const other = places.get(keyOf(b, bStart, bEnd));
    // A label that has been made since the catalogs were read.
    return one === undefined || other === undefined ? INCOMPARABLE : Math.sign(one - other);
  };
  orders.set(labels, order);
  return order;
}

function keyOf(bytes: Uint8Array, start: number, end: number): string {
  let key = '';
  for (let at = start; at < end; at++) key += String.fromCharCode(bytes[at]);
  return key;
}
