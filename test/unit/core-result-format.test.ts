/** Results made by us in binary: the bytes that Postgres sends for the same values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildResult, formatRow, framesOf, setFormats, TYPE_OID } from '@pgdog-cluster/core';

/** The value as the client gets it, in hexadecimal digits; null: NULL. */
function binary(typeOid: number, text: string | null): string | null {
  const [description, row] = [...framesOf(buildResult([{ name: 'x', typeOid }], [[text]], 'SHOW'))];
  assert.ok(description !== undefined && row !== undefined);
  const types = setFormats(description, [1]);
  const frame = formatRow(row, types, [1]);
  assert.equal(frame.readInt32BE(1), frame.length - 1);
  const length = frame.readInt32BE(7);
  return length === -1 ? null : frame.subarray(11, 11 + length).toString('hex');
}

test('numbers, flags and texts', () => {
  assert.equal(binary(TYPE_OID.bool, 't'), '01');
  assert.equal(binary(TYPE_OID.bool, 'f'), '00');
  assert.equal(binary(TYPE_OID.int4, '-2'), 'fffffffe');
  assert.equal(binary(TYPE_OID.int8, '4294967296'), '0000000100000000');
  assert.equal(binary(TYPE_OID.text, 'ä'), 'c3a4');
  for (const typeOid of Object.values(TYPE_OID)) assert.equal(binary(typeOid, null), null);
});

/** As numeric_send() has them: number of groups, weight, sign, digits behind the point, groups of four digits. */
test('NUMERIC has no group of zeros at either end', () => {
  const expected: [text: string, bytes: string][] = [
    ['0', '0000000000000000'],
    ['1', '00010000000000000001'],
    ['10000', '00010001000000000001'],
    ['12345678', '000200010000000004d2162e'],
    ['1.5', '000200000000000100011388'],
    ['0.05', '0001ffff0000000201f4'],
    ['-2.25', '0002000040000002000209c4'],
    ['0.000', '0000000000000003'],
  ];
  for (const [text, bytes] of expected) assert.equal(binary(TYPE_OID.numeric, text), bytes, text);
});
