// The order of rows of several shards.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { INCOMPARABLE, RowOrder, RowShape } from '@pgdog-cluster/core';
import {
  keysOf,
  lyingRows,
  orderOf,
  type Row,
  rowOf,
  shapeOf,
  type TypeName,
} from '../support/merge-rows.js';

/** Least first; values of one inner list are equal. */
const LADDERS: [TypeName, (string | string[])[]][] = [
  ['int2', ['-32768', '-10', '-9', '0', '7', '10', '32767']],
  ['int8', ['-9223372036854775808', '-9223372036854775807', '-1', '0', '9', '10', '9223372036854775807']],
  ['oid', ['0', '9', '10', '4294967295']],
  [
    'float8',
    [
      '-Infinity',
      '-1e+300',
      '-1.5',
      '-1e-300',
      ['-0', '0'],
      '5e-324',
      '1e-05',
      '0.0001',
      '1',
      '1.0000000000000002',
      '2.5',
      '123456',
      '1e+15',
      '1.2e+15',
      'Infinity',
      'NaN',
    ],
  ],
  [
    'numeric',
    [
      '-Infinity',
      '-100000',
      '-99.5',
      '-0.0001',
      ['0', '0.000'],
      '0.00001',
      '0.0001',
      ['1', '1.0', '1.00'],
      '1.000000000000000000001',
      '9',
      '10',
      '10000',
      '99999999999999999999999',
      'Infinity',
      'NaN',
    ],
  ],
  ['bool', ['f', 't']],
  [
    'date',
    [
      '-infinity',
      '4713-01-01 BC',
      '0001-12-31 BC',
      '0001-01-01',
      '1999-12-31',
      '2000-02-29',
      '2000-03-01',
      '9999-12-31',
      '10000-01-01',
      '5874897-12-31',
      'infinity',
    ],
  ],
  [
    'timestamp',
    [
      '-infinity',
      '0044-03-15 12:00:00 BC',
      '0044-03-15 12:00:00.5 BC',
      '1999-12-31 23:59:59',
      '1999-12-31 23:59:59.000001',
      '1999-12-31 23:59:59.1',
      '2000-01-01 00:00:00',
      '294276-12-31 23:59:59.999999',
      'infinity',
    ],
  ],
  [
    'timestamptz',
    [
      '-infinity',
      '0001-01-01 00:00:00+00 BC',
      ['2003-01-01 00:30:00+01', '2002-12-31 23:30:00+00', '2002-12-31 19:00:00-04:30'],
      '2003-01-01 00:00:00+00',
      '2003-01-01 00:00:00-00:00:01',
      '2003-01-01 00:00:00-08',
      'infinity',
    ],
  ],
  ['time', ['00:00:00', '00:00:00.000001', '00:00:00.1', '09:59:59', '10:00:00', '24:00:00']],
  [
    'uuid',
    [
      '00000000-0000-0000-0000-000000000000',
      '0a000000-0000-0000-0000-000000000000',
      'a0000000-0000-0000-0000-000000000000',
    ],
  ],
  ['bytea', ['\\x', '\\x00', '\\x0000', '\\x01', '\\x7f', '\\x80', '\\xff']],
  ['char', ['', 'A', 'a', '\\200', '\\377']],
  ['text', ['', ' ', 'A', 'B', 'a', 'a ', 'ab', 'ä', '漢']],
  ['varchar', ['Z', 'a', 'aa']],
  ['name', ['Z', 'a', 'aa']],
  ['bpchar', ['', ['a', 'a  '], 'a!', 'b']],
];

const compareRows = (order: RowOrder, a: Row, b: Row): number =>
  order.compare(a.bytes, a.start, a.end, b.bytes, b.start, b.end);

