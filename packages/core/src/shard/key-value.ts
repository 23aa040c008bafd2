// ● per-frame path
/**
 * Values of sharding keys, as text (literals, parameters in text) and in binary, to what hashes and compares. Whatever has
 * one meaning to Postgres, whichever settings are in force, is read; the rest is UNKNOWN and goes nowhere by a guess.
 */

/** One value read last; which fields count depends on the type. */
export const keyValue = {
  /** Integers, timestamps: two's complement of 64 bits, unsigned halves. */
  high: 0,
  low: 0,
  /** uuid: 16 bytes. numeric: digits of base 10,000, low byte first. */
  bytes: new Uint8Array(2 * 1024),
  size: 0,
  weight: 0,
};

const DIGITS_MAX = keyValue.bytes.length / 2;

const SPACE = 0x20;
const PLUS = 0x2b;
const DASH = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/** Postgres's isspace() in the C locale. */
function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= 0x09 && byte <= 0x0d);
}

const isDigit = (byte: number): boolean => byte >= ZERO && byte <= NINE;

let from = 0;
let to = 0;

/** bytes[start, end) without the spaces around it, in `from` and `to`. */
function trim(bytes: Uint8Array, start: number, end: number): void {
  from = start;
  to = end;
  while (from < to && isSpace(bytes[from])) from++;
  while (to > from && isSpace(bytes[to - 1])) to--;
}

/** Sets high and low to minus what they are. */
function negate(): void {
  keyValue.low = (~keyValue.low + 1) >>> 0;
  keyValue.high = (~keyValue.high + (keyValue.low === 0 ? 1 : 0)) >>> 0;
}

/** times ten plus digit; false when it does not fit 64 bits. */
function appendDigit(digit: number): boolean {
  const low = keyValue.low * 10 + digit;
  const high = keyValue.high * 10 + Math.floor(low / 0x100000000);
  if (high > 0xffffffff) return false;
  keyValue.low = low % 0x100000000;
  keyValue.high = high;
  return true;
}

/** So many digits are one number, without a rest that is rounded. */
const EXACT_DIGITS = 15;

/** An integer in decimal. @param bits 16, 32 or 64: what does not fit is an error to Postgres, and false here */
export function readIntegerText(bytes: Uint8Array, start: number, end: number, bits: number): boolean {
  trim(bytes, start, end);
  let at = from;
  const isNegative = at < to && bytes[at] === DASH;
  if (isNegative || (at < to && bytes[at] === PLUS)) at++;
  if (at === to) return false;
  let value = 0;
  const exactEnd = Math.min(to, at + EXACT_DIGITS);
  for (; at < exactEnd; at++) {
    if (!isDigit(bytes[at])) return false;
    value = value * 10 + bytes[at] - ZERO;
  }
  keyValue.high = Math.floor(value / 0x100000000);
  keyValue.low = value - keyValue.high * 0x100000000;
  for (; at < to; at++) {
    if (!isDigit(bytes[at]) || !appendDigit(bytes[at] - ZERO)) return false;
  }
  const { high, low } = keyValue;
  // The largest is one less than minus the smallest.
  const isFitting =
    bits === 64
      ? high < 0x80000000 || (isNegative && high === 0x80000000 && low === 0)
      : high === 0 && low < 2 ** (bits - 1) + (isNegative ? 1 : 0);
  if (isNegative) negate();
  return isFitting;
}

/** int2, int4, int8, by the number of bytes; also timestamps, which are int8. */
export function readIntegerBinary(bytes: Uint8Array, start: number, end: number): boolean {
  const size = end - start;
  if (size !== 2 && size !== 4 && size !== 8) return false;
  const isNegative = bytes[start] >= 0x80;
  keyValue.high = keyValue.low = isNegative ? 0xffffffff : 0;
  for (let at = start; at < end; at++) {
    keyValue.high = ((keyValue.high << 8) | (keyValue.low >>> 24)) >>> 0;
    keyValue.low = ((keyValue.low << 8) | bytes[at]) >>> 0;
  }
  return true;
}

function hexDigit(byte: number): number {
  if (isDigit(byte)) return byte - ZERO;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** With or without braces, a hyphen behind any group of four digits: src/backend/utils/adt/uuid.c. */
export function readUuidText(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  const hasBraces = at < end && bytes[at] === 0x7b;
  if (hasBraces) at++;
  for (let index = 0; index < 16; index++) {
    if (at + 2 > end) return false;
    const upper = hexDigit(bytes[at]);
    const lower = hexDigit(bytes[at + 1]);
    if (upper < 0 || lower < 0) return false;
    keyValue.bytes[index] = upper * 16 + lower;
    at += 2;
    if (at < end && bytes[at] === DASH && index % 2 === 1 && index < 15) at++;
  }
  if (hasBraces) {
    if (at >= end || bytes[at] !== 0x7d) return false;
    at++;
  }
  keyValue.size = 16;
  return at === end;
}

export function readUuidBinary(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== 16) return false;
  for (let index = 0; index < 16; index++) keyValue.bytes[index] = bytes[start + index];
  keyValue.size = 16;
  return true;
}

