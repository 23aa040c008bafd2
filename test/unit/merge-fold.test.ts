// Aggregates of several shards, and rows that are equal.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AggregateKind, RowDistinct, RowFold, RowShape, VALUE_TYPE } from '@pgdog-cluster/core';
import {
  finishFold,
  foldedRows,
  lyingRows,
  made,
  orderOf,
  type RowValue,
  rowOf,
  shapeOf,
  type TypeName,
} from '../support/merge-rows.js';

const LIMIT = 1 << 20;

/** One aggregate over the partial results, in text. */
function folded(kind: AggregateKind, type: TypeName, ...partials: RowValue[]): string | null {
  const fold = made(RowFold.of(shapeOf('text', type), null, [kind], LIMIT));
  for (const partial of partials) {
    const { bytes, start, end } = rowOf(partial);
    if (!fold.add(bytes, start, end)) return `failed: ${fold.failure}`;
  }
  if (!finishFold(fold, null)) return `failed: ${fold.failure}`;
  const rows = foldedRows(fold);
  assert.equal(rows.length, 1);
  return rows[0][0];
}

function foldRows(fold: RowFold, ...rows: RowValue[][]): void {
  for (const values of rows) {
    const { bytes, start, end } = rowOf(...values);
    assert.ok(fold.add(bytes, start, end), String(fold.failure));
  }
}

