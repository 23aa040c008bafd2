/** Expressions over groups, made ready to be computed row by row: types are settled once, as Postgres settles them. */
import { PgDogError } from '../base/errors.js';
import type { GroupExpression, GroupOperator } from '../shard/group-expression.js';
import { INCOMPARABLE } from './byte-order.js';
import { type Decimal, decimalOf } from './decimal.js';
import { compareDecimals } from './decimal-math.js';
import {
  absoluteOf,
  arithmetic,
  average,
  castTo,
  checkLength,
  deviation,
  hasLength,
  negated,
  rounding,
} from './group-numbers.js';
import {
  commonType,
  type GroupProgram,
  type GroupRow,
  MalformedGroup,
  NoProgram,
  nameOf,
  widened,
} from './group-terms.js';
import { type GroupValue, type RawValue, readGroupValue, type ValueType } from './group-value.js';
import { orderOf } from './value-order.js';
import { typeName, VALUE_FORMAT } from './value-types.js';

/** @param types of the columns of partial results */
export function compileGroup(expression: GroupExpression, types: readonly ValueType[]): GroupProgram {
  switch (expression.kind) {
    case 'column':
      return readColumn(expression.column, types[expression.column]);
    case 'constant':
      return readConstant(expression.type, expression.text);
    case 'cast': {
      const arg = compileGroup(expression.arg, types);
      return folded(castTo(expression.to, arg), [arg]);
    }
    case 'call': {
      const args = expression.args.map((arg) => compileGroup(arg, types));
      return folded(compileCall(expression.operator, args), args);
    }
  }
}

const NO_ROW: GroupRow = { bytes: new Uint8Array(0), places: new Int32Array(0) };

/** What is computed of constants alone Postgres computes once, and fails of it although no row should ever come there. */
function folded(program: GroupProgram, args: readonly GroupProgram[]): GroupProgram {
  if (!args.every(({ isConstant }) => isConstant === true)) return program;
  try {
    const value = program.run(NO_ROW);
    return { type: program.type, isConstant: true, run: () => value };
  } catch (error) {
    const why = error instanceof PgDogError ? error.message : 'not known';
    throw new NoProgram(`constants of which nothing can be made: ${why}`);
  }
}

function readColumn(column: number, type: ValueType): GroupProgram {
  return {
    type,
    run: ({ bytes, places }) => {
      const start = places[2 * column];
      const size = places[2 * column + 1];
      if (size < 0) return null;
      const value = readGroupValue(type, bytes, start, start + size);
      if (value === undefined) throw new MalformedGroup();
      return type === 'numeric' ? checkLength(value as Decimal) : value;
    },
  };
}

function readConstant(type: ValueType, text: string): GroupProgram {
  const value: GroupValue =
    type === 'null'
      ? null
      : type === 'bool'
        ? text === 't'
        : type === 'numeric'
          ? decimalOf(text)
          : BigInt(text);
  const isLong = value === null ? type !== 'null' : type === 'numeric' && !hasLength(value as Decimal);
  if (isLong) throw new NoProgram('a number that is too long');
  return { type, isConstant: true, run: () => value };
}

function compileCall(operator: GroupOperator, args: readonly GroupProgram[]): GroupProgram {
  const [first, second] = args;
  switch (operator) {
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return arithmetic(operator, first, second);
    case '=':
    case '<>':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return comparison(operator, first, second);
    case 'same':
      return sameness(first, second);
    case 'negate':
      return negated(first);
    case 'abs':
      return absoluteOf(first);
    case 'round':
      return rounding(first, second);
    case 'and':
    case 'or':
      return connection(operator === 'or', args);
    case 'not':
      return truth(first, (value) => (value === null ? null : !value));
    case 'isNull':
      return { type: 'bool', run: (row) => first.run(row) === null };
    case 'isTrue':
      return truth(first, (value) => value === true);
    case 'isFalse':
      return truth(first, (value) => value === false);
    case 'coalesce':
      return coalesce(args);
    case 'greatest':
    case 'least':
      return extreme(operator === 'greatest', args);
    case 'nullif':
      return nullIf(first, second);
    case 'case':
      return cases(args);
    case 'avg':
      return average(first, second);
    default:
      return deviation(operator, args);
  }
}