/** The hex format of bytea. The escape format only where nothing is escaped, which then are the bytes themselves. */
export function readByteaText(bytes: Uint8Array, start: number, end: number): boolean {
  const isHex = end - start >= 2 && bytes[start] === 0x5c && bytes[start + 1] === 0x78;
  const size = isHex ? (end - start - 2) / 2 : end - start;
  if (!Number.isInteger(size)) return false;
  if (keyValue.bytes.length < size) keyValue.bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) {
    if (isHex) {
      const upper = hexDigit(bytes[start + 2 + 2 * index]);
      const lower = hexDigit(bytes[start + 3 + 2 * index]);
      if (upper < 0 || lower < 0) return false;
      keyValue.bytes[index] = upper * 16 + lower;
    } else {
      const byte = bytes[start + index];
      if (byte === 0x5c) return false;
      keyValue.bytes[index] = byte;
    }
  }
  keyValue.size = size;
  return true;
}

/** Digits, at most one point among them; no exponent, no NaN, no infinity. */
export function readNumericText(bytes: Uint8Array, start: number, end: number): boolean {
  trim(bytes, start, end);
  let at = from;
  if (at < to && (bytes[at] === DASH || bytes[at] === PLUS)) at++;
  const first = at;
  let point = -1;
  for (; at < to; at++) {
    if (bytes[at] === DOT && point < 0) point = at;
    else if (!isDigit(bytes[at])) return false;
  }
  if (to - first - (point < 0 ? 0 : 1) < 1) return false;
  if (point < 0) point = to;
  // Groups of four, counted from the point both ways.
  const groupsBefore = Math.ceil((point - first) / 4);
  const groupsBehind = Math.ceil((to - point - 1) / 4);
  if (groupsBefore + Math.max(0, groupsBehind) > DIGITS_MAX) return false;
  keyValue.size = 0;
  keyValue.weight = 0;
  for (let group = -groupsBefore; group < groupsBehind; group++) {
    let value = 0;
    for (let place = 0; place < 4; place++) {
      const offset = group * 4 + place;
      const where = offset < 0 ? point + offset : point + 1 + offset;
      value = value * 10 + (where >= first && where < to ? bytes[where] - ZERO : 0);
    }
    takeNumericDigit(value, -group - 1);
  }
  trimNumeric();
  return true;
}

/** Header of four int16 (count, weight of the first, sign, scale), then the digits: src/backend/utils/adt/numeric.c, numeric_send. */
export function readNumericBinary(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 8) return false;
  const word = (at: number): number => (bytes[at] << 8) | bytes[at + 1];
  const count = word(start);
  const weight = (word(start + 2) << 16) >> 16;
  const sign = word(start + 4);
  // 0xC000 is NaN, 0xD000 and 0xF000 are the infinities.
  if (end - start !== 8 + 2 * count || count > DIGITS_MAX || (sign !== 0 && sign !== 0x4000)) return false;
  // Digits beyond the scale are cut off when the value is read.
  const hiddenDigits = 4 * (count - 1 - weight) - word(start + 6);
  const lastDigit = count > 0 ? word(end - 2) : 0;
  if (hiddenDigits >= 4 || (hiddenDigits > 0 && lastDigit % 10 ** hiddenDigits !== 0)) return false;
  keyValue.size = 0;
  keyValue.weight = 0;
  for (let index = 0; index < count; index++) {
    const digit = word(start + 8 + 2 * index);
    if (digit > 9999) return false;
    takeNumericDigit(digit, weight - index);
  }
  trimNumeric();
  return true;
}

/** The next digit of base 10,000; zeros before the first one do not count. */
function takeNumericDigit(digit: number, weight: number): void {
  if (keyValue.size === 0) {
    if (digit === 0) return;
    keyValue.weight = weight;
  }
  keyValue.bytes[keyValue.size++] = digit & 0xff;
  keyValue.bytes[keyValue.size++] = digit >> 8;
}

function trimNumeric(): void {
  const { bytes } = keyValue;
  while (keyValue.size > 0 && bytes[keyValue.size - 1] === 0 && bytes[keyValue.size - 2] === 0)
    keyValue.size -= 2;
}