describe('aggregates of several shards', () => {
  it('counts and sums of small integers add up as int8', () => {
    assert.equal(folded('count', 'int8', '3', '0', '4'), '7');
    assert.equal(folded('count', 'int8', '0'), '0');
    assert.equal(folded('sum', 'int8', '-5', null, '4294967295', '1'), '4294967291');
    assert.equal(folded('sum', 'int8', null, null), null);
    assert.equal(folded('sum', 'int8', '9223372036854775807', '-1', '1'), '9223372036854775807');
    assert.equal(folded('sum', 'int8', '-9223372036854775807', '-1'), '-9223372036854775808');
    // Only the end must fit.
    assert.equal(folded('sum', 'int8', '9223372036854775807', '1', '-2'), '9223372036854775806');
    assert.equal(folded('sum', 'int8', '9223372036854775807', '1'), 'failed: int8');
    assert.equal(folded('sum', 'int8', '-9223372036854775808', '-1'), 'failed: int8');
    assert.equal(folded('sum', 'int8', '1.5'), 'failed: malformed');
  });

  it('sums of numeric are exact, with the largest scale', () => {
    const sum = (...partials: RowValue[]): string | null => folded('sum', 'numeric', ...partials);
    assert.equal(sum('1.5', '2.25'), '3.75');
    assert.equal(sum('0.1', '0.2'), '0.3');
    assert.equal(sum('1', '-1'), '0');
    assert.equal(sum('1.000', '-1'), '0.000');
    assert.equal(sum('-0.5', '0.25'), '-0.25');
    assert.equal(sum('9999', '1'), '10000');
    assert.equal(sum('-10000', '0.00001'), '-9999.99999');
    assert.equal(
      sum('99999999999999999999999999', '0.0000000000000000001'),
      '99999999999999999999999999.0000000000000000001',
    );
    assert.equal(sum('0.00000001', '0.00000002'), '0.00000003');
    assert.equal(sum('1', '100000000000000000000'), '100000000000000000001');
    assert.equal(sum('-7', null), '-7');
    assert.equal(sum(null), null);
    assert.equal(sum('NaN', '1'), 'NaN');
    assert.equal(sum('Infinity', '1', '-5'), 'Infinity');
    assert.equal(sum('-Infinity', '1'), '-Infinity');
    assert.equal(sum('Infinity', '-Infinity'), 'NaN');
    assert.equal(sum(`${'9'.repeat(131_072)}`, '1'), 'failed: numeric');
    for (const bad of ['', '-', '.', '1.', '.5', '1e5', 'nan', '-NaN', '1.2.3']) {
      assert.equal(sum('1', bad), 'failed: malformed', `'${bad}'`);
    }
  });

  it('many values are carried', () => {
    const fold = made(RowFold.of(shapeOf('text', 'numeric'), null, ['sum'], LIMIT));
    const [large, small] = [rowOf('9999.9999'), rowOf('-0.0001')];
    for (let count = 0; count < 250_000; count++) fold.add(large.bytes, large.start, large.end);
    fold.add(small.bytes, small.start, small.end);
    assert.ok(finishFold(fold, null));
    assert.deepEqual(foldedRows(fold), [['2499999974.9999']]);
  });

  it('sums of numeric in binary', () => {
    const sum = (...partials: string[]): string => {
      const fold = made(RowFold.of(shapeOf('binary', 'numeric'), null, ['sum'], LIMIT));
      foldRows(fold, ...partials.map((hex) => [Buffer.from(hex.replaceAll(' ', ''), 'hex')]));
      assert.ok(finishFold(fold, null));
      // Behind the frame's header, the count and the size.
      return Buffer.from(fold.bytes.subarray(11))
        .toString('hex')
        .replaceAll(/(.{4})(?=.)/g, '$1 ');
    };
    const [one, minusOne] = ['0001 0000 0000 0000 0001', '0001 0000 4000 0000 0001'];
    assert.equal(sum(one, one), '0001 0000 0000 0000 0002');
    assert.equal(sum(one, minusOne), '0000 0000 0000 0000');
    assert.equal(sum(minusOne, minusOne), '0001 0000 4000 0000 0002');
    // 1 and 9999.50
    assert.equal(sum(one, '0002 0000 0000 0002 270f 1388'), '0003 0001 0000 0002 0001 0000 1388');
    // 0.01 less than 1
    assert.equal(sum(one, '0001 ffff 4000 0002 0064'), '0001 ffff 0000 0002 26ac');
  });

  it('least, greatest, all and any', () => {
    assert.equal(folded('min', 'int4', '10', '9', null, '11'), '9');
    assert.equal(folded('max', 'int4', '10', '9', null, '11'), '11');
    assert.equal(folded('max', 'text', 'b', 'a longer one', null), 'b');
    assert.equal(folded('min', 'text', null, 'b', 'a longer one'), 'a longer one');
    assert.equal(folded('max', 'numeric', '1', '1.00'), '1');
    assert.equal(folded('max', 'date', '2003-01-02', '10000-01-01'), '10000-01-01');
    assert.equal(folded('max', 'float8', '1e+20', 'NaN', 'Infinity'), 'NaN');
    assert.equal(folded('min', 'date', null), null);
    assert.equal(folded('min', 'date', '2003-01-02', '02.01.2003'), 'failed: malformed');
    assert.equal(folded('bool_and', 'bool', 't', null, 't'), 't');
    assert.equal(folded('bool_and', 'bool', 't', 'f', 't'), 'f');
    assert.equal(folded('bool_or', 'bool', 'f', 'f'), 'f');
    assert.equal(folded('bool_or', 'bool', 'f', 't', 'f'), 't');
    assert.equal(folded('bool_or', 'bool', null, null), null);
    assert.equal(folded('bool_or', 'bool', 'yes'), 'failed: malformed');
  });

  it('groups meet when their values are equal, and come in the order asked for', () => {
    const shape = shapeOf('text', 'int8', 'numeric', 'text');
    const fold = made(RowFold.of(shape, [2, 1], ['count', null, null], LIMIT));
    foldRows(
      fold,
      ['1', '1.0', 'a'],
      ['2', '1', 'b'],
      ['4', null, 'a'],
      ['8', '1.00', 'a'],
      ['16', null, 'a'],
      ['32', '1', null],
      ['64', '', ''].map((value) => (value === '' ? null : value)),
    );
    assert.ok(finishFold(fold, orderOf(shape, '1 desc')));
    assert.deepEqual(foldedRows(fold), [
      ['64', null, null],
      ['32', '1', null],
      ['20', null, 'a'],
      ['9', '1.0', 'a'],
      ['2', '1', 'b'],
    ]);
  });

  it('groups without an aggregate, and no groups at all', () => {
    const shape = shapeOf('text', 'text');
    const fold = made(RowFold.of(shape, [0], [null], LIMIT));
    foldRows(fold, ['b'], [''], [null], ['b'], ['']);
    assert.ok(finishFold(fold, null));
    assert.deepEqual(foldedRows(fold), [['b'], [''], [null]]);
    const none = made(RowFold.of(shape, [0], [null], LIMIT));
    assert.ok(finishFold(none, orderOf(shape, '1')));
    assert.equal(none.rowCount, 0);
  });

  it('thousands of groups keep apart', () => {
    const shape = shapeOf('text', 'int4', 'int8', 'int4');
    const fold = made(RowFold.of(shape, [0], [null, 'sum', 'max'], 1 << 24));
    for (const round of [1, 2, 3]) {
      for (let key = 0; key < 5000; key++) foldRows(fold, [String(key), String(key * round), String(round)]);
    }
    assert.ok(finishFold(fold, orderOf(shape, '1')));
    assert.deepEqual(
      foldedRows(fold),
      Array.from({ length: 5000 }, (_, key) => [String(key), String(key * 6), '3']),
    );
  });

  it('can be finished in parts', () => {
    const shape = shapeOf('text', 'int8', 'int4');
    const numbers = Array.from({ length: 1000 }, (_, index) => (index * 379) % 1000);
    for (const budget of [1, 7, 1000, 1_000_000]) {
      const fold = made(RowFold.of(shape, [1], ['count', null], LIMIT));
      foldRows(fold, ...numbers.map((number) => [String(number % 10), String(number)]));
      const order = orderOf(shape, '1 desc', '2');
      let calls = 1;
      while (fold.finishSome(order, budget) === 'more') calls++;
      // About one step of a row for each of ten rounds.
      assert.ok(calls <= 12_100 / budget + 1 && calls >= 11_000 / budget, `${calls} calls`);
      assert.deepEqual(
        foldedRows(fold).map(([, number]) => Number(number)),
        [...numbers].sort((a, b) => (b % 10) - (a % 10) || a - b),
      );
    }
  });

  it('equal rows stay in the order in which the groups came', () => {
    const shape = shapeOf('text', 'int8', 'text');
    const fold = made(RowFold.of(shape, [1], ['sum', null], LIMIT));
    foldRows(fold, ...[...'qwertyuiop'].map((letter, index) => [String(index % 2), letter]));
    assert.ok(finishFold(fold, orderOf(shape, '1')));
    assert.equal(
      foldedRows(fold)
        .map(([, letter]) => letter)
        .join(''),
      'qetuowryip',
    );
  });

  it('a count that is NULL is no count', () => {
    assert.equal(folded('count', 'int8', '1', null), 'failed: malformed');
  });

  it('more groups than the limit allows are an error, long before the memory is gone', () => {
    const fold = made(RowFold.of(shapeOf('text', 'int8', 'int4'), [1], ['count', null], 100_000));
    let count = 0;
    for (; count < 100_000; count++) {
      const { bytes, start, end } = rowOf('1', String(count));
      if (!fold.add(bytes, start, end)) break;
    }
    assert.equal(fold.failure, 'full');
    assert.ok(count > 300 && count < 5000, `${count} groups`);
    assert.ok(!finishFold(fold, null));
    // Large values count as well.
    const large = made(RowFold.of(shapeOf('text', 'text'), null, ['max'], 100_000));
    const { bytes, start, end } = rowOf('x'.repeat(200_000));
    assert.ok(!large.add(bytes, start, end));
    assert.equal(large.failure, 'full');
  });

  it('malformed rows are an error', () => {
    for (const lie of lyingRows(rowOf('17', 'abc'))) {
      const fold = made(RowFold.of(shapeOf('text', 'int8', 'text'), [1], ['sum', null], LIMIT));
      assert.ok(!fold.add(lie.bytes, lie.start, lie.end));
      assert.equal(fold.failure, 'malformed');
      assert.ok(!finishFold(fold, null));
    }
  });

  it('what cannot be folded exactly is refused', () => {
    const of = (kinds: (AggregateKind | null)[], group: number[] | null, ...oids: number[]): unknown =>
      RowFold.of(
        new RowShape(oids.map((typeOid) => ({ name: `of ${typeOid}`, typeOid, typmod: -1, format: 0 }))),
        group,
        kinds,
        LIMIT,
      );
    assert.match(String(of(['sum'], null, VALUE_TYPE.float8)), /depends on the order/);
    assert.match(String(of(['sum'], null, 1186)), /interval/);
    assert.match(String(of(['max'], null, 869)), /inet/);
    assert.match(String(of(['count'], null, VALUE_TYPE.int4)), /int4/);
    assert.match(String(of(['bool_or'], null, VALUE_TYPE.text)), /text/);
    assert.match(String(of(['count', null], [1], 20, 3802)), /jsonb/);
    assert.match(String(of(['count', null], null, 20, 25)), /either an aggregate or one of GROUP BY/);
    assert.match(String(of(['count', 'max'], [1], 20, 25)), /either an aggregate or one of GROUP BY/);
    assert.match(String(of(['count'], [3], 20)), /lacks a column/);
    assert.match(String(of(['count'], null, 20, 20)), /2 columns/);
  });
});

