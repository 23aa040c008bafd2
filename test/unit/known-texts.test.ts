// Texts that are found without reading their shape: the shape must be that of what they are found by.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readShape, SeededRandom, SHAPE_KEPT, SHAPE_READ, shape } from '@pgdog-cluster/core';
import { FigureSlots, KnownTexts, QueryFigures } from '@pgdog-cluster/worker';
import { readWholeCorpus } from '../support/corpus.js';

const fraction = (random: SeededRandom): number => random.below(1_000_000) / 1_000_000;

test('texts that are found without reading their shape have the shape of what they are found by', () => {
  const random = new SeededRandom(11);
  const slots = new FigureSlots();
  let foundCount = 0;
  const extra = [
    'SELECT 1.5, .5, 1., 1e5, 0x1f, 1_000, 17',
    'SELECT t1.a1, "1 2", $1, $2 FROM t1 WHERE a=1 AND b=$12',
    "SELECT '1', E'\\1', $$1$$, $a1$1$a1$, U&'\\0041' -- 1",
    "SELECT current_setting('app.1'), 1",
    'VALUES (1), (2147483647), (2147483648), (30000000000)',
    'SELECT a[1], a[1:2], -1, +1, 1-1, 12::int4',
  ];
  for (const sql of [...readWholeCorpus(), ...extra]) {
    const texts = new KnownTexts();
    const bytes = Buffer.from(sql);
    const shapeOfSql = writtenShape(sql);
    if (shapeOfSql === null) continue;
    const isExact = (shape.flags & SHAPE_KEPT) !== 0;
    texts.find('shop', bytes, 0, bytes.length);
    texts.keep(bytes, 0, bytes.length, new QueryFigures(slots, 'shop', shapeOfSql, 0), isExact);
    const kept = texts.find('shop', bytes, 0, bytes.length);
    if (bytes.length <= 4096) assert.ok(kept !== null, sql);
    assert.equal(texts.find('books', bytes, 0, bytes.length), null);
    for (let round = 0; round < 30; round++) {
      const changed = changedDigits(sql, random);
      const other = Buffer.from(changed);
      const found = texts.find('shop', other, 0, other.length);
      if (found === null) continue;
      if (changed !== sql) foundCount++;
      assert.equal(found.text, writtenShape(changed), `${sql}\n${changed}`);
    }
  }
  assert.ok(foundCount > 2000, String(foundCount));
});

/** What texts of one shape have in common, and no others. */
function writtenShape(sql: string): string | null {
  const bytes = Buffer.from(sql);
  if (readShape(bytes, 0, bytes.length) !== SHAPE_READ) return null;
  return `${Buffer.from(shape.bytes.subarray(0, shape.length)).toString('latin1')} ${shape.flags & 3}`;
}

test('no text made of odd tokens is found by one of another shape', () => {
  const random = new SeededRandom(5);
  const tokens = [
    ...[' ', '\n', ',', '(', ')', '-', '--', '/*', '*/', '.', '..', '::', '\\', ';', '[', ']', '_', 'e', 'é'],
    ...[
      "'",
      "''",
      "E'",
      "b'",
      '$$',
      '$a$',
      '$1',
      '$12',
      '0x',
      '0b',
      '1e',
      '1',
      '12',
      '1.5',
      '.5',
      '1_0',
      '1e5',
    ],
    ...[
      '2147483647',
      '2147483648',
      '999999999',
      '00',
      'in(',
      'values(',
      'array[',
      'current_setting(',
      'x',
      'a1',
    ],
  ];
  const slots = new FigureSlots();
  let foundCount = 0;
  for (let round = 0; round < 60_000; round++) {
    const sql = Array.from({ length: 1 + random.below(9) }, () => tokens[random.below(tokens.length)]).join(
      '',
    );
    const kept = writtenShape(sql);
    if (kept === null) continue;
    const texts = new KnownTexts();
    const bytes = Buffer.from(sql);
    const isExact = (shape.flags & SHAPE_KEPT) !== 0;
    texts.keep(bytes, 0, bytes.length, new QueryFigures(slots, 'shop', kept, 0), isExact);
    const other = sql.replace(/[0-9]+/g, (digits) =>
      random.below(3) === 0 ? digits : String(random.below(random.below(2) === 0 ? 100 : 4_294_967_296)),
    );
    const found = texts.find('shop', Buffer.from(other), 0, Buffer.byteLength(other));
    if (found === null) continue;
    if (other !== sql) foundCount++;
    assert.equal(writtenShape(other), kept, `${sql}\n${other}`);
  }
  assert.ok(foundCount > 1000, String(foundCount));
});

/** Some of the digits are others, more or fewer; now and then another character is. */
function changedDigits(sql: string, random: SeededRandom): string {
  let text = '';
  for (const char of sql) {
    const isDigit = char >= '0' && char <= '9';
    const chance = fraction(random);
    if (isDigit && chance < 0.1) text += `${Math.floor(fraction(random) * 1000)}`;
    else if (isDigit && chance < 0.4) text += Math.floor(fraction(random) * 10);
    else if (isDigit && chance < 0.45) continue;
    else if (chance < 0.0005) text += fraction(random) < 0.5 ? '7' : 'e';
    else text += char;
  }
  return text;
}
