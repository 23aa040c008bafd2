/** Names that are remembered are what they would be if they were decoded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeName, decodeTextStrictly } from '@pgdog-cluster/core';
import { Chance } from '../chaos/chance.js';

test('of every kind and length, again and again, as UTF-8 or else byte by byte', () => {
  const seed = Date.now() % 1_000_000;
  const chance = new Chance(seed);
  const known: Uint8Array[] = [];
  for (let round = 0; round < 20_000; round++) {
    const isNew = known.length < 50 || chance.is(30);
    const name = isNew
      ? Uint8Array.from({ length: chance.between(0, 40) }, () => chance.between(0, chance.is(80) ? 127 : 255))
      : chance.pick(known);
    if (isNew) known.push(name);
    const start = chance.between(0, 5);
    const bytes = Buffer.concat([Buffer.alloc(start, 0x78), name, Buffer.from('rest')]);
    const end = start + name.length;
    assert.equal(
      decodeName(bytes, start, end),
      decodeTextStrictly(bytes, start, end) ?? bytes.toString('latin1', start, end),
      `seed ${seed}, round ${round}`,
    );
  }
});

test('names that differ in one byte, or in length alone, are not taken for each other', () => {
  const texts = ['', 'S_1', 'S_2', 'S_', 'S_1\0', 'é', 'x'.repeat(32), 'x'.repeat(33), `${'x'.repeat(31)}y`];
  for (let round = 0; round < 3; round++) {
    for (const text of texts) {
      const bytes = Buffer.from(text);
      assert.equal(decodeName(bytes, 0, bytes.length), text);
    }
  }
  assert.equal(decodeName(Buffer.from('abc'), 1, 9), 'bc', 'an end behind the bytes');
  // Not UTF-8: one each.
  assert.notEqual(decodeName(Buffer.from([0xe4]), 0, 1), decodeName(Buffer.from([0xf6]), 0, 1));
});
