/** ADD, ALTER and DROP as text: what is read, how it is written, what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { PgDogError } from '@pgdog-cluster/core';
import { commandText, parseChange, splitCommands } from 'pgdog-cluster';

function refusal(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    if (error instanceof PgDogError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'no refusal';
}

test('commands are read as SQL is: names in lower case, texts in single quotes; and written so that they read the same', () => {
  const cases: [string, string][] = [
    ["ADD DATABASE Shop host = 'H', port=5433 PERSIST", `ADD DATABASE "shop" host = 'H', port = 5433`],
    [
      `add user "O""X" password='it''s' all_databases=on`,
      `ADD USER "O""X" password = 'it''s', all_databases = true`,
    ],
    [
      "ADD USER x databases = ('a', 'b') password = env('P')",
      `ADD USER "x" databases = ('a', 'b'), password = env('P')`,
    ],
    ["ADD USER x database=y password = file('/s')", `ADD USER "x" database = 'y', password = file('/s')`],
    [
      "ALTER DATABASE x WHERE host = 'h' AND shard = 1 SET pool_size = 3, user = DEFAULT",
      `ALTER DATABASE "x" WHERE host = 'h' AND shard = 1 SET pool_size = 3, user = DEFAULT`,
    ],
    ['ALTER DATABASE x read_only = off', 'ALTER DATABASE "x" read_only = false'],
    ['DROP DATABASE x WHERE role = replica', `DROP DATABASE "x" WHERE role = 'replica'`],
    ['DROP USER x PERSIST', 'DROP USER "x"'],
    ["ADD USER x passwords = ('a', 'b')", `ADD USER "x" passwords = ('a', 'b')`],
  ];
  for (const [text, expected] of cases) {
    const { change } = parseChange(splitCommands(text)[0]);
    const written = commandText({ ...change, source: '', line: 0 });
    assert.equal(written, expected);
    assert.deepEqual(inspect(parseChange(splitCommands(written)[0]).change), inspect(change));
  }
  assert.equal(parseChange(splitCommands('DROP USER x PERSIST')[0]).isPersisted, true);
  assert.equal(parseChange(splitCommands('DROP USER x')[0]).isPersisted, false);
});

test('what cannot be read is refused, and no value is in what is said about it', () => {
  const secret = 'hunter2';
  const cases: [string, RegExp][] = [
    ['ADD', /incomplete/],
    ['ADD POOL x', /expected DATABASE or USER/],
    ['ADD DATABASE', /incomplete/],
    ["ADD DATABASE 'x' host = 'h'", /expected the name of a database/],
    ['ADD DATABASE x', /ADD: expected key = value/],
    ['ADD DATABASE x host', /host: expected = and a value/],
    ['ADD DATABASE x host =', /incomplete/],
    ['ADD DATABASE x host = H', /host: a text stands in single quotes/],
    ['ADD DATABASE x host = 10.0.0.1', /expected key = value|not a number/],
    ["ADD DATABASE x host = 'h' host = 'i'", /host is said twice/],
    ["ADD DATABASE x name = 'y' host = 'h'", /a name stands before the keys/],
    ["ADD DATABASE x WHERE host = 'h'", /where: expected =/],
    [`ADD USER x password = ${secret}`, /password: a text stands in single quotes/],
    [`ADD USER x password = E'${secret}'`, /password: expected a text in plain single quotes/],
    [`ADD USER x password = $$${secret}$$`, /plain single quotes/],
    [`ADD USER x password = U&"${secret}"`, /plain single quotes/],
    [`ADD USER x password = file('${secret}')`, /password: expected an absolute path/],
    ["ADD USER x password = env('a', 'b')", /password: expected env/],
    ["ADD USER x databases = ('a'", /databases: expected , or \)/],
    [
      "ALTER DATABASE x WHERE user = 'y' SET pool_size = 1",
      /told apart by host, port, role, shard, not by user/,
    ],
    ['ALTER DATABASE x PERSIST', /ALTER: expected key = value/],
    ['DROP DATABASE x pool_size = 1', /DROP takes no keys/],
    ["ADD DATABASE x host = 'h' PERSIST port = 1", /PERSIST ends a command/],
  ];
  for (const [text, expected] of cases) {
    const said = refusal(() => parseChange(splitCommands(text)[0]));
    assert.match(said, /^admin_syntax /, text);
    assert.match(said, expected, text);
    assert.equal(said.includes(secret), false, text);
  }
});
