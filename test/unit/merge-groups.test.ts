// Groups put together of partial results, and what is computed of them: rows that lie, types that do not fit, work in parts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type AggregateKind,
  call,
  constant,
  FrameWriter,
  GroupAnswer,
  type GroupExpression,
  type GroupRewrite,
  type MergePlan,
  RowShape,
  VALUE_TYPE,
} from '@pgdog-cluster/core';
import { rowValues } from '../support/frames.js';

const LIMIT_BYTES = 1 << 24;
const { int4, int8, numeric, float8, text } = VALUE_TYPE;

const shape = (oids: readonly number[], format: number): RowShape =>
  new RowShape(oids.map((typeOid, i) => ({ name: `c${i}`, typeOid, typmod: -1, format })));
const column = (index: number): GroupExpression => ({ kind: 'column', column: index });

const wide = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};
const narrow = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

function row(values: readonly (Buffer | null)[]): Uint8Array {
  const writer = new FrameWriter();
  writer.int16(values.length);
  for (const value of values) {
    if (value === null) writer.int32(-1);
    else writer.int32(value.length).bytes(value);
  }
  return writer.view().slice();
}

interface Asked {
  oids: readonly number[];
  aggregates: readonly (AggregateKind | null)[];
  shown: readonly GroupExpression[];
  client: readonly number[];
  more?: Partial<GroupRewrite>;
  sort?: MergePlan['sort'];
}

/** All that is asked for is in binary, all that is shown in text. */
function answerOf({ oids, aggregates, shown, client, more = {}, sort = [] }: Asked): GroupAnswer | string {
  const keys = aggregates.flatMap((kind, i) => (kind === null ? [i] : []));
  const plan: MergePlan = {
    sort,
    group: keys.length === 0 ? null : keys,
    aggregates,
    isDistinct: false,
    limit: null,
    offset: null,
    rewrite: {
      text: '',
      formats: oids.map(() => -1),
      names: oids.map(() => ''),
      shownCount: shown.length,
      groups: { shown, hidden: [], having: null, isOne: false, ...more },
    },
  };
  return GroupAnswer.of(plan, shape(oids, 1), shape(client, 0), LIMIT_BYTES);
}

function made(asked: Asked): GroupAnswer {
  const answer = answerOf(asked);
  if (typeof answer === 'string') assert.fail(answer);
  return answer;
}

function finished(answer: GroupAnswer, budget = Number.POSITIVE_INFINITY): (string | null)[][] {
  let progress = answer.finishSome(budget);
  while (progress === 'more') progress = answer.finishSome(budget);
  assert.equal(progress, 'done', answer.problem?.message);
  return Array.from({ length: answer.rowCount }, (_, i) =>
    rowValues(Buffer.from(answer.bytes.slice(answer.rowStart(i) + 5, answer.rowEnd(i)))),
  );
}

const AVERAGE: Asked = {
  oids: [int4, int8, int8],
  aggregates: [null, 'sum', 'count'],
  shown: [column(0), call('avg', column(1), column(2))],
  client: [int4, numeric],
};