/** Exactly `count` digits; -1 else. */
function digitsAt(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) {
    if (index >= to || !isDigit(bytes[index])) return -1;
    value = value * 10 + bytes[index] - ZERO;
  }
  return value;
}

const TWO_20 = 1 << 20;
/** 2000-01-01, from which Postgres counts, in days since 1970. */
const EPOCH_DAYS = 10_957;

/** Days since 2000-01-01, or NaN. Four digits for the year: read alike under every DateStyle. */
function daysAt(bytes: Uint8Array, at: number): number {
  const [year, month, day] = [digitsAt(bytes, at, 4), digitsAt(bytes, at + 5, 2), digitsAt(bytes, at + 8, 2)];
  if (year < 1 || month < 1 || month > 12 || day < 1) return Number.NaN;
  if (bytes[at + 4] !== DASH || bytes[at + 7] !== DASH) return Number.NaN;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCDate() !== day) return Number.NaN;
  return date.getTime() / 86_400_000 - EPOCH_DAYS;
}

function setInteger(value: number): void {
  keyValue.high = Math.floor(value / 0x100000000) >>> 0;
  keyValue.low = value - Math.floor(value / 0x100000000) * 0x100000000;
}

/** YYYY-MM-DD. */
export function readDateText(bytes: Uint8Array, start: number, end: number): boolean {
  trim(bytes, start, end);
  const days = to - from === 10 ? daysAt(bytes, from) : Number.NaN;
  if (Number.isNaN(days)) return false;
  setInteger(days);
  return true;
}

/**
 * YYYY-MM-DD HH:MM:SS[.digits], at most six of them: more would be rounded.
 * @param hasZone timestamptz, and then an offset must follow (+HH, +HHMM, +HH:MM or Z): without one the session's zone would
 * count. To a timestamp Postgres ignores a zone; we read none.
 */
export function readTimestampText(bytes: Uint8Array, start: number, end: number, hasZone: boolean): boolean {
  trim(bytes, start, end);
  const days = daysAt(bytes, from);
  const middle = bytes[from + 10];
  if (Number.isNaN(days) || to - from < 19 || (middle !== SPACE && middle !== 0x54)) return false;
  const at = from + 11;
  const [hour, minute, second] = [
    digitsAt(bytes, at, 2),
    digitsAt(bytes, at + 3, 2),
    digitsAt(bytes, at + 6, 2),
  ];
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false;
  if (bytes[at + 2] !== 0x3a || bytes[at + 5] !== 0x3a) return false;
  let next = at + 8;
  let micros = 0;
  if (next < to && bytes[next] === DOT) {
    let digits = 0;
    for (next++; next < to && isDigit(bytes[next]); next++, digits++)
      micros = micros * 10 + bytes[next] - ZERO;
    if (digits < 1 || digits > 6) return false;
    micros *= 10 ** (6 - digits);
  }
  const offset = hasZone ? zoneSeconds(bytes, next) : next === to ? 0 : Number.NaN;
  if (Number.isNaN(offset)) return false;
  const seconds = (hour * 60 + minute) * 60 + second - offset;
  setMicros(days * 86_400 + seconds, micros);
  return true;
}

/** seconds * 1,000,000 + micros, which may take more than the 53 bits of a number. */
function setMicros(seconds: number, micros: number): void {
  const upper = Math.floor(seconds / TWO_20);
  const lower = (seconds - upper * TWO_20) * 1_000_000 + micros;
  const carry = Math.floor(lower / TWO_20);
  // In units of 2^20 us.
  const units = upper * 1_000_000 + carry;
  const high = Math.floor(units / 4096);
  keyValue.high = high >>> 0;
  keyValue.low = (units - high * 4096) * TWO_20 + (lower - carry * TWO_20);
}

/** East of Greenwich, or NaN. */
function zoneSeconds(bytes: Uint8Array, at: number): number {
  if (at + 1 === to && (bytes[at] | 0x20) === 0x7a) return 0;
  if (at >= to || (bytes[at] !== PLUS && bytes[at] !== DASH)) return Number.NaN;
  const size = to - at;
  const minutesAt =
    size === 3 ? -1 : size === 5 ? at + 3 : size === 6 && bytes[at + 3] === 0x3a ? at + 4 : -2;
  const hours = digitsAt(bytes, at + 1, 2);
  const minutes = minutesAt === -1 ? 0 : minutesAt < 0 ? -1 : digitsAt(bytes, minutesAt, 2);
  // 15:59 is Postgres's limit.
  if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59) return Number.NaN;
  return (bytes[at] === DASH ? -1 : 1) * (hours * 60 + minutes) * 60;
}
