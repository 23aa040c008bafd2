// Descriptions, tags and limits of one answer of several shards.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CompletionTag, LimitCut, RowShape, settingNeeds, VALUE_TYPE } from '@pgdog-cluster/core';
import { int16, int32, text } from '../support/frames.js';
import { fenced } from '../support/merge-rows.js';

interface Field {
  name?: string;
  table?: number;
  number?: number;
  typeOid?: number;
  typmod?: number;
  format?: number;
}

function describedBody(...fields: Field[]): Buffer {
  return Buffer.concat([
    int16(fields.length),
    ...fields.map(({ name = 'id', table = 16_400, number = 1, typeOid = 23, typmod = -1, format = 0 }) =>
      Buffer.concat([
        text(name),
        int32(table),
        int16(number),
        int32(typeOid),
        int16(4),
        int32(typmod),
        int16(format),
      ]),
    ),
  ]);
}

function shapeOf(...fields: Field[]): RowShape {
  const { bytes, start, end } = fenced(describedBody(...fields));
  const shape = RowShape.read(bytes, start, end);
  assert.ok(shape !== null);
  return shape;
}

describe('descriptions of rows', () => {
  it('are read', () => {
    assert.deepEqual(
      shapeOf({}, { name: '', typeOid: 4_294_967_295, typmod: 14, format: 1 }, { name: 'größe' }).columns,
      [
        { name: 'id', typeOid: 23, typmod: -1, format: 0 },
        { name: '', typeOid: 4_294_967_295, typmod: 14, format: 1 },
        { name: 'größe', typeOid: 23, typmod: -1, format: 0 },
      ],
    );
    assert.deepEqual(shapeOf().columns, []);
  });

  it('are not read beyond their end', () => {
    const { bytes, start, end } = fenced(describedBody({}, { name: 'b' }));
    for (let cut = start; cut < end; cut++)
      assert.equal(RowShape.read(bytes, start, cut), null, `${cut - start}`);
    assert.equal(RowShape.read(bytes, start, end + 1), null);
    assert.equal(RowShape.read(bytes, start, bytes.length + 5), null);
  });

  it('agree when a client sees no difference', () => {
    const one = shapeOf({ table: 16_400, number: 3 }, { typeOid: 16_500, name: 'mood' });
    assert.equal(one.agree(shapeOf({ table: 17_000, number: 4 }, { typeOid: 16_500, name: 'mood' })), null);
  });

  it('say what is different', () => {
    const one = shapeOf({});
    assert.match(one.agree(shapeOf({}, {})) ?? '', /1 columns, another 2/);
    assert.match(one.agree(shapeOf({ name: 'ID' })) ?? '', /column 1 is named "id" and "ID"/);
    assert.match(
      one.agree(shapeOf({ typeOid: 20 })) ?? '',
      /"id".* is int4 on one shard and int8 on another/,
    );
    assert.match(one.agree(shapeOf({ typmod: 8 })) ?? '', /modifier -1 on one shard and 8/);
    assert.match(one.agree(shapeOf({ format: 1 })) ?? '', /as text and as binary/);
    const user = shapeOf({ typeOid: 16_500 }).agree(shapeOf({ typeOid: 16_600 })) ?? '';
    assert.match(user, /type that users made.*16500.*16600/);
  });

  it('take the formats of a Bind', () => {
    const shape = shapeOf({}, {});
    const formats = (of: number[]): (number | undefined)[] | undefined =>
      shape.withFormats(of)?.columns.map(({ format }) => format);
    assert.deepEqual(formats([]), [0, 0]);
    assert.deepEqual(formats([1]), [1, 1]);
    assert.deepEqual(formats([0, 1]), [0, 1]);
    assert.equal(formats([0, 1, 0]), undefined);
  });
});

function tagOf(...tags: string[]): string | null {
  const tag = new CompletionTag();
  for (const each of tags) {
    const { bytes, start, end } = fenced(text(each));
    tag.add(bytes, start, end);
  }
  return tag.text();
}

describe('command tags of several shards', () => {
  it('have the sum of the counts', () => {
    for (const verb of ['SELECT', 'UPDATE', 'DELETE', 'INSERT 0', 'MERGE', 'COPY', 'FETCH', 'MOVE']) {
      assert.equal(tagOf(`${verb} 1`, `${verb} 0`, `${verb} 41`), `${verb} 42`);
    }
    assert.equal(tagOf('SELECT 5'), 'SELECT 5');
    assert.equal(
      tagOf('SELECT 9223372036854775807', 'SELECT 9223372036854775807'),
      'SELECT 18446744073709551614',
    );
  });

  it('are the same where nothing is counted', () => {
    assert.equal(tagOf('CREATE TABLE', 'CREATE TABLE'), 'CREATE TABLE');
    assert.equal(tagOf('COPY', 'COPY'), 'COPY');
  });

  it('do not make one when they are different, or beyond 64 bits', () => {
    for (const tags of [
      [],
      ['SELECT 1', 'UPDATE 1'],
      ['BEGIN', 'COMMIT'],
      ['COPY 1', 'COPY'],
      ['INSERT 0 1', 'INSERT 17 1'],
      ['SELECT 18446744073709551615', 'SELECT 1'],
      ['SELECT 99999999999999999999'],
    ]) {
      assert.equal(tagOf(...tags), null, tags.join());
    }
  });

  it('are not read beyond their end', () => {
    const { bytes, start, end } = fenced(text('SELECT 1'));
    for (const [from, to] of [
      [start, end - 1],
      [start, start],
      [start, end + 1],
      [-1, end],
      [start, bytes.length + 1],
    ]) {
      const tag = new CompletionTag();
      assert.ok(!tag.add(bytes, from, to));
      assert.equal(tag.text(), null);
    }
    const long = fenced(text('X'.repeat(100)));
    assert.ok(!new CompletionTag().add(long.bytes, long.start, long.end));
  });
});

describe('LIMIT and OFFSET over several shards', () => {
  const cuts = (limit: number | null, offset: number, count: number): string => {
    const cut = new LimitCut(limit, offset);
    return Array.from({ length: count }, () => cut.take()[0]).join('');
  };
  it('skip, pass and end', () => {
    assert.equal(cuts(2, 1, 6), 'sppddd');
    assert.equal(cuts(0, 5, 2), 'dd');
    assert.equal(cuts(null, 2, 5), 'ssppp');
    assert.equal(cuts(3, 0, 4), 'pppd');
  });
  it('know the end before the next row', () => {
    const cut = new LimitCut(1, 0);
    assert.ok(!cut.isDone);
    cut.take();
    assert.ok(cut.isDone);
    assert.ok(new LimitCut(0, 3).isDone);
  });
});

describe('settings on which a merge depends', () => {
  it('are named by type and format', () => {
    const oids = [VALUE_TYPE.int8, VALUE_TYPE.date, VALUE_TYPE.float4, VALUE_TYPE.bytea, VALUE_TYPE.text];
    const text = shapeOf(...oids.map((typeOid) => ({ typeOid })));
    const all = [0, 1, 2, 3, 4];
    assert.deepEqual([...settingNeeds(text, all)].sort(), [
      'DateStyle',
      'bytea_output',
      'client_encoding',
      'extra_float_digits',
    ]);
    assert.deepEqual([...settingNeeds(text, [0, 2, 99])], ['extra_float_digits']);
    const binary = text.withFormats([1]);
    assert.ok(binary !== null);
    assert.deepEqual([...settingNeeds(binary, all)], ['client_encoding']);
  });
});
