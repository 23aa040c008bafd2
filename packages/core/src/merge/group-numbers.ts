/** Numbers over groups, as Postgres computes and converts them. */
import { PgDogError } from '../base/errors.js';
import type { CastTarget, GroupOperator } from '../shard/group-expression.js';
import { absolute, type Decimal, decimal, digitsBefore } from './decimal.js';
import * as math from './decimal-math.js';
import { commonType, type GroupProgram, NoProgram, nameOf, widened } from './group-terms.js';
import { checkInteger, isInteger, isNumber, toDecimal, type ValueType } from './group-value.js';

const ROUND_SCALE_MAX = 1000;

function numbers(args: readonly GroupProgram[]): ValueType {
  const type = commonType(args);
  if (type !== 'null' && !isNumber(type)) throw new NoProgram(`${nameOf(type)} is computed with`);
  return type;
}

const DECIMAL_OPERATORS = {
  '+': math.add,
  '-': math.subtract,
  '*': math.multiply,
  '/': math.divide,
  '%': math.remainder,
} as const;
const INTEGER_OPERATORS = {
  '+': (a: bigint, b: bigint) => a + b,
  '-': (a: bigint, b: bigint) => a - b,
  '*': (a: bigint, b: bigint) => a * b,
  '/': (a: bigint, b: bigint) => a / b,
  '%': (a: bigint, b: bigint) => a % b,
} as const;

export function arithmetic(
  operator: keyof typeof INTEGER_OPERATORS,
  one: GroupProgram,
  other: GroupProgram,
): GroupProgram {
  const type = numbers([one, other]);
  const [left, right] = [widened(one, type), widened(other, type)];
  const isDivision = operator === '/' || operator === '%';
  return {
    type,
    run: (row) => {
      const [a, b] = [left(row), right(row)];
      if (a === null || b === null) return null;
      if (type === 'numeric') return computed(() => DECIMAL_OPERATORS[operator](a as Decimal, b as Decimal));
      if (isDivision && b === 0n) throw new PgDogError('merge_division');
      return checkInteger(type, INTEGER_OPERATORS[operator](a as bigint, b as bigint));
    },
  };
}

/** Postgres takes 147,455. Of so many, what a text of 2,500 words may do with each group would take seconds. */
const DIGITS_MAX = 5000;
const HEX_PER_DIGIT = 0.831;
const DIGITS_PER_STEP = 250;

/** What long numbers have cost since it was set back, in steps of a row each. */
export const effort = { steps: 0 };

/** It is short enough to be computed with. */
export function hasLength({ digits, scale }: Decimal): boolean {
  const count = digits.toString(16).length / HEX_PER_DIGIT;
  effort.steps += Math.floor(count / DIGITS_PER_STEP);
  return count <= DIGITS_MAX && scale <= DIGITS_MAX;
}

export function checkLength(value: Decimal): Decimal {
  if (hasLength(value)) return value;
  throw new PgDogError(
    'cross_shard',
    `groups of several shards are computed with ${DIGITS_MAX} digits at most`,
  );
}

function computed<T extends Decimal | null>(compute: () => T): T {
  try {
    const value = compute();
    if (value !== null) checkLength(value);
    return value;
  } catch (error) {
    if (!(error instanceof math.MathError)) throw error;
    if (error.problem === 'division by zero') throw new PgDogError('merge_division');
    if (error.problem === 'too many digits') {
      throw new PgDogError('cross_shard', 'groups of several shards have too many digits behind the point');
    }
    throw new PgDogError('merge_overflow', error.problem);
  }
}

function changed(program: GroupProgram, change: (value: bigint | Decimal) => bigint | Decimal): GroupProgram {
  const type = numbers([program]);
  return {
    type,
    run: (row) => {
      const value = program.run(row);
      if (value === null) return null;
      const made = change(value as bigint | Decimal);
      return typeof made === 'bigint' ? checkInteger(type, made) : made;
    },
  };
}

