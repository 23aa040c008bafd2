import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from '@pgdog-cluster/core/config';
import { errorsOf, load } from '../support/load-configuration.js';

const DATABASES = ['shop', 'b', 'c'].map((name) => `[[databases]]\nname = "${name}"\nhost = "h"\n`).join('');
const users = '[[users]]\nname = "app"\nall_databases = true\npassword = "hunter2"\n';

/** Entries from line 10 on, three lines each. */
const withMirrors = (pairs: string[][], rest = '') => ({
  config: `${DATABASES}${pairs
    .map(
      ([source, destination]) =>
        `[[mirroring]]\nsource_db = "${source}"\ndestination_db = "${destination}"\n`,
    )
    .join('')}${rest}`,
  users,
});

test('defaults come from [general], and an entry has the last word', () => {
  const pairs = [['shop', 'b']];
  const plain = { source: 'shop', destination: 'b', queueLengthMax: 128, exposure: 1, level: 'all' };
  assert.deepEqual(load(withMirrors(pairs)).mirrors, [plain]);
  const general = '[general]\nmirror_queue = 7\nmirror_exposure = 0.25\n';
  assert.deepEqual(load(withMirrors(pairs, general)).mirrors, [
    { ...plain, queueLengthMax: 7, exposure: 0.25 },
  ]);
  const own = 'queue_length = 9\nexposure = 0\nlevel = "ddl"\n';
  assert.deepEqual(load(withMirrors(pairs, own + general)).mirrors, [
    { ...plain, queueLengthMax: 9, exposure: 0, level: 'ddl' },
  ]);
  assert.deepEqual(load({ config: DATABASES, users }).mirrors, []);
});

test('several destinations of one source, and chains, are fine', () => {
  const { mirrors, warnings } = load(
    withMirrors([
      ['shop', 'b'],
      ['shop', 'c'],
      ['b', 'c'],
    ]),
  );
  assert.equal(mirrors.length, 3);
  assert.deepEqual(warnings, []);
});

test('a database that is not there is named, with the nearest one', () => {
  const [destination, source] = errorsOf(
    withMirrors([
      ['shop', 'shpo'],
      ['nowhere', 'b'],
    ]),
  );
  assert.match(
    destination,
    /^pgdog\.toml:12: mirroring\[\w+\]\.destination_db: no database "shpo" is configured; .*shop/,
  );
  assert.match(source, /^pgdog\.toml:14: mirroring\[\w+\]\.source_db: no database "nowhere" is configured/);
});

test('no mirror onto itself; the others of that database are not blamed for it', () => {
  const errors = errorsOf(
    withMirrors([
      ['shop', 'shop'],
      ['shop', 'b'],
    ]),
  );
  assert.equal(errors.length, 1);
  assert.match(errors[0], /destination_db: "shop" cannot be mirrored onto itself$/);
});

test('no circles, of two or of three', () => {
  const two = errorsOf(
    withMirrors([
      ['shop', 'b'],
      ['b', 'shop'],
    ]),
  );
  assert.equal(two.length, 2);
  assert.match(two[0], /mirrors go round in a circle: "shop" to "b" to "shop"$/);
  const three = errorsOf(
    withMirrors([
      ['shop', 'b'],
      ['b', 'c'],
      ['c', 'shop'],
    ]),
  );
  assert.match(three[0], /"shop" to "b" to "c" to "shop"$/);
});

test('not the same twice, no unknown keys, levels or shares', () => {
  assert.match(
    errorsOf(
      withMirrors([
        ['shop', 'b'],
        ['shop', 'b'],
      ]),
    )[0],
    /is mirrored to "b" already$/,
  );
  const wrong: [string, RegExp][] = [
    ['level = "dcl"\n', /\.level: expected/],
    ['exposure = 1.5\n', /\.exposure: expected/],
    ['queue_length = 0\n', /\.queue_length: expected/],
    ['lenght = 1\n', /\.lenght: unknown key/],
  ];
  for (const [line, expected] of wrong)
    assert.match(errorsOf(withMirrors([['shop', 'b']], line))[0], expected);
  assert.match(
    errorsOf({ config: `${DATABASES}[[mirroring]]\nsource_db = "b"\n`, users })[0],
    /destination_db/,
  );
});

test('session mode is warned of: its clients are not mirrored', () => {
  const texts = withMirrors([['shop', 'b']], '[general]\npooler_mode = "session"\n');
  assert.deepEqual(
    load(texts).warnings.map((problem) => formatProblem(problem).split(': ').slice(-1)[0]),
    ['clients in session mode are not mirrored'],
  );
});
