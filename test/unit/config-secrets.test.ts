import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { listSettings } from '@pgdog-cluster/core/config';
import { DATABASE, errorsOf, load, USER } from '../support/load-configuration.js';

const MARK = 'sw0rdfish';

const SECRETS = {
  config: `${DATABASE}password = "${MARK}1"\n[admin]\npassword = { file = "admin.txt" }\n`,
  users: `${USER.replace('hunter2', `${MARK}2`)}passwords = ["${MARK}3", { env = "P" }]\nserver_password = "${MARK}4"\n`,
  urls: [`postgres://u:${MARK}5@h/other?password=${MARK}6`],
  environment: {
    P: `${MARK}7`,
    PGDOG_ADMIN_PASSWORD: `${MARK}8`,
    PGDOG_DATABASE_URL_1: `postgres://v:${MARK}9@h/third`,
  },
  files: { 'admin.txt': `${MARK}0\r\n` },
};

test('a loaded configuration prints without its secrets', () => {
  const loaded = load(SECRETS);
  for (const text of [
    JSON.stringify(loaded),
    inspect(loaded, { depth: null, showHidden: true }),
    inspect(loaded, { depth: null, customInspect: false, showHidden: true }),
    JSON.stringify(listSettings(loaded)),
    String(loaded.users[0].passwords),
  ]) {
    assert.ok(!text.includes(MARK), text);
  }
});

test('secrets come from text, variable and file', () => {
  const loaded = load(SECRETS);
  assert.deepEqual(
    loaded.users[0].passwords.map((secret) => secret.reveal()),
    [`${MARK}2`, `${MARK}3`, `${MARK}7`],
  );
  assert.equal(loaded.users[0].serverPassword?.reveal(), `${MARK}4`);
  assert.equal(
    loaded.admin.password?.reveal(),
    `${MARK}0`,
    'the file wins over the variable, its line end is dropped',
  );
  assert.equal(loaded.databases[0].serverPassword?.reveal(), `${MARK}1`);
  assert.equal(loaded.databases[1].serverPassword?.reveal(), `${MARK}6`);
  assert.equal(loaded.users[1].passwords[0].reveal(), `${MARK}5`);
  assert.equal(loaded.users[2].passwords[0].reveal(), `${MARK}9`);
});

/** Mistakes beside or in a secret: none of the messages may quote it. */
const MISTAKES: [string, Parameters<typeof errorsOf>[0]][] = [
  ['syntax error on the same line', { config: DATABASE, users: `[[users]]\npassword = "${MARK}" x\n` }],
  ['unterminated', { config: DATABASE, users: `[[users]]\npassword = "${MARK}\nname = "a"\n` }],
  ['unquoted', { config: DATABASE, users: `[[users]]\npassword = ${MARK}\n` }],
  ['bad escape', { config: DATABASE, users: `[[users]]\npassword = "\\q${MARK}"\n` }],
  ['line before', { config: DATABASE, users: `[[users]]\npassword = "${MARK}"\nname = \n` }],
  ['list for one', { config: DATABASE, users: `${USER}server_password = ["${MARK}"]\n` }],
  ['table of the wrong kind', { config: DATABASE, users: `${USER}server_password = { text = "${MARK}" }\n` }],
  [
    'table with a number',
    { config: DATABASE, users: `${USER}server_password = { env = 5, x = "${MARK}" }\n` },
  ],
  ['verifier', { config: DATABASE, users: `${USER}password_hash = "${MARK}"\n` }],
  ['misspelled key', { config: DATABASE, users: `${USER}pasword = "${MARK}"\n` }],
  ['one text for a list', { config: DATABASE, users: `${USER}passwords = "${MARK}"\n` }],
  ['URL, port', { urls: [`postgres://u:${MARK}@h:port/d`] }],
  ['URL, slash in the password', { urls: [`postgres://u:${MARK}/x@h/d`] }],
  ['URL, hash in the password', { urls: [`postgres://u:${MARK}#@h/d`] }],
  ['URL, broken percent', { urls: [`postgres://u:${MARK}%zz@h/d`] }],
  ['URL, scheme', { urls: [`mysql://u:${MARK}@h/d`] }],
  ['URL, parameter', { urls: [`postgres://u:a@h/d?pasword=${MARK}`] }],
  ['variable', { environment: { PGDOG_DATABASE_URL_1: `postgres://u:${MARK}@h:x/d` } }],
];

for (const [name, texts] of MISTAKES) {
  test(`no secret in the message: ${name}`, () => {
    const errors = errorsOf(texts);
    assert.notEqual(errors.length, 0);
    assert.ok(!errors.join('\n').includes(MARK), errors.join('\n'));
  });
}
