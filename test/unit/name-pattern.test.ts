// Which names a pattern is for, what its stars stand for, and whether two patterns have a name in common.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  byExactness,
  firstMatch,
  isListed,
  literalLength,
  matchPattern,
  patternsMeet,
} from '@pgdog-cluster/core';

test('a star stands for one character or more', () => {
  const cases: [pattern: string, name: string, stars: string[] | null][] = [
    ['*', 'a', ['a']],
    ['*', '', null],
    ['tenant_*', 'tenant_1', ['1']],
    ['tenant_*', 'tenant_', null],
    ['tenant_*', 'Tenant_1', null],
    ['tenant_*', 'xtenant_1', null],
    ['*_prod', 'a_prod', ['a']],
    ['*_prod', 'a_prod2', null],
    ['a*b', 'ab', null],
    ['a*b', 'axb', ['x']],
    ['a*a', 'aa', null],
    ['a*a', 'aaa', ['a']],
    ['*_*', 'a_b_c', ['a', 'b_c']],
    ['*_*_x', 'a_b_c_x', ['a', 'b_c']],
    ['*ab*ab*', 'xabyabz', ['x', 'y', 'z']],
    ['*ab*ab*', 'xababz', null],
    ['plain', 'plain', []],
    ['plain', 'plain2', null],
    // Signs that mean something elsewhere mean themselves.
    ['a.*', 'a.b', ['b']],
    ['a.*', 'axb', null],
    ['[a]*', '[a]1', ['1']],
  ];
  for (const [pattern, name, stars] of cases)
    assert.deepEqual(matchPattern(pattern, name), stars, `${pattern} ${name}`);
});

test('by chance: what is made of a pattern fits it, and stars put together again give the name', () => {
  let seed = 7;
  const next = (below: number) => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed % below;
  };
  const text = (length: number) => Array.from({ length }, () => 'ab_'[next(3)]).join('');
  for (let round = 0; round < 3000; round++) {
    const texts = Array.from({ length: 2 + next(3) }, () => text(next(3)));
    const pattern = texts.join('*');
    const name = texts.reduce((whole, part) => whole + text(1 + next(3)) + part);
    const stars = matchPattern(pattern, name);
    assert.ok(stars !== null, `${pattern} fits ${name}`);
    assert.equal(
      texts.slice(1).reduce((whole, part, index) => whole + stars[index] + part, texts[0]),
      name,
    );
    const other = Array.from({ length: 1 + next(3) }, () => text(next(3))).join('*');
    if (matchPattern(other, name) !== null)
      assert.ok(patternsMeet(pattern, other), `${pattern} and ${other} at ${name}`);
  }
});

test('two patterns meet where there is a name for both', () => {
  const meeting = [
    ['*', 'a'],
    ['a*', '*b'],
    ['a*', 'ab*'],
    ['tenant_*', 'tenant_1'],
    ['*_a_*', 'x*y'],
  ];
  const apart = [
    ['a*', 'b*'],
    ['*a', '*b'],
    ['a', 'b'],
    ['tenant_*', 'tenant_'],
    ['a*', 'a'],
    ['*_*', 'ab'],
  ];
  for (const [one, other] of meeting) {
    assert.ok(patternsMeet(one, other), `${one} ${other}`);
    assert.ok(patternsMeet(other, one), `${other} ${one}`);
  }
  for (const [one, other] of apart) {
    assert.ok(!patternsMeet(one, other), `${one} ${other}`);
    assert.ok(!patternsMeet(other, one), `${other} ${one}`);
  }
});

test('the pattern with more text of its own comes first', () => {
  const patterns = ['*', 'tenant_*', 'tenant_a*'].map((pattern) => ({ pattern })).sort(byExactness);
  assert.equal(firstMatch(patterns, 'tenant_ab')?.pattern, 'tenant_a*');
  assert.equal(firstMatch(patterns, 'tenant_b')?.pattern, 'tenant_*');
  assert.equal(firstMatch(patterns, 'x')?.pattern, '*');
  assert.equal(firstMatch(patterns.slice(0, 2), 'x'), null);
  assert.equal(literalLength('a*b*'), 2);
  assert.ok(isListed('a*', 'ab') && isListed('ab', 'ab') && !isListed('a', 'ab'));
});
