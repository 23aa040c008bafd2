/**
 * What numeric gives when it is computed with: values, and the digits that are shown behind the point, are those of Postgres
 * (src/backend/utils/adt/numeric.c, named beside each).
 */
import {
  absolute,
  type Decimal,
  DIGITS_BEFORE_MAX,
  decimal,
  digitsBefore,
  NAN,
  SCALE_MAX,
  special,
  tenTo,
} from './decimal.js';

/** select_div_scale: quotients have as many digits that count, and never more behind the point than this. */
const QUOTIENT_DIGITS_MIN = 16;
const QUOTIENT_SCALE_MAX = 1000;
/** Of one digit of numeric, which are of base 10,000. */
const GROUP_DIGITS = 4;
/** The logarithm of 16, rounded up. */
const DIGITS_PER_HEX = 1.2042;

/** Why there is no result; `too many digits`: Postgres has one. */
export type MathProblem = 'division by zero' | 'value overflows numeric format' | 'too many digits';

export class MathError extends Error {
  readonly problem: MathProblem;

  constructor(problem: MathProblem) {
    super(problem);
    this.problem = problem;
  }
}

/** -1, 0, 1. NaN is the greatest and equal to itself: cmp_numerics. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  const [one, other] = [rankOf(a), rankOf(b)];
  if (one !== other || one !== 0) return Math.sign(one - other);
  const scale = Math.max(a.scale, b.scale);
  const [left, right] = [digitsAt(a, scale), digitsAt(b, scale)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function rankOf({ special: which }: Decimal): number {
  if (which === null) return 0;
  return which === 'nan' ? 2 : which === 'infinity' ? 1 : -1;
}

/** -1, 0, 1; of NaN 0. */
export function signOf({ digits, special: which }: Decimal): number {
  if (which !== null) return which === 'infinity' ? 1 : which === 'nan' ? 0 : -1;
  return digits < 0n ? -1 : digits > 0n ? 1 : 0;
}

const digitsAt = ({ digits, scale }: Decimal, wanted: number): bigint => digits * tenTo(wanted - scale);
const infinity = (sign: number): Decimal => special(sign < 0 ? 'minusInfinity' : 'infinity');

function fitting(value: Decimal): Decimal {
  // Decimal digits of a hundred thousand take a hundred times as long to tell as those of base 16, which are fewer.
  const isNear = value.digits.toString(16).length * DIGITS_PER_HEX - value.scale > DIGITS_BEFORE_MAX;
  if (isNear && digitsBefore(value) > DIGITS_BEFORE_MAX)
    throw new MathError('value overflows numeric format');
  return value;
}

/** numeric_add */
export function add(a: Decimal, b: Decimal): Decimal {
  if (a.special !== null || b.special !== null) {
    if (a.special === 'nan' || b.special === 'nan') return NAN;
    if (a.special !== null && b.special !== null && a.special !== b.special) return NAN;
    return a.special === null ? b : a;
  }
  const scale = Math.max(a.scale, b.scale);
  return fitting(decimal(digitsAt(a, scale) + digitsAt(b, scale), scale));
}

export function negate(value: Decimal): Decimal {
  if (value.special === null) return decimal(-value.digits, value.scale);
  return value.special === 'nan' ? value : infinity(-signOf(value));
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  return add(a, negate(b));
}

/** numeric_mul */
export function multiply(a: Decimal, b: Decimal): Decimal {
  if (a.special !== null || b.special !== null) {
    const sign = signOf(a) * signOf(b);
    return sign === 0 ? NAN : infinity(sign);
  }
  const product = decimal(a.digits * b.digits, a.scale + b.scale);
  return fitting(product.scale > SCALE_MAX ? roundTo(product, SCALE_MAX) : product);
}

/** numeric_div */
export function divide(a: Decimal, b: Decimal): Decimal {
  if (a.special === 'nan' || b.special === 'nan') return NAN;
  if (a.special !== null) {
    if (b.special !== null) return NAN;
    if (b.digits === 0n) throw new MathError('division by zero');
    return infinity(signOf(a) * signOf(b));
  }
  if (b.special !== null) return decimal(0n);
  if (b.digits === 0n) throw new MathError('division by zero');
  return fitting(quotientOf(a, b));
}

