import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearestKey, TomlPositions } from '@pgdog-cluster/core/config';

const DOCUMENT = `# [general]
a = 1
general.port = 2 # dotted
"quoted key".'other' = """
text = 3
[not_a_table]
\\""" """
lines = '''
[[fake]]
'''

[ spaced . "table" ]
  key = [ 1, # comment ] with bracket
    { x = "]", y = 2 },
    [3]]
[[list]]
name = "a"
[list.inner]
b = 1
[[list]]
name = 'b # not a comment'
inline = { one = 1, two.three = "}" , four = [ { five = 5 } ] }
[[list.sub]]
z = 1
[[list.sub]]
z = 2
esc."\\u0061b" = 1
`;

const LINES: [(string | number)[], number][] = [
  [['a'], 2],
  [['general'], 3],
  [['general', 'port'], 3],
  [['quoted key', 'other'], 4],
  [['text'], 0],
  [['not_a_table'], 0],
  [['lines'], 8],
  [['fake'], 0],
  [['spaced', 'table'], 12],
  [['spaced', 'table', 'key'], 13],
  [['spaced', 'table', 'key', 1, 'y'], 14],
  [['spaced', 'table', 'key', 2], 15],
  [['list', 0], 16],
  [['list', 0, 'name'], 17],
  [['list', 0, 'inner', 'b'], 19],
  [['list', 1], 20],
  [['list', 1, 'name'], 21],
  [['list', 1, 'inline', 'two', 'three'], 22],
  [['list', 1, 'inline', 'four', 0, 'five'], 22],
  [['list', 1, 'sub', 0, 'z'], 24],
  [['list', 1, 'sub', 1, 'z'], 26],
  [['list', 1, 'sub', 1, 'esc', 'ab'], 27],
];

for (const ending of ['\n', '\r\n']) {
  test(`lines of keys, ${JSON.stringify(ending)}`, () => {
    const positions = new TomlPositions(DOCUMENT.replaceAll('\n', ending));
    for (const [path, line] of LINES) assert.equal(positions.lineOf(path), line, path.join('.'));
  });
}

test('a key without a line has that of its nearest ancestor', () => {
  assert.equal(new TomlPositions(DOCUMENT).lineOf(['list', 1, 'absent', 'deep']), 20);
});

test('the scanner ends on any text', () => {
  for (let length = 0; length <= DOCUMENT.length; length++) new TomlPositions(DOCUMENT.slice(0, length));
  for (const text of [
    '[',
    '[[',
    '=',
    '{',
    'a = {',
    'a = {}}',
    'a = [',
    'a=[[[[',
    '"',
    '"""',
    "'",
    ']',
    'a = {,}',
    '\0',
    'a.=1',
    '['.repeat(5000),
    `a = ${'['.repeat(5000)}`,
  ]) {
    new TomlPositions(text);
  }
});

test('edit distance', () => {
  const cases: [string, string, number][] = [
    ['', '', 0],
    ['', 'abc', 3],
    ['port', 'prot', 1],
    ['kitten', 'sitting', 3],
    ['abc', 'abc', 0],
    ['abcd', 'acbd', 1],
  ];
  for (const [source, target, distance] of cases) {
    assert.equal(editDistance(source, target), distance, `${source} ${target}`);
    assert.equal(editDistance(target, source), distance, `${target} ${source}`);
  }
});

test('nearest key: only when near', () => {
  const known = ['port', 'host', 'workers', 'min_pool_size'];
  assert.equal(nearestKey('Port', known), 'port');
  assert.equal(nearestKey('worker', known), 'workers');
  assert.equal(nearestKey('pool_min_size', known), 'min_pool_size');
  assert.equal(
    nearestKey('pool_size', ['connect_timeout', 'default_pool_size', 'max_pool_size']),
    'default_pool_size',
  );
  assert.equal(nearestKey('timeout', ['connect_timeout']), null);
  assert.equal(nearestKey('zzzzzz', known), null);
  assert.equal(nearestKey('x'.repeat(100_000), known), null);
});
