import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactTable, outdatedRows, withTable } from '../oracle/oracle-table.js';

const EMPTY = 'text\n<!-- oracle: begin -->\n<!-- oracle: end -->\nmore';

test("a document's table is told from what has been found, to the number", () => {
  const found = new Map([
    ['a, b', { equal: 13, refused: 4 }],
    ['c', { equal: 1, refused: 0 }],
  ]);
  const document = withTable(EMPTY, exactTable(found));
  assert.deepEqual(outdatedRows(document, found), []);
  assert.deepEqual(
    outdatedRows(
      document,
      new Map([
        ['a, b', { equal: 12, refused: 5 }],
        ['d', { equal: 1, refused: 1 }],
      ]),
    ),
    [
      'a, b: 12 equal and 5 refused, it says 13 and 4',
      'd: is not in it',
      'all: 13 equal and 6 refused, it says 14 and 4',
      'c: is only in it',
    ],
  );
  assert.deepEqual(outdatedRows(document.replace('14', '15'), found), [
    'all: 14 equal and 4 refused, it says 15 and 4',
  ]);
});

test('but for cases that are answered or refused by the number of a client, as many as there are', () => {
  const told = new Map([['a', { equal: 13, refused: 4, byHome: 2 }]]);
  const document = withTable(EMPTY, exactTable(told));
  for (const [equal, refused] of [
    [11, 6],
    [15, 2],
  ]) {
    assert.deepEqual(outdatedRows(document, new Map([['a', { equal, refused, byHome: 2 }]])), []);
    assert.equal(outdatedRows(document, new Map([['a', { equal, refused, byHome: 1 }]])).length, 2);
  }
  const fewer = new Map([['a', { equal: 12, refused: 4, byHome: 2 }]]);
  assert.equal(outdatedRows(document, fewer).length, 2);
});