describe('the order of rows', () => {
  for (const [type, ladder] of LADDERS) {
    it(`${type} in text is ordered as Postgres does, up and down`, () => {
      const steps = ladder.flatMap((step, index) => [step].flat().map((value) => ({ value, index })));
      const up = orderOf(shapeOf('text', 'int4', type), '2');
      const down = orderOf(shapeOf('text', 'int4', type), '2 desc');
      for (const one of steps) {
        for (const other of steps) {
          const [a, b] = [rowOf('1', one.value), rowOf('22', other.value)];
          const wanted = Math.sign(one.index - other.index);
          assert.equal(compareRows(up, a, b), wanted, `'${one.value}' and '${other.value}'`);
          assert.equal(
            compareRows(down, a, b) + wanted,
            0,
            `'${one.value}' and '${other.value}', descending`,
          );
        }
      }
    });
  }

  it('nulls are where they were asked for', () => {
    const shape = shapeOf('text', 'int4');
    const [null1, one] = [rowOf(null), rowOf('1')];
    for (const [key, wanted] of [
      ['1', 1],
      ['1 nulls first', -1],
      ['1 desc', -1],
      ['1 desc nulls last', 1],
    ] as const) {
      assert.equal(compareRows(orderOf(shape, key), null1, one), wanted, key);
      assert.equal(compareRows(orderOf(shape, key), one, null1), -wanted, key);
      assert.equal(compareRows(orderOf(shape, key), null1, null1), 0, key);
    }
  });

  it('later keys count when earlier ones are equal', () => {
    const order = orderOf(shapeOf('text', 'text', 'int4'), '2 desc', '1');
    assert.equal(compareRows(order, rowOf('b', '2'), rowOf('a', '1')), -1);
    assert.equal(compareRows(order, rowOf('b', '2'), rowOf('a', '2')), 1);
    assert.equal(compareRows(order, rowOf('b', null), rowOf('b', null)), 0);
    const twice = orderOf(shapeOf('text', 'int4', 'int4'), '2', '2 desc', '1');
    assert.equal(compareRows(twice, rowOf('1', '5'), rowOf('2', '4')), 1);
    assert.equal(compareRows(twice, rowOf('1', '5'), rowOf('2', '5')), -1);
  });

  it('numbers in binary are compared by what they are worth', () => {
    const order = orderOf(shapeOf('binary', 'numeric'), '1');
    // Count, weight, sign, scale, then digits of base 10,000.
    const numeric = (hex: string): Row => rowOf(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    const one = numeric('0001 0000 0000 0000 0001');
    const ladder = [
      [numeric('0001 0001 4000 0000 0001')],
      [numeric('0001 0000 4000 0000 0001')],
      [numeric('0000 0000 0000 0002'), numeric('0001 0003 0000 0000 0000')],
      [numeric('0001 ffff 0000 0004 0001')],
      // Zeros before and behind it, which Postgres would not send.
      [one, numeric('0003 0001 0000 0002 0000 0001 0000')],
      [numeric('0002 0000 0000 0002 0001 09c4')],
      [numeric('0001 0001 0000 0000 0001')],
    ];
    ladder.flatMap((step, index) =>
      step.flatMap((row) =>
        ladder.flatMap((others, otherIndex) =>
          others.map((other) =>
            assert.equal(
              compareRows(order, row, other),
              Math.sign(index - otherIndex),
              `${index}, ${otherIndex}`,
            ),
          ),
        ),
      ),
    );
    assert.equal(compareRows(order, one, numeric('0001 0000 0000 0000 2710')), INCOMPARABLE);
    const whole = orderOf(shapeOf('binary', 'int8'), '1');
    const int8 = (value: bigint): Row => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(value);
      return rowOf(bytes);
    };
    const values = [-(2n ** 63n), -(2n ** 32n), -1n, 0n, 1n, 255n, 2n ** 32n, 2n ** 63n - 1n].map(int8);
    for (const [index, row] of values.entries()) {
      for (const [otherIndex, other] of values.entries()) {
        assert.equal(compareRows(whole, row, other), Math.sign(index - otherIndex));
      }
    }
  });

  it('floats in binary: minus zero is zero, NaN the greatest and like itself', () => {
    const values = [
      [-Infinity],
      [-1.5],
      [-0, 0],
      [5e-324],
      [1],
      [1.0000000000000002],
      [Infinity],
      [Number.NaN],
    ];
    const float8 = (value: number): Row => {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleBE(value);
      return rowOf(bytes);
    };
    const minusNan = rowOf(Buffer.from('fff8000000000001', 'hex'));
    const rows = values.flatMap((step, index) => step.map((value) => ({ row: float8(value), index })));
    rows.push({ row: minusNan, index: values.length - 1 });
    const order = orderOf(shapeOf('binary', 'float8'), '1');
    for (const one of rows) {
      for (const other of rows) {
        assert.equal(compareRows(order, one.row, other.row), Math.sign(one.index - other.index));
      }
    }
  });

  it('rows of fewer or more columns are not compared', () => {
    const order = orderOf(shapeOf('text', 'int4', 'int4'), '1');
    for (const row of [rowOf('1'), rowOf(), rowOf('1', '2', '3')]) {
      assert.equal(compareRows(order, row, row), INCOMPARABLE);
    }
  });

  it('values that are none of their type are not compared', () => {
    const wrong: [TypeName, string[]][] = [
      ['int4', ['', '-', '1a', '007', '1.5', '99999999999999999999']],
      ['float8', ['', '-', '.', '1e', '1e+', 'nan', '1x', '1e+99999', '1.2.3']],
      ['numeric', ['', '-NaN', 'Inf', '1,5']],
      ['bool', ['', 'true', 'x']],
      ['date', ['', '01-02-2003', '01/02/2003', '02.01.2003', '2003-13-01', '2003-01-02 AD', '999-01-01']],
      [
        'timestamp',
        [
          '2003-01-02',
          '2003-01-02 10:11',
          '2003-01-02T10:11:12',
          '2003-01-02 10:11:12+01',
          '2003-01-02 10:11:12.1234567',
          'Thu Jan 02 10:11:12 2003',
        ],
      ],
      ['timestamptz', ['2003-01-02 10:11:12', '2003-01-02 10:11:12 CET', '2003-01-02 10:11:12+1']],
      ['time', ['1:2:3', '10-11-12']],
      ['uuid', ['', 'a0eebc99']],
      ['bytea', ['', 'abc', '\\x0', '\\000']],
      ['char', ['ab', '\\777', '\\00']],
    ];
    for (const [type, values] of wrong) {
      const order = orderOf(shapeOf('text', type), '1 desc');
      const good = rowOf([LADDERS.find(([name]) => name === type)?.[1][1] ?? '5'].flat()[0]);
      for (const value of values) {
        assert.equal(compareRows(order, rowOf(value), good), INCOMPARABLE, `${type} '${value}'`);
        assert.equal(compareRows(order, good, rowOf(value)), INCOMPARABLE, `${type} '${value}'`);
      }
    }
    for (const type of [
      'int2',
      'int4',
      'int8',
      'oid',
      'float4',
      'float8',
      'numeric',
      'bool',
      'date',
      'time',
      'timestamp',
      'timestamptz',
      'uuid',
      'char',
    ] as const) {
      const order = orderOf(shapeOf('binary', type), '1');
      for (const size of [0, 3, 5, 9, 15, 17]) {
        const row = rowOf(Buffer.alloc(size, 1));
        assert.equal(compareRows(order, row, row), INCOMPARABLE, `${type} of ${size} bytes`);
      }
    }
  });

  it('rows whose counts or lengths lie are not compared', () => {
    const order = orderOf(shapeOf('text', 'int4', 'text'), '1');
    const good = rowOf('17', 'abc');
    assert.equal(compareRows(order, good, good), 0);
    for (const lie of lyingRows(good)) {
      assert.equal(compareRows(order, lie, good), INCOMPARABLE);
      assert.equal(compareRows(order, good, lie), INCOMPARABLE);
    }
  });

  it('what cannot be ordered is refused, with its name', () => {
    const shape = new RowShape(
      [3802, 1186, 16_500, 25].map((typeOid) => ({ name: `of ${typeOid}`, typeOid, typmod: -1, format: 0 })),
    );
    assert.match(String(RowOrder.of(shape, keysOf('1'))), /"of 3802" of jsonb/);
    assert.match(String(RowOrder.of(shape, keysOf('2'))), /"of 1186" of interval/);
    assert.match(String(RowOrder.of(shape, keysOf('3'))), /"of 16500" of type 16500/);
    assert.match(String(RowOrder.of(shape, keysOf('5'))), /no column 5/);
    assert.ok(RowOrder.of(shape, keysOf('4')) instanceof RowOrder);
    const odd = new RowShape([{ name: 'x', typeOid: 23, typmod: -1, format: 2 }]);
    assert.equal(typeof RowOrder.of(odd, keysOf('1')), 'string');
  });
});