/** Of two values of one type, that are not NULL. */
function comparator(type: ValueType): (a: GroupValue, b: GroupValue) => number {
  if (type === 'numeric') return (a, b) => compareDecimals(a as Decimal, b as Decimal);
  if (typeof type !== 'number') return (a, b) => (a! < b! ? -1 : a! > b! ? 1 : 0);
  const order = orderOf(type, VALUE_FORMAT.binary);
  if (order === null) throw new NoProgram(`${typeName(type)} is compared`);
  return (a, b) => {
    const [one, other] = [a as RawValue, b as RawValue];
    const compared = order(one.bytes, one.start, one.end, other.bytes, other.start, other.end);
    if (compared === INCOMPARABLE) throw new MalformedGroup();
    return compared;
  };
}

const COMPARISONS = {
  '=': (compared: number) => compared === 0,
  '<>': (compared: number) => compared !== 0,
  '<': (compared: number) => compared < 0,
  '<=': (compared: number) => compared <= 0,
  '>': (compared: number) => compared > 0,
  '>=': (compared: number) => compared >= 0,
} as const;

function comparison(
  operator: keyof typeof COMPARISONS,
  one: GroupProgram,
  other: GroupProgram,
): GroupProgram {
  const type = commonType([one, other]);
  const [left, right, compare] = [widened(one, type), widened(other, type), comparator(type)];
  const is = COMPARISONS[operator];
  return {
    type: 'bool',
    run: (row) => {
      const [a, b] = [left(row), right(row)];
      return a === null || b === null ? null : is(compare(a, b));
    },
  };
}

function sameness(one: GroupProgram, other: GroupProgram): GroupProgram {
  const type = commonType([one, other]);
  const [left, right, compare] = [widened(one, type), widened(other, type), comparator(type)];
  return {
    type: 'bool',
    run: (row) => {
      const [a, b] = [left(row), right(row)];
      return a === null || b === null ? a === b : compare(a, b) === 0;
    },
  };
}

function requireBool({ type }: GroupProgram): void {
  if (type !== 'bool' && type !== 'null') throw new NoProgram(`${nameOf(type)} as a condition`);
}

function truth(program: GroupProgram, of: (value: boolean | null) => boolean | null): GroupProgram {
  requireBool(program);
  return { type: 'bool', run: (row) => of(program.run(row) as boolean | null) };
}

/** AND ends with the first false, OR with the first true; else NULL when there is one. */
function connection(decisive: boolean, args: readonly GroupProgram[]): GroupProgram {
  for (const arg of args) requireBool(arg);
  return {
    type: 'bool',
    run: (row) => {
      let result: boolean | null = !decisive;
      for (const arg of args) {
        const value = arg.run(row);
        if (value === decisive) return decisive;
        if (value === null) result = null;
      }
      return result;
    },
  };
}

function coalesce(args: readonly GroupProgram[]): GroupProgram {
  const type = commonType(args);
  const runs = args.map((arg) => widened(arg, type));
  return {
    type,
    run: (row) => {
      for (const run of runs) {
        const value = run(row);
        if (value !== null) return value;
      }
      return null;
    },
  };
}

function extreme(isGreatest: boolean, args: readonly GroupProgram[]): GroupProgram {
  const type = commonType(args);
  const runs = args.map((arg) => widened(arg, type));
  const compare = comparator(type);
  return {
    type,
    run: (row) => {
      let best: GroupValue = null;
      for (const run of runs) {
        const value = run(row);
        if (value === null) continue;
        if (best === null || (isGreatest ? compare(value, best) > 0 : compare(value, best) < 0)) best = value;
      }
      return best;
    },
  };
}

/** The first, as it is compared, unless they are equal. */
function nullIf(one: GroupProgram, other: GroupProgram): GroupProgram {
  const common = commonType([one, other]);
  const [left, right, compare] = [widened(one, common), widened(other, common), comparator(common)];
  return {
    type: common === 'numeric' ? common : one.type,
    run: (row) => {
      const [a, b] = [left(row), right(row)];
      return a !== null && b !== null && compare(a, b) === 0 ? null : a;
    },
  };
}

function cases(args: readonly GroupProgram[]): GroupProgram {
  const conditions = args.filter((_, i) => i % 2 === 0 && i < args.length - 1);
  const results = args.filter((_, i) => i % 2 === 1 || i === args.length - 1);
  for (const condition of conditions) requireBool(condition);
  const type = commonType(results);
  const runs = results.map((result) => widened(result, type));
  return {
    type,
    run: (row) => {
      const found = conditions.findIndex((condition) => condition.run(row) === true);
      return runs[found < 0 ? runs.length - 1 : found](row);
    },
  };
}
