/**
 * What is computed of partial results over groups is what Postgres computes: quotients, products, roots and deviations of
 * numeric, with the digits that it shows. SEED repeats a run; PGDOG_LONG_VALUES asks for that many values instead of some
 * thousands.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  add,
  compareDecimals,
  type Decimal,
  decimalOf,
  decimalText,
  deviation,
  divide,
  FrameWriter,
  MathError,
  multiply,
  readDecimal,
  remainder,
  roundTo,
  SeededRandom,
  subtract,
  VALUE_FORMAT,
  writeDecimal,
} from '@pgdog-cluster/core';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';

const COUNT = Number(process.env.PGDOG_LONG_VALUES ?? 4000);
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const random = new SeededRandom(seed);

const below = (count: number): number => random.below(count);
const pick = <T>(...values: T[]): T => values[below(values.length)];
const digits = (count: number): string => Array.from({ length: count }, () => below(10)).join('');
const sign = (): string => pick('', '-');
const number = (): string =>
  pick<() => string>(
    () =>
      pick('0', '0.00', '1', '1.0', '-1', '10000', '9999', '0.0001', '9999.9999', '99999999', '-0.5', '2.5'),
    () => `${sign()}${below(100)}.${digits(1 + below(3))}`,
    () => `${sign()}${1 + below(1000)}`,
    () => `${sign()}${1 + below(9)}${'0'.repeat(below(30))}`,
    () => `${sign()}0.${'0'.repeat(below(20))}${1 + below(9)}`,
    () => `${sign()}${digits(1 + below(40))}.${digits(1 + below(30))}`,
    () => String(random.below(2 ** 31) - 2 ** 30),
  )();
const odd = (): string => (below(12) === 0 ? pick('NaN', 'Infinity', '-Infinity') : number());

function read(text: string): Decimal {
  const value = decimalOf(text);
  assert.ok(value !== null, text);
  return value;
}

function textOf(compute: () => Decimal): string {
  try {
    return decimalText(compute());
  } catch (error) {
    if (error instanceof MathError) return error.problem;
    throw error;
  }
}

describe(`numeric as Postgres computes it (SEED=${seed})`, () => {
  let postgres: TestPostgres;
  before(async () => {
    postgres = await startPostgres({});
  });
  after(() => postgres.stop());

  it(`sums, products, quotients, remainders of ${COUNT} pairs`, () =>
    judgePairs(Array.from({ length: COUNT }, () => [odd(), odd()])));

  it('the same of values with as many digits behind the point as there can be', async () => {
    const scales = [600, 1000, 1001, 1100, 16_000];
    const longs = scales.flatMap((scale) => [
      `${sign()}${1 + below(9999)}.${digits(scale)}`,
      `0.${'0'.repeat(scale - 1)}${1 + below(9)}`,
      `${sign()}0.${'0'.repeat(990 % scale)}${digits(scale - (990 % scale) - 1)}5`,
    ]);
    const others = [
      '7',
      '-3',
      '20000',
      '1e-1000',
      '123456789e30',
      'NaN',
      '0',
      pick(...longs),
      pick(...longs),
    ];
    const pairs = longs.flatMap((a) => others.map((b) => [a, b]));
    await judgePairs([...pairs, ...pairs.map(([a, b]) => [b, a])]);
  });

  async function judgePairs(pairs: string[][]): Promise<void> {
    const rows = await postgres.query(
      `SELECT a::text, b::text, (a + b)::text AS sum, (a - b)::text AS difference, (a * b)::text AS product,
         CASE WHEN b = 0 AND a <> 'NaN' THEN 'division by zero' ELSE (a / b)::text END AS quotient,
         CASE WHEN b = 0 AND a <> 'NaN' THEN 'division by zero' ELSE (a % b)::text END AS remainder,
         round(a, 3)::text AS rounded, round(b)::text AS whole, (a > b)::int - (a < b)::int AS compared
       FROM unnest($1::numeric[], $2::numeric[]) u (a, b)`,
      [pairs.map(([a]) => a), pairs.map(([, b]) => b)],
    );
    assert.equal(rows.length, pairs.length);
    for (const row of rows) {
      const [a, b] = [read(row.a as string), read(row.b as string)];
      const ours = {
        a: decimalText(a),
        b: decimalText(b),
        sum: textOf(() => add(a, b)),
        difference: textOf(() => subtract(a, b)),
        product: textOf(() => multiply(a, b)),
        quotient: textOf(() => divide(a, b)),
        remainder: textOf(() => remainder(a, b)),
        rounded: textOf(() => roundTo(a, 3)),
        whole: textOf(() => roundTo(b, 0)),
        compared: compareDecimals(a, b),
      };
      assert.deepEqual(ours, row);
    }
  }

  it('averages and deviations of groups, from their counts, sums and squares', async () => {
    const values = Array.from({ length: COUNT }, (_, at) => [
      at >> below(5),
      at % 7 === 0 ? odd() : number(),
    ]);
    const rows = await judgeGroups(values);
    assert.ok(rows > 100);
  });

  it('averages and deviations of values with many digits behind the point', async () => {
    const long = (): string => `${sign()}${digits(1 + below(5))}.${digits(below(pick(1200, 8191)))}1`;
    await judgeGroups(Array.from({ length: 60 }, (_, at) => [at >> 1, long()]));
    await judgeGroups(Array.from({ length: 4 }, (_, at) => [0, `${at + 1}e-8191`]));
  });

  async function judgeGroups(values: (string | number)[][]): Promise<number> {
    const rows = await postgres.query(
      `SELECT count(v)::text, sum(v)::text, sum(v * v)::text AS squares, avg(v)::text,
         var_samp(v)::text, var_pop(v)::text, stddev_samp(v)::text, stddev_pop(v)::text
       FROM unnest($1::int[], $2::numeric[]) u (g, v) GROUP BY g`,
      [values.map(([g]) => g), values.map(([, v]) => v)],
    );
    for (const row of rows) {
      const count = BigInt(row.count as string);
      const [sum, squares] = [read(row.sum as string), read(row.squares as string)];
      const of = (isSample: boolean, isVariance: boolean): string | null => {
        const value = deviation(count, sum, squares, isSample, isVariance);
        return value === null ? null : decimalText(value);
      };
      const ours = {
        count: row.count,
        sum: row.sum,
        squares: row.squares,
        avg: decimalText(divide(sum, read(row.count as string))),
        var_samp: of(true, true),
        var_pop: of(false, true),
        stddev_samp: of(true, false),
        stddev_pop: of(false, false),
      };
      assert.deepEqual(ours, row);
    }
    return rows.length;
  }

  it('more digits behind the point than their squares could have', () => {
    const value = read(`0.${'1'.repeat(8192)}`);
    assert.throws(() => deviation(2n, value, value, true, true), { problem: 'too many digits' });
  });

  it('values as they are sent, in text and in binary, there and back', async () => {
    const values = Array.from({ length: COUNT }, odd);
    const rows = await postgres.query(
      `SELECT v::text, encode(numeric_send(v), 'hex') AS sent FROM unnest($1::numeric[]) u (v)`,
      [values],
    );
    for (const { v, sent } of rows) {
      const bytes = Buffer.from(sent as string, 'hex');
      const value = readDecimal(bytes, 0, bytes.length, VALUE_FORMAT.binary);
      assert.ok(value !== null, `${v}`);
      assert.equal(decimalText(value), v);
      const writer = new FrameWriter();
      writeDecimal(writer, VALUE_FORMAT.binary, value);
      assert.equal(Buffer.from(writer.view().subarray(4)).toString('hex'), sent, `${v}`);
    }
  });
});
