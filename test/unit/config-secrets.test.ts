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

test('openmetrics_token: text, variable or file, nowhere to be seen, and nothing that no header could say', () => {
  const config = (general: string) => `[general]\nopenmetrics_port = 9930\n${general}\n${DATABASE}`;
  const token = `${MARK}-${MARK}-${MARK}`;
  for (const [general, more] of [
    [`openmetrics_token = "${token}"`, {}],
    ['openmetrics_token = { env = "T" }', { environment: { T: token } }],
    ['openmetrics_token = { file = "t.txt" }', { files: { 't.txt': `${token}\n` } }],
    ['', { environment: { PGDOG_OPENMETRICS_TOKEN: token } }],
  ] as const) {
    const loaded = load({ config: config(general), users: USER, ...more });
    assert.equal(loaded.httpToken?.reveal(), token);
    const shown = [JSON.stringify(loaded), inspect(loaded, { depth: null, showHidden: true })];
    assert.ok(![...shown, JSON.stringify(listSettings(loaded))].join().includes(MARK));
    assert.deepEqual(loaded.warnings, []);
  }
  assert.equal(load({ config: config(''), users: USER }).httpToken, null);
  for (const wrong of ['', 'fifteen_letters', `${token} x`, `${token}é`, `${token}\\n`]) {
    const [error] = errorsOf({ config: config(`openmetrics_token = "${wrong}"`), users: USER });
    assert.match(error, /general\.openmetrics_token: (expected 16 or more visible ASCII|is empty)/, wrong);
    assert.ok(!error.includes(MARK), error);
  }
  for (const [host, count] of [
    ['0.0.0.0', 1],
    ['10.0.0.1', 1],
    ['::1', 0],
    ['127.0.0.2', 0],
    ['localhost', 0],
  ] as const) {
    const { warnings } = load({ config: config(`openmetrics_host = "${host}"`), users: USER });
    assert.equal(warnings.length, count, host);
  }
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
