/** Files that include others: what is found, in which order, what is refused, and what the watch sees of them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ConfigurationError, formatProblem, type LoadedConfig } from '@pgdog-cluster/core/config';
import koffi from 'koffi';
import { ConfigWatch, type KnownReads, loadConfig, matchesGlob, newReads } from 'pgdog-cluster';
import { eventually } from '../support/wire.js';

const mkfifo = koffi.load(null).func('int mkfifo(const char *path, unsigned int mode)');

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgdog-include-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

function load(
  files: Record<string, string> = {},
  onRead?: (path: string) => void,
  known?: KnownReads,
): LoadedConfig {
  write(files);
  const options = { config: join(folder, 'pgdog.toml'), users: join(folder, 'users.toml') };
  return loadConfig({ ...options, listen: [], databaseUrls: [], isSessionMode: false }, onRead, [], known);
}

/** Without the folder's name, which is another each time. */
function errorsOf(files: Record<string, string>): string[] {
  try {
    load(files);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const lines = error.problems.filter(({ severity }) => severity === 'error').map(formatProblem);
    return lines.map((line) => line.replaceAll(`${folder}/`, ''));
  }
}

const database = (name: string, more = '') => `[[databases]]\nname = "${name}"\nhost = "h"\n${more}\n`;
const user = (name: string, more = 'all_databases = true') =>
  `[[users]]\nname = "${name}"\npassword = "p"\n${more}\n`;
const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);

test('globs, directories and files, relative to the file that names them, in the order of their names', () => {
  const loaded = load({
    'pgdog.toml': `include = ["conf.d/*.toml", "tenants/", "one.toml", "none.d/*.toml", "groups/*/databases.toml"]\n${database('main')}`,
    'users.toml': `include = ["people/*.toml"]\n${user('main')}`,
    'conf.d/b.toml': database('b'),
    'conf.d/a.toml': `include = ["deeper/x.toml"]\n${database('a')}[general]\nquery_timeout = 7\n`,
    'conf.d/deeper/x.toml': database('x'),
    'conf.d/.hidden.toml': 'this is no TOML',
    'conf.d/a.toml~': 'nor this',
    'conf.d/folder.toml/inner.toml': 'nor this',
    'tenants/acme.toml': database('acme') + user('acme', 'database = "acme"'),
    'tenants/README': 'nor this',
    'one.toml': '[tcp]\nretries = 3\n',
    'groups/red/databases.toml': database('red'),
    'groups/blue/databases.toml': database('blue'),
    'groups/empty/other.toml': 'nor this',
    'people/eve.toml': `${user('eve')}${database('of_eve')}`,
  });
  assert.deepEqual(names(loaded.databases), ['main', 'a', 'x', 'b', 'acme', 'blue', 'red', 'of_eve']);
  assert.deepEqual(names(loaded.users), ['main', 'acme', 'eve']);
  assert.equal(loaded.general.query_timeout, 7);
  assert.equal(loaded.tcp.retries, 3);
});

test('what is wrong is told with file and line, also what only shows when all are seen', () => {
  const main = { 'users.toml': user('main'), 'conf.d/ok.toml': database('ok') };
  const including = (what: string, rest = database('main')) => `include = [${what}]\n${rest}`;
  const cases: [string, Record<string, string>, string[]][] = [
    [
      'missing file',
      { 'pgdog.toml': including('"no.toml"') },
      ['pgdog.toml:1: include[0]: no.toml: no such file or directory'],
    ],
    [
      'missing directory',
      { 'pgdog.toml': including('"no/"') },
      ['pgdog.toml:1: include[0]: "no/": no such file or directory'],
    ],
    [
      'no directory',
      { 'pgdog.toml': including('"conf.d/ok.toml/"') },
      ['pgdog.toml:1: include[0]: "conf.d/ok.toml/": is no directory'],
    ],
    [
      'a syntax error',
      { 'pgdog.toml': including('"conf.d/"'), 'conf.d/bad.toml': '\n\n[[databases\n' },
      ['conf.d/bad.toml:3: not valid TOML'],
    ],
    [
      'an unknown key',
      { 'pgdog.toml': including('"conf.d/"'), 'conf.d/bad.toml': database('bad', 'prot = 1') },
      ['conf.d/bad.toml:4: databases[0].prot: unknown key; did you mean "port"?'],
    ],
    [
      'a value that only shows as wrong beside others',
      {
        'pgdog.toml': including('"conf.d/"'),
        'conf.d/bad.toml': `\n${database('b', 'require_peer = "p"')}`,
      },
      ['conf.d/bad.toml:5: databases[0].require_peer: only a Unix socket'],
    ],
    [
      'a database twice',
      { 'pgdog.toml': including('"conf.d/*.toml"'), 'conf.d/z.toml': database('ok') },
      [
        'conf.d/z.toml:3: databases[0].host: "ok" has an entry for this host and port already (conf.d/ok.toml:2)',
      ],
    ],
    [
      'a user twice',
      { 'pgdog.toml': including('"conf.d/*.toml"'), 'conf.d/z.toml': user('main') },
      ['conf.d/z.toml:2: users[0].name: "main" has an entry for the same database already (users.toml:2)'],
    ],
    [
      'a setting twice',
      {
        'pgdog.toml': including('"conf.d/*.toml"', `[general]\nquery_timeout = 1\n${database('main')}`),
        'conf.d/z.toml': '[general]\nquery_timeout = 1\n',
      },
      ['conf.d/z.toml:2: general.query_timeout: is set already (pgdog.toml:3): one of them must go'],
    ],
    [
      'a file twice',
      { 'pgdog.toml': including('"conf.d/*.toml", "conf.d/../conf.d/ok.toml"') },
      ['pgdog.toml:1: include[1]: conf.d/ok.toml cannot be included: it is included already (pgdog.toml:1)'],
    ],
    [
      'a circle',
      { 'pgdog.toml': including('"conf.d/*.toml"'), 'conf.d/c.toml': 'include = ["../pgdog.toml"]' },
      ['conf.d/c.toml:1: include[0]: pgdog.toml cannot be included: it is read already'],
    ],
    [
      'users in pgdog.toml itself',
      { 'pgdog.toml': `${database('main')}${user('u')}` },
      ['pgdog.toml:5: users: unknown key'],
    ],
    [
      'two stars',
      { 'pgdog.toml': including('"**/*.toml"') },
      ['pgdog.toml:1: include[0]: "**/*.toml": ** is not'],
    ],
    ['no text', { 'pgdog.toml': including('7') }, ['pgdog.toml:1: include[0]: expected a text in quotes']],
  ];
  for (const [name, files, expected] of cases) {
    rmSync(folder, { recursive: true });
    const errors = errorsOf({ ...main, ...files });
    assert.equal(errors.length, expected.length, `${name}: ${errors.join('\n')}`);
    for (const [index, start] of expected.entries())
      assert.ok(errors[index]?.startsWith(start), `${name}: ${errors[index]}`);
  }
});