describe('rows that are not distinct', () => {
  const taken = (types: TypeName[], ...rows: RowValue[][]): string[] => {
    const distinct = made(RowDistinct.of(shapeOf('text', ...types), LIMIT));
    return rows.map((values) => {
      const { bytes, start, end } = rowOf(...values);
      return distinct.take(bytes, start, end);
    });
  };

  it('pass once', () => {
    assert.deepEqual(taken(['int4', 'text'], ['1', 'a'], ['1', null], ['1', 'a'], ['1', null], ['1', '']), [
      'new',
      'new',
      'seen',
      'seen',
      'new',
    ]);
    // Values do not run into each other.
    assert.deepEqual(taken(['text', 'text'], ['ab', 'c'], ['a', 'bc'], [null, 'c'], ['', 'c']), [
      'new',
      'new',
      'new',
      'new',
    ]);
  });

  it('are told by the values, not by how they are written', () => {
    const equal: [TypeName, string[]][] = [
      ['numeric', ['1', '1.0', '1.000']],
      ['numeric', ['0', '0.00']],
      ['numeric', ['100', '100.0']],
      ['numeric', ['NaN', 'NaN']],
      ['float8', ['0', '-0']],
      ['bpchar', ['a', 'a   ', 'a ']],
      ['timestamptz', ['2003-01-01 00:00:00+00', '2003-01-01 01:00:00+01']],
    ];
    for (const [type, values] of equal) {
      const wanted = values.map((_, index) => (index === 0 ? 'new' : 'seen'));
      assert.deepEqual(taken([type], ...values.map((value) => [value])), wanted, `${type} ${values}`);
    }
    const different: [TypeName, string[]][] = [
      ['numeric', ['1', '10', '100', '0.1', '-1', 'NaN', 'Infinity', '-Infinity', '0']],
      ['float8', ['1', '10', '-1', '1e+20', 'NaN', 'Infinity', '-Infinity']],
      ['varchar', ['a', 'a ', 'A']],
      [
        'timestamp',
        [
          'infinity',
          '-infinity',
          '2000-01-01 00:00:00',
          '2000-01-01 00:00:00 BC',
          '2000-01-01 00:00:00.000001',
        ],
      ],
    ];
    for (const [type, values] of different) {
      const wanted = values.map(() => 'new');
      assert.deepEqual(taken([type], ...values.map((value) => [value])), wanted, `${type} ${values}`);
    }
  });

  it('in binary too', () => {
    const distinct = made(RowDistinct.of(shapeOf('binary', 'numeric'), LIMIT));
    const outcomes = [
      '0001 0000 0000 0000 0001',
      '0001 0000 0000 0002 0001',
      '0003 0001 0000 0002 0000 0001 0000',
      '0001 0001 0000 0000 0001',
      '0001 0000 4000 0000 0001',
      '0000 0000 0000 0000',
      '0000 0000 0000 0002',
      '0000 0000 c000 0000',
      '0000 0000 d000 0020',
      '0000 0000 c000 0000',
    ].map((hex) => {
      const { bytes, start, end } = rowOf(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
      return distinct.take(bytes, start, end);
    });
    assert.deepEqual(outcomes, ['new', 'seen', 'seen', 'new', 'new', 'new', 'seen', 'new', 'new', 'seen']);
  });

  it('malformed, too many, or of a type that is not known', () => {
    const distinct = made(RowDistinct.of(shapeOf('text', 'int4', 'text'), 10_000));
    for (const { bytes, start, end } of lyingRows(rowOf('17', 'abc'))) {
      assert.equal(distinct.take(bytes, start, end), 'malformed');
    }
    const outcomes = Array.from({ length: 1000 }, (_, index) => {
      const { bytes, start, end } = rowOf(String(index), 'abc');
      return distinct.take(bytes, start, end);
    });
    assert.ok(outcomes.indexOf('full') > 100);
    assert.equal(outcomes.at(-1), 'full');
    assert.deepEqual(taken(['float8'], ['abc']), ['malformed']);
    const json = new RowShape([{ name: 'data', typeOid: 114, typmod: -1, format: 0 }]);
    assert.match(String(RowDistinct.of(json, LIMIT)), /"data" of json/);
  });
});