/** Of finite ones, larger than numeric can be included. */
function quotientOf(a: Decimal, b: Decimal): Decimal {
  const scale = quotientScale(a, b);
  // Below zero where a has more digits behind the point than quotients are shown with.
  const exponent = scale + b.scale - a.scale;
  const [above, below] =
    exponent < 0 ? [a.digits, b.digits * tenTo(-exponent)] : [a.digits * tenTo(exponent), b.digits];
  return decimal(quotient(above, below), scale);
}

/** select_div_scale: how many digits are shown behind the point of a quotient. */
function quotientScale(a: Decimal, b: Decimal): number {
  const [one, other] = [firstGroup(a), firstGroup(b)];
  let weight = one.weight - other.weight;
  if (one.group <= other.group) weight--;
  const scale = Math.max(QUOTIENT_DIGITS_MIN - weight * GROUP_DIGITS, a.scale, b.scale, 0);
  return Math.min(scale, QUOTIENT_SCALE_MAX);
}

/** The first digit of base 10,000 that is not zero, and to which power it is raised. */
function firstGroup({ digits, scale }: Decimal): { weight: number; group: number } {
  if (digits === 0n) return { weight: 0, group: 0 };
  const text = absolute(digits).toString();
  const exponent = text.length - scale - 1;
  const weight = Math.floor(exponent / GROUP_DIGITS);
  const size = exponent - weight * GROUP_DIGITS + 1;
  return { weight, group: Number(text.slice(0, size).padEnd(size, '0')) };
}

/** Rounded, halves away from zero. */
function quotient(a: bigint, b: bigint): bigint {
  const [one, other] = [absolute(a), absolute(b)];
  const rounded = (2n * one + other) / (2n * other);
  return a < 0n === b < 0n ? rounded : -rounded;
}

/** numeric_mod: what is left has the sign of the first. */
export function remainder(a: Decimal, b: Decimal): Decimal {
  if (a.special === 'nan' || b.special === 'nan') return NAN;
  if (b.special === null && b.digits === 0n) throw new MathError('division by zero');
  if (a.special !== null) return NAN;
  if (b.special !== null) return a;
  const scale = Math.max(a.scale, b.scale);
  return decimal(digitsAt(a, scale) % digitsAt(b, scale), scale);
}

/** round_var: exactly so many digits behind the point, halves away from zero. */
export function roundTo(value: Decimal, scale: number): Decimal {
  if (value.special !== null) return value;
  if (scale >= value.scale) return decimal(digitsAt(value, scale), scale);
  return decimal(quotient(value.digits, tenTo(value.scale - scale)), scale);
}

/** numeric_stddev_internal: of how many values, their sum, and the sum of their squares. null: of too few. */
export function deviation(
  count: bigint,
  sum: Decimal,
  squares: Decimal,
  isSample: boolean,
  isVariance: boolean,
): Decimal | null {
  if (count === 0n || (isSample && count === 1n)) return null;
  if (sum.special !== null || squares.special !== null) return NAN;
  // Squares of more digits are rounded where they are a value of their own; Postgres adds them up as they are.
  if (2 * sum.scale > SCALE_MAX) throw new MathError('too many digits');
  const scale = Math.max(squares.scale, 2 * sum.scale);
  const squared = decimal(sum.digits * sum.digits, 2 * sum.scale);
  const above = decimal(count * digitsAt(squares, scale) - digitsAt(squared, scale), scale);
  if (above.digits <= 0n) return decimal(0n);
  const below = decimal(count * (isSample ? count - 1n : count));
  const variance = quotientOf(above, below);
  return fitting(isVariance ? variance : squareRoot(variance, variance.scale));
}

/** sqrt_var, of what is not negative: rounded to so many digits behind the point. */
function squareRoot({ digits, scale }: Decimal, wanted: number): Decimal {
  // One digit more, by which it is rounded: the root of what is whole is never just a half.
  const exponent = 2 * (wanted + 1) - scale;
  const whole = exponent < 0 ? digits / tenTo(-exponent) : digits * tenTo(exponent);
  return decimal(quotient(rootOf(whole), 10n), wanted);
}

/** The largest whole number whose square is not above: by Newton's steps, from above. */
function rootOf(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
