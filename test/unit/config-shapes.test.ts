/** What is no table where one is expected, and tables in the wrong file: told in the words of the file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATABASE, errorsOf, USER } from '../support/load-configuration.js';

test('what is no table is told how one begins', () => {
  const cases: [string, string][] = [
    [`general = 3\n${DATABASE}`, 'pgdog.toml:1: general: expected a table, [general], got 3'],
    [`[[general]]\nport = 1\n${DATABASE}`, 'pgdog.toml:1: general: expected a table, [general], got a list'],
    ['databases = [3]\n', 'pgdog.toml:1: databases[0]: expected a table, [[databases]], got 3'],
  ];
  for (const [config, expected] of cases) {
    assert.ok(
      errorsOf({ config, users: USER }).includes(expected),
      errorsOf({ config, users: USER }).join('\n'),
    );
  }
});

test('users in pgdog.toml are told where they belong', () => {
  const errors = errorsOf({ config: `${DATABASE}${USER}`, users: USER });
  assert.ok(
    errors.some((text) =>
      text.endsWith('users: unknown key: [[users]] stand in users.toml, or in a file that `include` names'),
    ),
    errors.join('\n'),
  );
});
