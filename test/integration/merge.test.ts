/**
 * The rows of one table, asked for in three parts and merged, are what Postgres answers for all of it: order, aggregates and
 * distinct rows of every type that is merged here, in text and in binary. SEED repeats a run; PGDOG_LONG_VALUES asks for that
 * many rows instead of some hundreds.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  type AggregateKind,
  RowDistinct,
  RowFold,
  RowMerge,
  RowOrder,
  RowShape,
  SeededRandom,
  VALUE_TYPE,
} from '@pgdog-cluster/core';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { B, D, E, type Frame, P, S } from '../support/frames.js';
import { keysOf, made, type TypeName } from '../support/merge-rows.js';
import { RawClient } from '../support/raw-client.js';

const ROW_COUNT = Number(process.env.PGDOG_LONG_VALUES ?? 400);
const SHARDS = 3;
const LIMIT_BYTES = 1 << 28;
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const random = new SeededRandom(seed);

const below = (count: number): number => random.below(count);
const pick = <T>(...values: T[]): T => values[below(values.length)];
const digits = (count: number): string => Array.from({ length: count }, () => below(10)).join('');
const hex = (count: number): string => Array.from({ length: count }, () => below(16).toString(16)).join('');
const pad = (value: number, size: number): string => String(value).padStart(size, '0');

function integer(bits: number): string {
  const limit = 1n << BigInt(bits - 1);
  if (below(10) === 0) return String(pick(limit - 1n, -limit, 0n, -1n, 1n));
  const size = 1 + below(bits - 1);
  return String(BigInt.asIntN(size + 1, BigInt(`0x${hex(16)}`)));
}

const float = (): string =>
  pick<() => string>(
    () => pick('NaN', 'Infinity', '-Infinity', '0', '-0', '1', '-1', '1e-30', '-1e30', '0.1', '123456789012'),
    () => `${pick('', '-')}${digits(1 + below(3))}.${digits(below(16))}`,
    () => `${pick('', '-')}${1 + below(9)}.${digits(below(17))}e${below(60) - 30}`,
  )();
const numeric = (): string =>
  pick<() => string>(
    () =>
      pick(
        'NaN',
        'Infinity',
        '-Infinity',
        '0',
        '0.00',
        '1',
        '1.0',
        '1.000',
        '-1',
        '10000',
        '0.0001',
        '99999999',
      ),
    () => `${pick('', '-')}${below(100)}.${digits(1 + below(3))}`,
    () => `${pick('', '-')}${digits(1 + below(40))}.${digits(1 + below(30))}`,
    () =>
      `${pick('', '-')}${1 + below(9)}${'0'.repeat(below(20))}${pick('', `.${'0'.repeat(1 + below(9))}1`)}`,
  )();
const year = (): string => pad(pick(1, 44, 1582, 1970, 2000, 9999, 10_000, 1 + below(5000)), 4);
const dayOf = (yearText: string): string => `${yearText}-${pad(1 + below(12), 2)}-${pad(1 + below(28), 2)}`;
const day = (): string => dayOf(year());
/** Years before Christ are few to Postgres. */
const oldDay = (): string => dayOf(pad(pick(1, 44, 1 + below(4700)), 4));
const clock = (): string =>
  `${pad(below(24), 2)}:${pad(below(60), 2)}:${pad(below(60), 2)}${pick('', '', `.${digits(1 + below(6))}`)}`;
const word = (): string =>
  Array.from({ length: below(6) }, () => pick('a', 'b', 'A', ' ', '0', 'ß', '漢', '🐘', '-', '_')).join('');
const uuid = (): string => `${pick('0', 'f', hex(1))}${hex(7)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`;

interface TestedType {
  /** As in CREATE TABLE. */
  declared: string;
  value: () => string;
  /** min() and max() exist. */
  hasExtremes: boolean;
  /** Result of sum(), if it is one that adds up. */
  sum?: TypeName;
}