describe('groups of partial results', () => {
  it('are one answer, whatever the parts it is made in, sorted by what is not shown and cut', () => {
    const results = [Number.POSITIVE_INFINITY, 7, 1].map((budget) => {
      const answer = made({
        ...AVERAGE,
        more: {
          hidden: [call('negate', column(2))],
          having: call('<', column(1), constant('int4', '75')),
        },
        sort: [{ column: 2, isDescending: true, isNullsFirst: false }],
      });
      for (let i = 0; i < 60; i++) {
        const bytes = row([narrow(i % 20), wide(i), wide(1 + (i % 20))]);
        assert.ok(answer.add(bytes, 0, bytes.length));
      }
      return finished(answer, budget);
    });
    // Sums are 3 * g + 60, counts 3 * (g + 1): five groups are below 75, sorted by the count from the least.
    const expected = [
      ['0', '20.0000000000000000'],
      ['1', '10.5000000000000000'],
      ['2', '7.3333333333333333'],
      ['3', '5.7500000000000000'],
      ['4', '4.8000000000000000'],
    ];
    assert.deepEqual(results, [expected, expected, expected]);
  });

  it('keep their order and lose what HAVING leaves out, in parts and at once', () => {
    const results = [Number.POSITIVE_INFINITY, 3, 1].map((budget) => {
      const answer = made({
        ...AVERAGE,
        more: { hidden: [column(1)], having: call('>', column(1), constant('int4', '2')) },
        sort: [{ column: 2, isDescending: true, isNullsFirst: false }],
      });
      for (let i = 0; i < 12; i++) {
        const bytes = row([narrow(i % 6), wide(i % 6), wide(1)]);
        assert.ok(answer.add(bytes, 0, bytes.length));
      }
      return finished(answer, budget);
    });
    const expected = [5, 4, 3, 2].map((n) => [String(n), `${n}.0000000000000000`]);
    assert.deepEqual(results, [expected, expected, expected]);
  });

  it('of no rows are one, where there is no GROUP BY', () => {
    const counted: Asked = {
      oids: [int8, int8, int4],
      aggregates: ['count', 'sum', 'count_distinct'],
      shown: [column(0), call('coalesce', column(1), constant('int8', '7')), column(2)],
      client: [int8, int8, int8],
    };
    assert.deepEqual(finished(made({ ...counted, more: { isOne: true } })), [['0', '7', '0']]);
    assert.deepEqual(finished(made(counted)), []);
  });

  it('count values once that several shards have, and add them up once', () => {
    const answer = made({
      oids: [int4, int4, int8],
      aggregates: [null, 'count_distinct', 'sum_distinct'],
      shown: [column(0), column(1), column(2)],
      client: [int4, int8, int8],
    });
    for (const value of [1, 2, 2, null, 3, 1]) {
      const bytes = row([
        narrow(9),
        value === null ? null : narrow(value),
        value === null ? null : wide(value),
      ]);
      assert.ok(answer.add(bytes, 0, bytes.length));
    }
    assert.deepEqual(finished(answer), [['9', '3', '6']]);
  });

  it('bits are joined in every width', () => {
    for (const [kind, expected] of [
      ['bit_and', '4'],
      ['bit_or', '-1'],
      ['bit_xor', '-5'],
    ] as const) {
      const answer = made({ oids: [int4], aggregates: [kind], shown: [column(0)], client: [int4] });
      for (const value of [-2, 5]) {
        const bytes = row([narrow(value)]);
        assert.ok(answer.add(bytes, 0, bytes.length));
      }
      assert.deepEqual(finished(answer), [[expected]], kind);
    }
  });
});