test('no deeper than eight, and a pipe is not waited for', () => {
  const files: Record<string, string> = {
    'pgdog.toml': `include = ["1.toml"]\n${database('main')}`,
    'users.toml': user('u'),
  };
  for (let depth = 1; depth <= 9; depth++) files[`${depth}.toml`] = `include = ["${depth + 1}.toml"]\n`;
  assert.deepEqual(errorsOf(files), ['8.toml:1: include[0]: files include each other more than 8 deep']);
  assert.equal(mkfifo(join(folder, 'pipe.toml'), 0o600), 0);
  assert.deepEqual(errorsOf({ 'pgdog.toml': `include = ["pipe.toml"]\n${database('main')}` }), [
    'pgdog.toml:1: include[0]: pipe.toml: is no file',
  ]);
});

test('secrets in files are relative to the file that names them; [admin] of users.toml and its own wins', () => {
  const loaded = load({
    'pgdog.toml': `include = ["a/db.toml"]\n${database('main')}`,
    'users.toml': `include = ["b/users.toml"]\n${user('main')}`,
    'a/db.toml': `[admin]\nuser = "root"\npassword = "weak"\n${database('x', 'password = { file = "x.secret" }')}`,
    'a/x.secret': 'beside a\n',
    'b/users.toml': '[admin]\npassword = { file = "x.secret" }\n',
    'b/x.secret': 'beside b\n',
  });
  assert.equal(loaded.databases[1]?.serverPassword?.reveal(), 'beside a');
  assert.equal(loaded.admin.user, 'root');
  assert.equal(loaded.admin.password?.reveal(), 'beside b');
});

test('globs', () => {
  const yes: [string, string][] = [
    ['*', 'a'],
    ['*.toml', 'a.toml'],
    ['a*b*c', 'aXbbYc'],
    ['a?c', 'abc'],
    ['.x*', '.xy'],
    ['**', 'a'],
  ];
  const no: [string, string][] = [
    ['*', '.a'],
    ['*.toml', '.toml'],
    ['*.toml', 'a.toml~'],
    ['a?c', 'ac'],
    ['a*b', 'a'],
    ['', 'a'],
  ];
  for (const [pattern, name] of yes) assert.equal(matchesGlob(pattern, name), true, `${pattern} ${name}`);
  for (const [pattern, name] of no) assert.equal(matchesGlob(pattern, name), false, `${pattern} ${name}`);
  const startedMs = Date.now();
  assert.equal(matchesGlob(`${'*a'.repeat(60)}b`, 'a'.repeat(255)), false);
  assert.ok(Date.now() - startedMs < 5000);
});

test('the watch sees files that come, go, are renamed into place, and the swap of a link to their directory', async () => {
  let seen = 0;
  let loaded = load({
    'pgdog.toml': `include = ["conf.d/*.toml", "later.d/*.toml"]\n${database('main')}`,
    'users.toml': user('u'),
    '..1/a.toml': database('first'),
    '..2/a.toml': database('second'),
  });
  symlinkSync('..1', join(folder, 'conf.d'));
  const read = () => {
    watch.begin();
    loaded = load({}, (path) => watch.note(path), known);
    watch.end(true);
    seen++;
  };
  const logger = { log: () => {} };
  const known = newReads();
  const { files } = known;
  const watch = new ConfigWatch({
    logger,
    files,
    isOn: () => true,
    onChange: read,
    quietMs: 60,
    pollMs: 60_000,
  });
  const until = (...expected: string[]) =>
    eventually(expected.join(), async () => names(loaded.databases).join() === expected.join());
  read();
  watch.start();
  try {
    await until('main', 'first');
    symlinkSync('..2', join(folder, 'conf.tmp'));
    renameSync(join(folder, 'conf.tmp'), join(folder, 'conf.d'));
    await until('main', 'second');
    write({ '..2/.b.tmp': database('third') });
    renameSync(join(folder, '..2/.b.tmp'), join(folder, '..2/b.toml'));
    await until('main', 'second', 'third');
    write({ '..2/new.tmp': database('fourth') });
    renameSync(join(folder, '..2/new.tmp'), join(folder, '..2/b.toml'));
    await until('main', 'second', 'fourth');
    rmSync(join(folder, '..2/b.toml'));
    await until('main', 'second');
    write({ 'later.d/x.toml': database('later') });
    await until('main', 'second', 'later');
    assert.ok(seen >= 6);
  } finally {
    watch.close();
  }
});
