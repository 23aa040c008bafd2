/** How keys become shards by mappings, sha1 and hash: text and binary alike, and unknown where a value cannot be read. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ShardFunction, type ShardMapping, type ShardRule, UNKNOWN_SHARD } from '@pgdog-cluster/core';

function functionOf(
  keyType: ShardRule['keyType'],
  mapping: readonly ShardMapping[],
  kind: ShardRule['function'] = 'mapped',
): ShardFunction {
  const rule: ShardRule = {
    schema: null,
    table: 't',
    column: 'k',
    keyType,
    function: kind,
    mapping,
    lookupQuery: null,
    lookupResult: 'shard',
  };
  return new ShardFunction(rule, 3);
}

const ofText = (rule: ShardFunction, text: string): number => {
  const bytes = Buffer.from(`x${text}y`);
  return rule.ofText(bytes, 1, bytes.length - 1);
};
const ofBinary = (rule: ShardFunction, value: Buffer): number => rule.ofBinary(value, 0, value.length);
const int8 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

test('integers: lists before ranges before the default, open ends, the start included and the end not', () => {
  const rule = functionOf('int8', [
    { kind: 'range', start: null, end: '-10', shard: 0 },
    { kind: 'range', start: '-10', end: '1000', shard: 1 },
    { kind: 'range', start: '9223372036854775807', end: null, shard: 0 },
    { kind: 'list', values: ['5', '7'], shard: 2 },
  ]);
  const expected: [bigint, number][] = [
    [-(2n ** 63n), 0],
    [-11n, 0],
    [-10n, 1],
    [5n, 2],
    [6n, 1],
    [7n, 2],
    [999n, 1],
    [1000n, UNKNOWN_SHARD],
    [2n ** 63n - 1n, 0],
  ];
  for (const [value, shard] of expected) {
    assert.equal(ofText(rule, String(value)), shard, String(value));
    assert.equal(ofBinary(rule, int8(value)), shard, String(value));
  }
  assert.equal(ofText(rule, '5.0'), UNKNOWN_SHARD);
  assert.equal(ofText(rule, ''), UNKNOWN_SHARD);
  assert.equal(ofText(functionOf('int8', [{ kind: 'default', shard: 2 }]), '12'), 2);
  assert.equal(functionOf('int8', [{ kind: 'default', shard: 2 }]).ofNull, 2);
  assert.equal(rule.ofNull, UNKNOWN_SHARD);
});

test('numeric by size, whatever the scale', () => {
  const rule = functionOf('numeric', [
    { kind: 'list', values: ['1.50', '-3'], shard: 0 },
    { kind: 'range', start: '1', end: '2.5', shard: 1 },
    { kind: 'default', shard: 2 },
  ]);
  for (const [text, shard] of [
    ['1.5', 0],
    ['1.500', 0],
    ['-3.00', 0],
    ['1', 1],
    ['2.4999', 1],
    ['2.50', 2],
    ['0.99', 2],
    ['NaN', UNKNOWN_SHARD],
  ] as const) {
    assert.equal(ofText(rule, text), shard, text);
  }
});

test('text byte by byte, uuid in any spelling, dates', () => {
  const text = functionOf('text', [
    { kind: 'range', start: 'a', end: 'm', shard: 0 },
    { kind: 'range', start: 'm', end: null, shard: 1 },
    { kind: 'list', values: ["it's"], shard: 2 },
  ]);
  assert.equal(ofText(text, 'lz'), 0);
  assert.equal(ofText(text, 'm'), 1);
  assert.equal(ofText(text, 'é'), 1);
  assert.equal(ofText(text, 'Z'), UNKNOWN_SHARD);
  assert.equal(ofText(text, "it's"), 2);
  const id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
  const uuid = functionOf('uuid', [{ kind: 'list', values: [id], shard: 1 }]);
  assert.equal(ofText(uuid, id.toUpperCase()), 1);
  assert.equal(ofText(uuid, `{${id}}`), 1);
  assert.equal(ofBinary(uuid, Buffer.from(id.replaceAll('-', ''), 'hex')), 1);
  const date = functionOf('date', [{ kind: 'range', start: '2024-01-01', end: '2025-01-01', shard: 2 }]);
  assert.equal(ofText(date, '2024-02-29'), 2);
  assert.equal(ofText(date, '2025-01-01'), UNKNOWN_SHARD);
  assert.equal(ofText(date, '01/02/2024'), UNKNOWN_SHARD);
});

test('sha1 of the text of a value, however it comes', () => {
  const expected = (text: string): number => createHash('sha1').update(text).digest().readUInt32BE(16) % 3;
  const integers = functionOf('int8', [], 'sha1');
  for (const value of [0n, -7n, 123456789012n]) {
    assert.equal(ofText(integers, ` ${value} `), expected(String(value)));
    assert.equal(ofBinary(integers, int8(value)), expected(String(value)));
  }
  const id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
  assert.equal(ofText(functionOf('uuid', [], 'sha1'), id.toUpperCase()), expected(id));
  assert.equal(ofText(functionOf('text', [], 'sha1'), 'ünï'), expected('ünï'));
});