describe('groups that are refused', () => {
  const refused = (asked: Asked, reason: string): void => {
    const answer = answerOf(asked);
    assert.equal(typeof answer, 'string');
    assert.ok((answer as string).includes(reason), answer as string);
  };

  it('floats, values of no common type, results of another type than the client is told', () => {
    refused({ ...AVERAGE, oids: [int4, float8, int8] }, 'depends on the order');
    refused({ ...AVERAGE, client: [int4, float8] }, 'is float8, and numeric here');
    const compared = {
      ...AVERAGE,
      shown: [column(0), call('=', column(1), constant('bool', 't'))],
      client: [int4, 16],
    };
    refused(compared, 'int8 beside bool');
    refused({ ...AVERAGE, shown: [column(0), call('and', column(1), column(2))] }, 'int8 as a condition');
    refused(
      { ...AVERAGE, oids: [text, int8, int8], shown: [call('+', column(0), column(1)), column(1)] },
      'text',
    );
  });

  it('rows that are none: their problem is told from others', () => {
    const answer = made({ ...AVERAGE, oids: [int4, numeric, int8] });
    const bytes = row([narrow(1), Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]), wide(1)]);
    assert.equal(answer.add(bytes, 0, bytes.length), false);
    assert.match(answer.problem?.message ?? '', /cannot be read/);
  });

  it('errors of computing are those of Postgres', () => {
    const cases: [GroupExpression, string, string][] = [
      [call('/', column(1), call('-', column(2), column(2))), '22012', 'division by zero'],
      [
        { kind: 'cast', to: { type: 'int2', modifier: null }, arg: column(1) },
        '22003',
        'smallint out of range',
      ],
      [
        { kind: 'cast', to: { type: 'numeric', modifier: { precision: 3, scale: 1 } }, arg: column(1) },
        '22003',
        'numeric field overflow',
      ],
      [call('*', column(1), constant('int8', '9223372036854775807')), '22003', 'bigint out of range'],
    ];
    for (const [expression, sqlstate, message] of cases) {
      const type =
        expression.kind === 'cast' ? (expression.to.type === 'int2' ? VALUE_TYPE.int2 : numeric) : int8;
      const answer = made({ ...AVERAGE, shown: [column(0), expression], client: [int4, type] });
      const bytes = row([narrow(1), wide(40_000), wide(1)]);
      assert.ok(answer.add(bytes, 0, bytes.length));
      assert.equal(answer.finishSome(100), 'failed');
      assert.equal(answer.problem?.sqlstate, sqlstate);
      assert.equal(answer.problem?.message, message);
    }
  });

  it('a quotient of more digits behind the point than quotients have is rounded', () => {
    const digits = `0.${'3'.repeat(1100)}`;
    const answer = made({
      ...AVERAGE,
      shown: [column(0), call('/', constant('numeric', digits), column(2))],
      client: [int4, numeric],
    });
    const bytes = row([narrow(1), wide(40_000), wide(1)]);
    assert.ok(answer.add(bytes, 0, bytes.length));
    assert.deepEqual(finished(answer), [['1', digits.slice(0, 1002)]]);
  });

  it('whatever else is thrown on the way is the end of the statement, not of the worker', () => {
    // No statement has such a length: it is what a mistake of ours would look like.
    const modifier = { precision: 5, scale: Number.NaN };
    const answer = made({
      ...AVERAGE,
      shown: [column(0), { kind: 'cast', to: { type: 'numeric', modifier }, arg: column(1) }],
      client: [int4, numeric],
    });
    const bytes = row([narrow(1), wide(40_000), wide(1)]);
    assert.ok(answer.add(bytes, 0, bytes.length));
    assert.equal(answer.finishSome(100), 'failed');
    assert.equal(answer.problem?.sqlstate, '0A000');
  });

  it('rows of which much is computed are made in more parts', () => {
    const partsOf = (terms: number): number => {
      const sum = Array.from({ length: terms }, () => column(2)).reduce((a, b) => call('+', a, b));
      const answer = made({ ...AVERAGE, shown: [column(0), sum], client: [int4, int8] });
      for (let key = 0; key < 100; key++) {
        const bytes = row([narrow(key), wide(key), wide(1)]);
        assert.ok(answer.add(bytes, 0, bytes.length));
      }
      let parts = 1;
      while (answer.finishSome(100) === 'more') parts++;
      assert.equal(answer.rowCount, 100);
      return parts;
    };
    assert.ok(partsOf(2) < 5);
    assert.ok(partsOf(400) > 50);
  });

  it('constants of which nothing can be made are told before there is a row', () => {
    const one = constant('int4', '1');
    const never = call('<', column(2), constant('int4', '0'));
    const shown = (made: GroupExpression): Asked => ({
      ...AVERAGE,
      shown: [column(0), call('case', never, made, constant('int4', '5'))],
      client: [int4, int4],
    });
    refused(shown(call('/', one, constant('int4', '0'))), 'division by zero');
    refused(shown(call('*', constant('int4', '2147483647'), constant('int4', '2'))), 'integer out of range');
    refused(
      shown({ kind: 'cast', to: { type: 'int2', modifier: null }, arg: constant('int4', '70000') }),
      'smallint out of range',
    );
    const answer = made(shown(call('+', one, call('negate', constant('int4', '-3')))));
    const bytes = row([narrow(1), wide(2), wide(-1)]);
    assert.ok(answer.add(bytes, 0, bytes.length));
    assert.deepEqual(finished(answer), [['1', '4']]);
  });

  it('numbers of thousands of digits take more parts, and are computed with up to a length', () => {
    const long = (digits: number, times: number): Asked => {
      const one = constant('numeric', '7'.repeat(digits));
      const sum = Array.from({ length: times }, () => one).reduce<GroupExpression>(
        (a, b) => call('+', a, b),
        column(2),
      );
      return { ...AVERAGE, shown: [column(0), call('>', sum, column(1))], client: [int4, VALUE_TYPE.bool] };
    };
    const answer = made(long(4900, 3));
    for (let key = 0; key < 10; key++) {
      const bytes = row([narrow(key), wide(key), wide(1)]);
      assert.ok(answer.add(bytes, 0, bytes.length));
    }
    let parts = 1;
    while (answer.finishSome(100) === 'more') parts++;
    assert.equal(answer.rowCount, 10);
    assert.ok(parts > 4, `${parts} parts`);
    refused(long(5100, 1), 'a number that is too long');
    const grown = made({
      ...long(2600, 1),
      shown: [
        column(0),
        call(
          '*',
          call('*', constant('numeric', '7'.repeat(2600)), column(2)),
          constant('numeric', '7'.repeat(2600)),
        ),
      ],
      client: [int4, numeric],
    });
    const bytes = row([narrow(1), wide(1), wide(1)]);
    assert.ok(grown.add(bytes, 0, bytes.length));
    assert.equal(grown.finishSome(100), 'failed');
    assert.match(grown.problem?.message ?? '', /5000 digits at most/);
  });
});