export function rounding(program: GroupProgram, to: GroupProgram | undefined): GroupProgram {
  const type = numbers([program]);
  // Of whole numbers alone Postgres makes a float.
  if (to === undefined && type !== 'numeric') throw new NoProgram(`round() of ${nameOf(type)}`);
  if (to !== undefined && !isInteger(to.type)) throw new NoProgram(`round() to ${nameOf(to.type)}`);
  const number = widened(program, 'numeric');
  return {
    type: 'numeric',
    run: (row) => {
      const value = number(row);
      const scale = to === undefined ? 0n : to.run(row);
      if (value === null || scale === null) return null;
      if (absolute(scale as bigint) > ROUND_SCALE_MAX) {
        throw new PgDogError(
          'cross_shard',
          `groups of several shards are rounded to ${ROUND_SCALE_MAX} digits at most`,
        );
      }
      return roundAt(value as Decimal, Number(scale));
    },
  };
}

/** To a power of ten when `scale` is negative. */
function roundAt(value: Decimal, scale: number): Decimal {
  if (scale >= 0 || value.special !== null) return math.roundTo(value, Math.max(0, scale));
  const shifted = math.roundTo({ ...value, scale: value.scale - scale }, 0);
  return computed(() => math.multiply(shifted, decimal(10n ** BigInt(-scale))));
}

export function average(sum: GroupProgram, count: GroupProgram): GroupProgram {
  requireExact(sum, 'avg');
  return {
    type: 'numeric',
    run: (row) => {
      const [total, many] = [sum.run(row), count.run(row)];
      if (total === null) return null;
      return computed(() => math.divide(toDecimal(total as bigint | Decimal), decimal(many as bigint)));
    },
  };
}

export function deviation(
  operator: GroupOperator,
  [count, sum, squares]: readonly GroupProgram[],
): GroupProgram {
  requireExact(sum, operator);
  return {
    type: 'numeric',
    run: (row) => {
      const [many, total, squared] = [count.run(row), sum.run(row), squares.run(row)];
      if (total === null || squared === null) return null;
      const isSample = operator.endsWith('samp');
      const isVariance = operator.startsWith('var');
      return computed(() =>
        math.deviation(
          many as bigint,
          toDecimal(total as bigint | Decimal),
          squared as Decimal,
          isSample,
          isVariance,
        ),
      );
    },
  };
}

function requireExact({ type }: GroupProgram, operator: string): void {
  if (isNumber(type)) return;
  throw new NoProgram(
    `${operator}() of values whose sum is ${nameOf(type)} depends on the order in which they come`,
  );
}

export function castTo({ type, modifier }: CastTarget, arg: GroupProgram): GroupProgram {
  const isFit = arg.type === 'null' || arg.type === type || (isNumber(arg.type) && isNumber(type));
  if (!isFit) throw new NoProgram(`a cast of ${nameOf(arg.type)} to ${type}`);
  return {
    type,
    run: (row) => {
      const value = arg.run(row);
      if (value === null || typeof value === 'boolean') return value;
      const number = value as bigint | Decimal;
      if (type !== 'numeric')
        return checkInteger(type, typeof number === 'bigint' ? number : whole(number, type));
      return modifier === null ? toDecimal(number) : fitted(toDecimal(number), modifier);
    },
  };
}

function whole(value: Decimal, type: ValueType): bigint {
  if (value.special === null) return math.roundTo(value, 0).digits;
  const name = { int2: 'smallint', int4: 'integer', int8: 'bigint' }[type as string];
  throw new PgDogError(
    'cross_shard',
    `cannot convert ${value.special === 'nan' ? 'NaN' : 'infinity'} to ${name}`,
    {
      hint: '',
    },
  );
}

/** numeric(precision, scale) */
function fitted(value: Decimal, { precision, scale }: NonNullable<CastTarget['modifier']>): Decimal {
  if (value.special === 'nan') return value;
  const rounded = math.roundTo(value, scale);
  if (rounded.special === null && digitsBefore(rounded) <= precision - scale) return rounded;
  const field = `A field with precision ${precision}, scale ${scale}`;
  const limit = precision === scale ? '1' : `10^${precision - scale}`;
  const detail =
    rounded.special === null
      ? `${field} must round to an absolute value less than ${limit}.`
      : `${field} cannot hold an infinite value.`;
  throw new PgDogError('merge_overflow', 'numeric field overflow', { detail });
}

export function negated(program: GroupProgram): GroupProgram {
  return changed(program, (value) => (typeof value === 'bigint' ? -value : math.negate(value)));
}

export function absoluteOf(program: GroupProgram): GroupProgram {
  return changed(program, (value) =>
    typeof value === 'bigint' ? absolute(value) : math.signOf(value) < 0 ? math.negate(value) : value,
  );
}
