import { decodeText, NO_VALUE, NULL_VALUE, type SqlPlan, valueBytesOf } from '@pgdog-cluster/core';
import type { BindValues } from './effects.js';

/**
 * The parameters of a Bind as text, where the statement's effect depends on them (set_config($1, …)); null when
 * it does not. bytes[start, end) is the message behind the statement's name (protocol page "Bind"): format
 * codes, then values. A value in binary format reads as text all the same for type text; other types do not
 * occur in set_config but for its boolean, whose one byte is told apart.
 */
export function bindValues(plan: SqlPlan, bytes: Uint8Array, start: number, end: number): BindValues | null {
  const isNeeded = plan.statements.some(({ effect }) => effect?.type === 'setConfig');
  if (!isNeeded || end - start < 4) return null;
  const formatCount = int16(bytes, start);
  const formats: number[] = [];
  let at = start + 2;
  for (let index = 0; index < formatCount && at + 2 <= end; index++, at += 2) formats.push(int16(bytes, at));
  if (at + 2 > end) return null;
  const count = int16(bytes, at);
  at += 2;
  const values: (string | null | undefined)[] = [];
  for (let index = 0; index < count; index++) {
    const size = valueBytesOf(bytes, at, end);
    if (size === NO_VALUE) return null;
    at += 4;
    if (size === NULL_VALUE) {
      values.push(null);
      continue;
    }
    const isBinary = (formatCount === 1 ? formats[0] : (formats[index] ?? 0)) === 1;
    const isBoolean = isBinary && size === 1 && bytes[at] <= 1;
    values.push(isBoolean ? String(bytes[at] === 1) : decodeText(bytes, at, at + size));
    at += size;
  }
  return values;
}

function int16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}
