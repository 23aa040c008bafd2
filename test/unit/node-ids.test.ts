// Which trees of statements are the same.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { isSameNode, loadSqlParser, NodeIds, type SqlParser } from '@pgdog-cluster/core';

let parser: SqlParser;
before(async () => {
  parser = await loadSqlParser();
});

function treeOf(sql: string) {
  const parsed = parser.parse(`SELECT ${sql}`);
  assert.ok(Array.isArray(parsed));
  return parsed[0].node;
}

describe('trees', () => {
  const SAME: [string, string][] = [
    ['a + 1', 'a   +  /* x */ 1'],
    ['"a"', 'A'],
    ['f(a, b), c', 'f( a,b ) , c'],
    ['(a)', 'a'],
  ];
  const OTHER: [string, string][] = [
    ['a + 1', 'a + 2'],
    ['a + 1', "a + '1'"],
    ['f(a, b)', 'f(b, a)'],
    ['f(a)', 'f(a, a)'],
    ['f(a)', 'f(DISTINCT a)'],
    ['f(DISTINCT a)', 'f(a)'],
    ['a', 'a.a'],
    ['1', '1, 1'],
    ['NULL', 'true'],
  ];
  const judge = (one: string, other: string): boolean[] => {
    const [a, b] = [treeOf(one), treeOf(other)];
    const ids = new NodeIds();
    return [ids.of(a) === ids.of(b), isSameNode(a, b)];
  };
  for (const [one, other] of SAME)
    it(`${one} is ${other}`, () => assert.deepEqual(judge(one, other), [true, true]));
  for (const [one, other] of OTHER)
    it(`${one} is not ${other}`, () => assert.deepEqual(judge(one, other), [false, false]));

  it('made anew of the same parts are the same', () => {
    const ids = new NodeIds();
    const tree = treeOf('a + b');
    assert.equal(ids.of(tree), ids.of({ ...tree }));
    assert.equal(ids.of({ ...tree, location: 7, missing: undefined }), ids.of(tree));
  });
});
