// ● per-frame path
/**
 * date, timestamp and timestamptz in text, as DateStyle ISO writes them. Other styles are not read: 01-02-2003 has two
 * meanings, and a zone's abbreviation may stand for two offsets.
 */
import { INCOMPARABLE, type ValueOrder } from './byte-order.js';

const DASH = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const SPACE = 0x20;
const ZERO = 0x30;
const DAY_US = 86_400_000_000;

/** The moment read last: days since 0000-03-01, at UTC if it has a zone; -Infinity and Infinity for those two. */
export const moment = { days: 0, micros: 0 };

/** How the value is written: with a time, with an offset from UTC. */
export const MOMENT = { date: 0, timestamp: 1, timestamptz: 2 } as const;

const isDigit = (byte: number): boolean => byte >= ZERO && byte <= 0x39;

/** Where the next part begins; -1 when the text is not as it should be. */
let at = 0;

/** Two digits at `at`, or -1. */
function pair(bytes: Uint8Array, end: number): number {
  if (end - at < 2 || !isDigit(bytes[at]) || !isDigit(bytes[at + 1])) return -1;
  const value = (bytes[at] - ZERO) * 10 + bytes[at + 1] - ZERO;
  at += 2;
  return value;
}

/** `byte` and then two digits, or -1. */
function pairBehind(bytes: Uint8Array, end: number, byte: number): number {
  if (at >= end || bytes[at] !== byte) return -1;
  at++;
  return pair(bytes, end);
}

/** Days since 0000-03-01 of the proleptic Gregorian calendar: years that begin in March have the leap day last. */
function daysOf(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return (
    shifted * 365 +
    Math.floor(shifted / 4) -
    Math.floor(shifted / 100) +
    Math.floor(shifted / 400) +
    dayOfYear
  );
}

/** HH:MM:SS with up to six digits behind a point, at `at`: microseconds, or -1. */
function clockAt(bytes: Uint8Array, end: number): number {
  const hour = pair(bytes, end);
  const minute = pairBehind(bytes, end, COLON);
  const second = pairBehind(bytes, end, COLON);
  if (hour < 0 || hour > 24 || minute < 0 || minute > 59 || second < 0 || second > 60) return -1;
  let fraction = 0;
  if (at < end && bytes[at] === 0x2e) {
    at++;
    const first = at;
    for (let unit = 100_000; at < end && isDigit(bytes[at]); at++, unit /= 10) {
      if (at - first === 6) return -1;
      fraction += (bytes[at] - ZERO) * unit;
    }
    if (at === first) return -1;
  }
  return (hour * 3600 + minute * 60 + second) * 1_000_000 + fraction;
}

/** +HH, +HH:MM or +HH:MM:SS at `at`: microseconds east of UTC, or NaN. */
function offsetAt(bytes: Uint8Array, end: number): number {
  if (at >= end || (bytes[at] !== PLUS && bytes[at] !== DASH)) return Number.NaN;
  const sign = bytes[at] === DASH ? -1 : 1;
  at++;
  const hour = pair(bytes, end);
  const minute = at < end && bytes[at] === COLON ? pairBehind(bytes, end, COLON) : 0;
  const second = at < end && bytes[at] === COLON ? pairBehind(bytes, end, COLON) : 0;
  if (hour < 0 || minute < 0 || second < 0) return Number.NaN;
  return sign * (hour * 3600 + minute * 60 + second) * 1_000_000;
}

function isInfinity(bytes: Uint8Array, start: number, end: number): boolean {
  const word = 'infinity';
  if (end - start !== word.length) return false;
  for (let index = 0; index < word.length; index++) {
    if (bytes[start + index] !== word.charCodeAt(index)) return false;
  }
  return true;
}

/** The year of at least four digits at `at`, or -1. */
function yearAt(bytes: Uint8Array, end: number): number {
  const first = at;
  let year = 0;
  for (; at < end && isDigit(bytes[at]); at++) {
    if (at - first === 7) return -1;
    year = year * 10 + bytes[at] - ZERO;
  }
  return at - first < 4 ? -1 : year;
}

/** Leaves bytes[start, end) in `moment`. @param form of MOMENT. false: not ISO, or no moment at all */
export function readMoment(bytes: Uint8Array, start: number, end: number, form: number): boolean {
  at = start;
  moment.micros = 0;
  if (start < end && (bytes[start] === 0x69 || bytes[start] === DASH)) {
    const isMinus = bytes[start] === DASH;
    moment.days = isMinus ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    return isInfinity(bytes, isMinus ? start + 1 : start, end);
  }
  let year = yearAt(bytes, end);
  const month = pairBehind(bytes, end, DASH);
  const day = pairBehind(bytes, end, DASH);
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > 31) return false;
  let micros = 0;
  if (form !== MOMENT.date) {
    if (at >= end || bytes[at] !== SPACE) return false;
    at++;
    micros = clockAt(bytes, end);
    if (micros < 0) return false;
  }
  if (form === MOMENT.timestamptz) {
    micros -= offsetAt(bytes, end);
    if (Number.isNaN(micros)) return false;
  }
  if (at !== end) {
    const isBeforeChrist =
      end - at === 3 && bytes[at] === SPACE && bytes[at + 1] === 0x42 && bytes[at + 2] === 0x43;
    if (!isBeforeChrist) return false;
    // 1 BC is followed by 1 AD.
    year = 1 - year;
  }
  const shift = Math.floor(micros / DAY_US);
  moment.days = daysOf(year, month, day) + shift;
  moment.micros = micros - shift * DAY_US;
  return true;
}

function compareMoments(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
  form: number,
): number {
  if (!readMoment(a, aStart, aEnd, form)) return INCOMPARABLE;
  const { days, micros } = moment;
  if (!readMoment(b, bStart, bEnd, form)) return INCOMPARABLE;
  if (days !== moment.days) return days < moment.days ? -1 : 1;
  if (micros !== moment.micros) return micros < moment.micros ? -1 : 1;
  return 0;
}

export const compareDateText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  compareMoments(a, aStart, aEnd, b, bStart, bEnd, MOMENT.date);
export const compareTimestampText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  compareMoments(a, aStart, aEnd, b, bStart, bEnd, MOMENT.timestamp);
export const compareTimestamptzText: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) =>
  compareMoments(a, aStart, aEnd, b, bStart, bEnd, MOMENT.timestamptz);