const TYPES: Partial<Record<TypeName, TestedType>> = {
  int2: { declared: 'int2', value: () => integer(16), hasExtremes: true, sum: 'int8' },
  int4: { declared: 'int4', value: () => integer(32), hasExtremes: true, sum: 'int8' },
  int8: { declared: 'int8', value: () => integer(64), hasExtremes: true, sum: 'numeric' },
  oid: {
    declared: 'oid',
    value: () => String(pick(below(100), below(2 ** 32), 2 ** 32 - 1)),
    hasExtremes: true,
  },
  float4: { declared: 'float4', value: float, hasExtremes: true },
  float8: { declared: 'float8', value: float, hasExtremes: true },
  numeric: { declared: 'numeric', value: numeric, hasExtremes: true, sum: 'numeric' },
  bool: { declared: 'bool', value: () => pick('t', 'f'), hasExtremes: false },
  date: {
    declared: 'date',
    value: () => pick('infinity', '-infinity', day(), `${oldDay()} BC`),
    hasExtremes: true,
  },
  time: { declared: 'time', value: () => pick('24:00:00', '00:00:00', clock(), clock()), hasExtremes: true },
  timestamp: {
    declared: 'timestamp',
    value: () => pick('infinity', '-infinity', `${day()} ${clock()}`, `${oldDay()} ${clock()} BC`),
    hasExtremes: true,
  },
  timestamptz: {
    declared: 'timestamptz',
    value: () =>
      pick(
        'infinity',
        '-infinity',
        `${day()} ${clock()}${pick('Z', '+05:30', '-08')}`,
        `1978-04-02 0${below(5)}:30:00${pick('+01', '+02')}`,
        `${oldDay()} ${clock()}+00 BC`,
      ),
    hasExtremes: true,
  },
  uuid: { declared: 'uuid', value: uuid, hasExtremes: false },
  bytea: {
    declared: 'bytea',
    value: () => `\\x${pick('', '00', 'ff', '0000')}${hex(2 * below(4))}`,
    hasExtremes: false,
  },
  char: {
    declared: '"char"',
    value: () => pick('', 'a', 'A', '\\200', '\\377', ' ', '0'),
    hasExtremes: false,
  },
  name: { declared: 'name', value: word, hasExtremes: false },
  text: { declared: 'text COLLATE "C"', value: word, hasExtremes: true },
  varchar: { declared: 'varchar(20) COLLATE "C"', value: word, hasExtremes: true },
  bpchar: { declared: 'char(8) COLLATE "C"', value: word, hasExtremes: true },
};

type Format = 0 | 1;

interface Answer {
  shape: RowShape;
  /** Bodies of the DataRows. */
  rows: Buffer[];
}

