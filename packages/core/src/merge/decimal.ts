import type { FrameWriter } from '../wire/frame-writer.js';
import { NUMERIC_HEADER_BYTES, NUMERIC_SIGN, numericDigitCount } from './decimal-order.js';
import { VALUE_FORMAT } from './value-types.js';

/** numeric: digits divided by 10 to the power of `scale`, which is also how many digits are shown behind the point. */
export interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
  readonly special: 'nan' | 'infinity' | 'minusInfinity' | null;
}

/** src/backend/utils/adt/numeric.c: NUMERIC_DSCALE_MAX, and how many digits stand before the point at most. */
export const SCALE_MAX = 0x3fff;
export const DIGITS_BEFORE_MAX = 131_072;

const SPECIAL_SIGNS = {
  nan: NUMERIC_SIGN.nan,
  infinity: NUMERIC_SIGN.infinity,
  minusInfinity: NUMERIC_SIGN.minusInfinity,
} as const;
const SPECIAL_TEXTS = { nan: 'NaN', infinity: 'Infinity', minusInfinity: '-Infinity' } as const;

export const special = (which: keyof typeof SPECIAL_SIGNS): Decimal => ({
  digits: 0n,
  scale: 0,
  special: which,
});
export const NAN = special('nan');

export function decimal(digits: bigint, scale = 0): Decimal {
  return { digits, scale, special: null };
}

export function tenTo(exponent: number): bigint {
  return 10n ** BigInt(exponent);
}

export function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** How many decimal digits stand before the point; 0 or less where the first one that counts is behind it. */
export function digitsBefore({ digits, scale }: Decimal): number {
  return digits === 0n ? 0 : absolute(digits).toString().length - scale;
}

/** @returns null: bytes[start, end) is no numeric in that format */
export function readDecimal(bytes: Uint8Array, start: number, end: number, format: number): Decimal | null {
  if (format === VALUE_FORMAT.binary) return readBinary(bytes, start, end);
  return decimalOf(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1'));
}

/** As numeric is written, by a server or as a constant. @returns null: it is none */
export function decimalOf(text: string): Decimal | null {
  if (text.length > DIGITS_BEFORE_MAX + SCALE_MAX + 2) return null;
  for (const [which, name] of Object.entries(SPECIAL_TEXTS)) {
    if (text === name) return special(which as keyof typeof SPECIAL_TEXTS);
  }
  const exponentAt = text.toLowerCase().indexOf('e');
  const mantissa = exponentAt < 0 ? text : text.slice(0, exponentAt);
  const exponent = exponentAt < 0 ? 0 : integerOf(text.slice(exponentAt + 1));
  const point = mantissa.indexOf('.');
  const behind = point < 0 ? '' : mantissa.slice(point + 1);
  const whole = point < 0 ? mantissa : mantissa.slice(0, point);
  const isNegative = whole.startsWith('-');
  const all = (isNegative ? whole.slice(1) : whole) + behind;
  if (!isDigits(all) || exponent === null || Math.abs(exponent) > SCALE_MAX) return null;
  const scale = behind.length - exponent;
  const digits = BigInt(all) * (scale < 0 ? tenTo(-scale) : 1n);
  const read = decimal(isNegative ? -digits : digits, Math.max(0, scale));
  return scale > SCALE_MAX || digitsBefore(read) > DIGITS_BEFORE_MAX ? null : read;
}

function integerOf(text: string): number | null {
  const digits = text.startsWith('-') || text.startsWith('+') ? text.slice(1) : text;
  return isDigits(digits) && digits.length < 7 ? Number(text) : null;
}

function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) < 0x30 || text.charCodeAt(at) > 0x39) return false;
  }
  return text.length > 0;
}

function readBinary(bytes: Uint8Array, start: number, end: number): Decimal | null {
  const count = numericDigitCount(bytes, start, end);
  if (count < 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sign = view.getUint16(start + 4);
  for (const [which, its] of Object.entries(SPECIAL_SIGNS)) {
    if (sign === its) return special(which as keyof typeof SPECIAL_SIGNS);
  }
  const weight = view.getInt16(start + 2);
  const scale = view.getUint16(start + 6);
  if ((sign !== NUMERIC_SIGN.positive && sign !== NUMERIC_SIGN.negative) || scale > SCALE_MAX) return null;
  let digits = 0n;
  for (let index = 0; index < count; index++) {
    digits = digits * 10_000n + BigInt(view.getUint16(start + NUMERIC_HEADER_BYTES + 2 * index));
  }
  // The last of its digits stands for 10,000 to this power; what is not shown is zero.
  const exponent = 4 * (weight - count + 1) + scale;
  if (exponent < -3 && digits !== 0n) return null;
  digits =
    exponent < 0 ? digits / tenTo(Math.min(3, -exponent)) : digits === 0n ? 0n : digits * tenTo(exponent);
  return decimal(sign === NUMERIC_SIGN.negative ? -digits : digits, scale);
}

export function decimalText({ digits, scale, special: which }: Decimal): string {
  if (which !== null) return SPECIAL_TEXTS[which];
  const text = absolute(digits)
    .toString()
    .padStart(scale + 1, '0');
  const sign = digits < 0n ? '-' : '';
  const point = text.length - scale;
  return scale === 0 ? sign + text : `${sign}${text.slice(0, point)}.${text.slice(point)}`;
}

/** Writes it as a value of a DataRow, its size first. */
export function writeDecimal(writer: FrameWriter, format: number, value: Decimal): void {
  if (format === VALUE_FORMAT.text) {
    writer.value(decimalText(value));
    return;
  }
  const { special: which, scale } = value;
  if (which !== null) {
    // Postgres sends 32 as the scale of the infinities: numeric.c, NUMERIC_DSCALE of the bits of their flags.
    const flags = which === 'nan' ? 0 : 32;
    writer.int32(NUMERIC_HEADER_BYTES).int16(0).int16(0).int16(SPECIAL_SIGNS[which]).int16(flags);
    return;
  }
  writeBinary(writer, value.digits, scale);
}

function writeBinary(writer: FrameWriter, signed: bigint, scale: number): void {
  // A whole number of digits of base 10,000 behind the point.
  const groupsBehind = Math.ceil(scale / 4);
  const padded = (absolute(signed) * tenTo(4 * groupsBehind - scale)).toString();
  const text = padded.padStart(4 * Math.ceil(padded.length / 4), '0');
  const groups: number[] = [];
  for (let at = 0; at < text.length; at += 4) groups.push(Number(text.slice(at, at + 4)));
  let last = groups.length;
  while (last > 0 && groups[last - 1] === 0) last--;
  const shown = signed === 0n ? [] : groups.slice(0, last);
  writer.int32(NUMERIC_HEADER_BYTES + 2 * shown.length).int16(shown.length);
  writer.int16(shown.length === 0 ? 0 : groups.length - groupsBehind - 1);
  writer.int16(signed < 0n ? NUMERIC_SIGN.negative : NUMERIC_SIGN.positive).int16(scale);
  for (const group of shown) writer.int16(group);
}
