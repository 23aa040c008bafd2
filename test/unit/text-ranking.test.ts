/** Texts whose order a server tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TextRanking } from '@pgdog-cluster/core';

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const hex = (text: string): string => Buffer.from(text).toString('hex');

function noted(...texts: string[]): TextRanking {
  const ranking = new TextRanking();
  for (const text of texts) ranking.of('"sv"').note(bytesOf(text), 0, Buffer.byteLength(text));
  return ranking;
}

/** Its places are read one at a time. */
function take(ranking: TextRanking, values: readonly (string | null)[]): boolean {
  if (!ranking.begin(values)) return false;
  for (;;) {
    const progress = ranking.step(1);
    if (progress !== 'more') return progress === 'done';
  }
}

function compare(ranking: TextRanking, one: string, other: string): number {
  const [a, b] = [bytesOf(one), bytesOf(other)];
  return ranking.of('"sv"').order(a, 0, a.length, b, 0, b.length);
}

test('each text is asked for once, in digits', () => {
  const ranking = noted('b', "quo'te", 'b', '', 'ä');
  const question = ranking.question() ?? '';
  assert.ok(question.includes(`'${hex('b')},${hex("quo'te")},,${hex('ä')}'`), question);
  assert.ok(question.includes('COLLATE "sv"'));
});

test('their places are those that are told', () => {
  const ranking = noted('b', 'a', 'Ä');
  assert.ok(take(ranking, ['3,1,2']));
  assert.equal(compare(ranking, 'Ä', 'b'), -1);
  assert.equal(compare(ranking, 'a', 'b'), 1);
  assert.equal(compare(ranking, 'a', 'a'), 0);
  // 2: of a text that nobody has asked for nothing is known.
  assert.equal(compare(ranking, 'a', 'c'), 2);
});

test('of one text, or none, there is nothing to ask', () => {
  assert.equal(noted().question(), null);
  assert.equal(noted('a', 'a').question(), null);
  const ranking = noted('a');
  assert.ok(take(ranking, []));
  assert.equal(compare(ranking, 'a', 'a'), 0);
});

test('of several collations each is asked for by itself', () => {
  const ranking = noted('a', 'b');
  for (const text of ['x', 'y', 'z']) ranking.of('"de"').note(bytesOf(text), 0, 1);
  ranking.of('"fr"').note(bytesOf('q'), 0, 1);
  const question = ranking.question() ?? '';
  assert.equal(question.split('string_agg').length - 1, 2);
  assert.ok(take(ranking, ['2,1', '1,3,2']));
  assert.equal(compare(ranking, 'a', 'b'), 1);
  const [z, y] = [bytesOf('z'), bytesOf('y')];
  assert.equal(ranking.of('"de"').order(z, 0, 1, y, 0, 1), -1);
});

for (const [what, values] of [
  ['none', []],
  ['NULL', [null]],
  ['too few', ['1']],
  ['too many', ['1,2,3']],
  ['one of them twice', ['1,1']],
  ['a number that there is not', ['1,3']],
  ['0', ['0,1']],
  ['no number', ['1,x']],
  ['a fraction', ['1,1.5']],
  ['a comma too many', ['1,2,']],
  ['a comma ahead', [',1,2']],
  ['a number without end', ['9'.repeat(400)]],
  ['nothing', ['']],
  ['two values', ['1,2', '1,2']],
] as const) {
  test(`no answer to the question: ${what}`, () => {
    assert.equal(take(noted('a', 'b'), values), false);
  });
}

test('they may be too many, or too long', () => {
  assert.equal(noted('a', 'b').isFull, false);
  assert.equal(noted('x'.repeat(8 * 1024 * 1024), 'y').isFull, true);
  const ranking = new TextRanking();
  const texts = ranking.of('"sv"');
  for (let i = 0; i <= 200_000; i++) {
    const bytes = bytesOf(String(i));
    texts.note(bytes, 0, bytes.length);
  }
  assert.equal(ranking.isFull, true);
});

test('what is kept is counted', () => {
  const ranking = noted('a'.repeat(1000));
  assert.ok(ranking.usedBytes > 1000 && ranking.usedBytes < 4000);
});