describe(`answers of three parts and Postgres's answer for all (seed ${seed})`, () => {
  let server: TestPostgres;
  let client: RawClient;

  before(async () => {
    server = await startPostgres();
    client = await RawClient.connect({ ...server, parameters: { TimeZone: 'Europe/Amsterdam' } });
    for (const [type, { declared, value }] of Object.entries(TYPES)) {
      await server.query(`CREATE TABLE of_${type} (id int4, few int4, key ${declared})`);
      const pool = Array.from({ length: Math.ceil(ROW_COUNT / 2) }, value);
      const values = Array.from({ length: ROW_COUNT }, () => (below(12) === 0 ? null : pick(...pool)));
      const few = values.map(() => (below(12) === 0 ? null : below(8)));
      const base = declared.split(' COLLATE')[0];
      await server.query(
        `INSERT INTO of_${type} SELECT n, f, v::${base} FROM unnest($1::text[], $2::int4[]) WITH ORDINALITY AS t (v, f, n)`,
        [values, few],
      );
    }
  });
  after(async () => {
    client.destroy();
    await server.stop();
  });

  async function ask(sql: string, format: Format): Promise<Answer> {
    client.send(P('', sql), B('', '', { resultFormats: [format] }), D('P', ''), E(''), S());
    const { frames, error } = await client.readUntilReady();
    assert.equal(error, null, `${sql}: ${JSON.stringify(error)}`);
    const description = frames.find(({ type }) => type === 'T')?.body ?? Buffer.alloc(0);
    const shape = RowShape.read(description, 0, description.length);
    assert.ok(shape !== null, sql);
    return { shape, rows: frames.filter(({ type }: Frame) => type === 'D').map(({ body }) => body) };
  }

  /** @param sql with $part where the condition belongs */
  async function askAll(sql: string, format: Format): Promise<{ whole: Answer; parts: Answer[] }> {
    const whole = await ask(sql.replace('$part', 'true'), format);
    const parts: Answer[] = [];
    for (let part = 0; part < SHARDS; part++) {
      parts.push(await ask(sql.replace('$part', `id % ${SHARDS} = ${part}`), format));
    }
    for (const { shape } of parts) assert.equal(shape.agree(whole.shape), null, sql);
    return { whole, parts };
  }

  const shown = (rows: Buffer[]): string[] => rows.map((row) => row.toString('latin1'));

  function mergedRows(order: RowOrder, parts: Answer[]): Buffer[] {
    const merge = new RowMerge(order, parts.length);
    const next = parts.map(() => 0);
    const step = (part: number): void => {
      const row = parts[part].rows[next[part]++];
      if (row === undefined) merge.ended(part);
      else assert.ok(merge.offer(part, row, 0, row.length), `row ${next[part]} of part ${part}`);
    };
    const rows: Buffer[] = [];
    for (let part = 0; part < parts.length; part++) step(part);
    for (let part = merge.next(); part >= 0; part = merge.next()) {
      rows.push(parts[part].rows[next[part] - 1]);
      step(part);
    }
    return rows;
  }

  function foldedRows(
    group: number[] | null,
    kinds: (AggregateKind | null)[],
    parts: Answer[],
    sort: string[],
  ): string[] {
    const { shape } = parts[0];
    const fold = made(RowFold.of(shape, group, kinds, LIMIT_BYTES));
    for (const { rows } of parts) {
      for (const row of rows) assert.ok(fold.add(row, 0, row.length), String(fold.failure));
    }
    const order = made(RowOrder.of(shape, keysOf(...sort)));
    assert.equal(fold.finishSome(order, Number.POSITIVE_INFINITY), 'done', String(fold.failure));
    return Array.from({ length: fold.rowCount }, (_, index) =>
      Buffer.from(fold.bytes.subarray(fold.rowStart(index) + 5, fold.rowEnd(index))).toString('latin1'),
    );
  }

  for (const [type, tested] of Object.entries(TYPES) as [TypeName, TestedType][]) {
    for (const [formatName, format] of [
      ['text', 0],
      ['binary', 1],
    ] as const) {
      it(`${type} in ${formatName}: order`, async () => {
        for (const key of ['', 'desc', 'nulls first', 'desc nulls last']) {
          // Equal keys by id, which makes the order of all rows one.
          const { whole, parts } = await askAll(
            `SELECT few, key, id FROM of_${type} WHERE $part ORDER BY key ${key}, few DESC, id`,
            format,
          );
          const order = made(RowOrder.of(whole.shape, keysOf(`2 ${key}`, '1 desc', '3')));
          assert.equal(whole.rows.length, ROW_COUNT);
          assert.deepEqual(shown(mergedRows(order, parts)), shown(whole.rows), `seed ${seed}, ${key}`);
        }
      });

      it(`${type} in ${formatName}: aggregates`, async () => {
        const columns: [string, AggregateKind][] = [
          ['count(key)', 'count'],
          ['bool_or(key IS NULL)', 'bool_or'],
          ['bool_and(few > 0)', 'bool_and'],
        ];
        if (tested.hasExtremes) columns.push(['min(key)', 'min'], ['max(key)', 'max']);
        if (tested.sum !== undefined) columns.push(['sum(key)', 'sum']);
        const list = columns.map(([sql]) => sql).join();
        const kinds = columns.map(([, kind]) => kind);
        const plain = await askAll(`SELECT ${list} FROM of_${type} WHERE $part`, format);
        if (tested.sum !== undefined) {
          assert.equal(plain.whole.shape.columns.at(-1)?.typeOid, VALUE_TYPE[tested.sum]);
        }
        // Equal extremes may be shown in several ways.
        const isOneForm = !['numeric', 'float4', 'float8'].includes(type);
        if (isOneForm) {
          assert.deepEqual(
            foldedRows(null, kinds, plain.parts, ['1']),
            shown(plain.whole.rows),
            `seed ${seed}`,
          );
        }
        const none = await askAll(`SELECT ${list} FROM of_${type} WHERE $part AND id < 0`, format);
        assert.deepEqual(foldedRows(null, kinds, none.parts, ['1']), shown(none.whole.rows), 'of no rows');
        const grouped = await askAll(
          `SELECT ${list}, few FROM of_${type} WHERE $part GROUP BY few ORDER BY few`,
          format,
        );
        const got = foldedRows([columns.length], [...kinds, null], grouped.parts, [`${columns.length + 1}`]);
        if (isOneForm) assert.deepEqual(got, shown(grouped.whole.rows), `seed ${seed}`);
        else assert.equal(got.length, grouped.whole.rows.length);
      });

      it(`${type} in ${formatName}: groups and distinct rows`, async () => {
        const { whole, parts } = await askAll(
          `SELECT key, count(*) FROM of_${type} WHERE $part GROUP BY key ORDER BY key`,
          format,
        );
        const folded = foldedRows([0], [null, 'count'], parts, ['1']);
        const isOneForm = !['numeric', 'float4', 'float8'].includes(type);
        const countOf = (row: string): string => row.slice(format === 0 ? row.length - 1 : -8);
        if (isOneForm) assert.deepEqual(folded, shown(whole.rows), `seed ${seed}`);
        else assert.deepEqual(folded.map(countOf), shown(whole.rows).map(countOf), `seed ${seed}`);
        assert.ok(whole.rows.length > 1 && whole.rows.length < ROW_COUNT);

        const all = await askAll(`SELECT key, few FROM of_${type} WHERE $part`, format);
        const distinct = made(RowDistinct.of(all.whole.shape, LIMIT_BYTES));
        const rows = all.parts.flatMap((part) => part.rows);
        const fresh = rows.filter((row) => distinct.take(row, 0, row.length) === 'new').length;
        const [{ count }] = await server.query<{ count: number }>(
          `SELECT count(*)::int4 FROM (SELECT DISTINCT key, few FROM of_${type}) AS t`,
        );
        assert.equal(fresh, count, `seed ${seed}`);
      });
    }
  }

  for (const format of [0, 1] as const) {
    it(`sums of numeric without specials, and equal extremes, in format ${format}`, async () => {
      const finite = "key NOT IN ('NaN', 'Infinity', '-Infinity')";
      const sums = await askAll(`SELECT sum(key) FROM of_numeric WHERE $part AND ${finite}`, format);
      assert.deepEqual(foldedRows(null, ['sum'], sums.parts, ['1']), shown(sums.whole.rows), `seed ${seed}`);
      const groups = await askAll(
        `SELECT few, sum(key), sum(-key) FROM of_numeric WHERE $part AND ${finite} GROUP BY few ORDER BY few`,
        format,
      );
      assert.deepEqual(
        foldedRows([0], [null, 'sum', 'sum'], groups.parts, ['1']),
        shown(groups.whole.rows),
        `seed ${seed}`,
      );
      // Each special for itself, and what they add up to.
      for (const values of [
        "'Infinity'",
        "'-Infinity'",
        "'NaN'",
        "'Infinity', '-Infinity'",
        "'Infinity', 'NaN'",
      ]) {
        const sql = `SELECT sum(v) FROM (SELECT n, v::numeric FROM unnest(ARRAY[${values}, '1.50', '2']) WITH ORDINALITY AS t (v, n)) AS t (id, v) WHERE $part`;
        const specials = await askAll(sql, format);
        assert.deepEqual(
          foldedRows(null, ['sum'], specials.parts, ['1']),
          shown(specials.whole.rows),
          values,
        );
      }
      for (const type of ['numeric', 'float4', 'float8']) {
        // One form of each value: -0 is 0, 1.00 is 1.
        const one = type === 'numeric' ? 'trim_scale(key)' : 'key + 0';
        const sql = `SELECT min(${one}), max(${one}), few FROM of_${type} WHERE $part GROUP BY few ORDER BY few`;
        const extremes = await askAll(sql, format);
        assert.deepEqual(
          foldedRows([2], ['min', 'max', null], extremes.parts, ['3']),
          shown(extremes.whole.rows),
          `seed ${seed}`,
        );
      }
    });
  }
});
