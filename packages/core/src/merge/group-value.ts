/** Values that are computed of groups: how they are read from rows of partial results, and written into rows of the answer. */
import { PgDogError } from '../base/errors.js';
import type { ComputedType } from '../shard/group-expression.js';
import { keyValue, readIntegerBinary } from '../shard/key-value.js';
import type { FrameWriter } from '../wire/frame-writer.js';
import { type Decimal, decimal, readDecimal, writeDecimal } from './decimal.js';
import { VALUE_FORMAT, VALUE_TYPE } from './value-types.js';

/** A value that is only compared, where it stands in the row. */
export interface RawValue {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** null is NULL. */
export type GroupValue = bigint | Decimal | boolean | RawValue | null;

/** `null`: of NULL as it is written; a number: of values that are only compared, by oid. */
export type ValueType = ComputedType | 'null' | number;

const TYPE_OIDS: Record<ComputedType, number> = {
  int2: VALUE_TYPE.int2,
  int4: VALUE_TYPE.int4,
  int8: VALUE_TYPE.int8,
  numeric: VALUE_TYPE.numeric,
  bool: VALUE_TYPE.bool,
};
const INTEGERS: Partial<Record<ValueType, { bits: number; name: string }>> = {
  int2: { bits: 16, name: 'smallint' },
  int4: { bits: 32, name: 'integer' },
  int8: { bits: 64, name: 'bigint' },
};

export function typeOfOid(oid: number): ValueType {
  for (const [type, its] of Object.entries(TYPE_OIDS)) if (its === oid) return type as ComputedType;
  return oid;
}

export function oidOfType(type: ValueType): number {
  return typeof type === 'number' ? type : type === 'null' ? VALUE_TYPE.text : TYPE_OIDS[type];
}

export const isInteger = (type: ValueType): boolean => INTEGERS[type] !== undefined;
export const isNumber = (type: ValueType): boolean => isInteger(type) || type === 'numeric';

/** @returns undefined: bytes[start, end) is no such value in binary */
export function readGroupValue(
  type: ValueType,
  bytes: Uint8Array,
  start: number,
  end: number,
): GroupValue | undefined {
  const integer = INTEGERS[type];
  if (integer !== undefined) {
    if (8 * (end - start) !== integer.bits || !readIntegerBinary(bytes, start, end)) return undefined;
    return (BigInt(keyValue.high | 0) << 32n) + BigInt(keyValue.low >>> 0);
  }
  if (type === 'numeric') return readDecimal(bytes, start, end, VALUE_FORMAT.binary) ?? undefined;
  if (type !== 'bool') return { bytes, start, end };
  return end - start === 1 && bytes[start] <= 1 ? bytes[start] === 1 : undefined;
}

export function toDecimal(value: bigint | Decimal): Decimal {
  return typeof value === 'bigint' ? decimal(value) : value;
}

/** The same, or Postgres's error when it does not fit its type. */
export function checkInteger(type: ValueType, value: bigint): bigint {
  const integer = INTEGERS[type];
  if (integer !== undefined && BigInt.asIntN(integer.bits, value) !== value) {
    throw new PgDogError('merge_overflow', `${integer.name} out of range`);
  }
  return value;
}

/** Writes it as a value of a DataRow, its size first. */
export function writeGroupValue(
  writer: FrameWriter,
  type: ValueType,
  format: number,
  value: GroupValue,
): void {
  const isText = format === VALUE_FORMAT.text;
  if (value === null) writer.int32(-1);
  else if (typeof value === 'boolean') {
    if (isText) writer.value(value ? 't' : 'f');
    else writer.int32(1).byte(value ? 1 : 0);
  } else if (typeof value === 'bigint') writeInteger(writer, type, isText, value);
  else if ('digits' in value) writeDecimal(writer, format, value);
  else writer.int32(value.end - value.start).bytes(value.bytes, value.start, value.end);
}

function writeInteger(writer: FrameWriter, type: ValueType, isText: boolean, value: bigint): void {
  const bits = INTEGERS[type]?.bits ?? 64;
  if (isText) writer.value(String(value));
  else if (bits === 16) writer.int32(2).int16(Number(value));
  else if (bits === 32) writer.int32(4).int32(Number(value));
  else
    writer
      .int32(8)
      .int32(Number(value >> 32n))
      .int32(Number(BigInt.asIntN(32, value)));
}
