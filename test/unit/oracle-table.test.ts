import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactTable, outdatedRows, withTable } from '../oracle/oracle-table.js';

const EMPTY = 'text\n<!-- oracle: begin -->\n<!-- oracle: end -->\nmore';

test("a document's table is told from what has been found, but for what a client's number decides", () => {
  const found = new Map([
    ['a, b', { equal: 13, refused: 4 }],
    ['c', { equal: 1, refused: 0 }],
  ]);
  const document = withTable(EMPTY, exactTable(found));
  assert.deepEqual(outdatedRows(document, found), []);
  assert.deepEqual(outdatedRows(document, new Map([['a, b', { equal: 11, refused: 6 }]])), []);
  assert.deepEqual(
    outdatedRows(
      document,
      new Map([
        ['a, b', { equal: 10, refused: 7 }],
        ['c', { equal: 2, refused: 0 }],
        ['d', { equal: 1, refused: 1 }],
      ]),
    ),
    [
      'a, b: 10 equal and 7 refused, it says 13 and 4',
      'c: 2 equal and 0 refused, it says 1 and 0',
      'd: is not in it',
    ],
  );
});
