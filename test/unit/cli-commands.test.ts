import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseVerifier } from '@pgdog-cluster/core';

const COMMAND = fileURLToPath(new URL('../../../packages/supervisor/bin/pgdog-cluster.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'pgdog-cli-'));
after(() => rmSync(directory, { recursive: true }));

interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

/** Runs the real command in an empty directory, without our own PGDOG_ variables. */
function pgdogCluster(args: string[], input = '', cwd = directory): Promise<Outcome> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PGDOG_')));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, ...args], { cwd, env });
    const outcome: Outcome = { code: null, out: '', err: '' };
    child.stdout.on('data', (chunk) => (outcome.out += chunk));
    child.stderr.on('data', (chunk) => (outcome.err += chunk));
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...outcome, code }));
    child.stdin.end(input);
  });
}

function writeFiles(name: string, files: Record<string, string>): string {
  const path = mkdtempSync(join(directory, name));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

const URL_FREE = 'postgres://a:b@127.0.0.1:1/d';

test('--help fits a screen, --version is the version', async () => {
  const help = await pgdogCluster(['--help']);
  assert.equal(help.code, 0);
  const lines = help.out.trimEnd().split('\n');
  assert.ok(lines.length <= 24, `${lines.length} lines`);
  assert.ok(lines.every((line) => line.length <= 80));
  const version = await pgdogCluster(['--version']);
  assert.equal(version.code, 0);
  assert.match(version.out, /^\d+\.\d+\.\d+\n$/);
});

test('completion prints a script, and the words it asks for', async () => {
  const script = await pgdogCluster(['completion']);
  assert.equal(script.code, 0, script.err);
  assert.match(script.out, /pgdog-cluster --get-yargs-completions/);
  const words = await pgdogCluster(['--get-yargs-completions', 'pgdog-cluster', 'che']);
  assert.match(words.out, /^check/m);
  const options = await pgdogCluster(['--get-yargs-completions', 'pgdog-cluster', 'check', '--con']);
  assert.match(options.out, /^--connect/m);
});

const USAGE: [string[], string][] = [
  [[], 'nothing to serve'],
  [['check'], 'nothing to serve'],
  [['--bogus'], 'bogus'],
  [['bogus'], 'bogus'],
  [['--workers', '0', '-d', URL_FREE], '--workers: expected a whole number from 1 to 256'],
  [['--workers', 'x', '-d', URL_FREE], '--workers: expected'],
  [['-c', '/nope/pgdog.toml'], '/nope/pgdog.toml: no such file'],
  [['-c', '/'], 'is a directory'],
  [['check', '-d', URL_FREE, '-u', '/nope/users.toml'], '/nope/users.toml: no such file'],
  [['check', '-d', 'mysql://x'], '-d: not a URL'],
  [['--listen', 'x', '-d', URL_FREE], '--listen: expected addr:port'],
  [['schema', 'nope'], 'nope'],
  [['hash', ''], 'the password is empty'],
  [['hash', '--md5', '', 'x'], '--md5 needs the name of a user'],
  [['hash', '--md5', 'ann', '--iterations', '5', 'x'], '--iterations is for SCRAM'],
  [['hash', '--iterations', '0', 'x'], '--iterations: expected a whole number from 1 to 100000'],
];

for (const [args, expected] of USAGE) {
  test(`exit code 2: pgdog-cluster ${args.join(' ')}`, async () => {
    const { code, out, err } = await pgdogCluster(args);
    assert.equal(code, 2, err);
    assert.ok(err.includes(expected), err);
    assert.ok(!err.includes('    at '), 'no stack trace');
    assert.equal(out, '');
  });
}

test('check tells each mistake in a line of its own', async () => {
  const cwd = writeFiles('bad-', {
    'pgdog.toml': '[general]\nprot = 1\nworkers = "x"\n',
    'users.toml': '[[users]]\nname = "a"\npassword = "hunter2"\n',
  });
  const { code, err } = await pgdogCluster(['check'], '', cwd);
  assert.equal(code, 2);
  assert.deepEqual(err.trimEnd().split('\n').sort(), [
    'error: pgdog.toml:2: general.prot: unknown key; did you mean "port"?',
    'error: pgdog.toml:3: general.workers: expected a whole number from 0 to 256, got "x"',
  ]);
});

test('check finds ./pgdog.toml and ./users.toml; configcheck is the same', async () => {
  const cwd = writeFiles('good-', {
    'pgdog.toml': '[general]\nregex_parser_limit = 5\n[[databases]]\nname = "d"\nhost = "127.0.0.1"\n',
    'users.toml': '[[users]]\nname = "a"\ndatabase = "d"\npassword = { file = "secret" }\n',
    secret: 'hunter2\n',
  });
  for (const command of ['check', 'configcheck']) {
    const { code, out, err } = await pgdogCluster([command], '', cwd);
    assert.equal(code, 0, err);
    assert.ok(
      out.startsWith('configuration is valid (pgdog.toml, users.toml): 1 database, 1 user, 1 pool'),
      out,
    );
    assert.equal(err, 'warning: pgdog.toml:2: general.regex_parser_limit: not supported yet, ignored\n');
  }
  // A secret's path is relative to the file that names it, not to where the command runs.
  const elsewhere = await pgdogCluster([
    'check',
    '-c',
    join(cwd, 'pgdog.toml'),
    '-u',
    join(cwd, 'users.toml'),
  ]);
  assert.equal(elsewhere.code, 0, elsewhere.err);
});

test('several -d, and what follows them is not taken for another', async () => {
  const { code, out, err } = await pgdogCluster(['-d', URL_FREE, '-d', 'postgres://c:d@h/e', 'check']);
  assert.equal(code, 0, err);
  assert.ok(out.includes('2 databases, 2 users, 2 pools'), out);
  const one = await pgdogCluster(['-d', URL_FREE, 'check']);
  assert.ok(one.out.includes('1 database, 1 user, 1 pool'), one.out);
});

test('check --connect: 1 when a server does not answer, or answers nonsense', async () => {
  const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  try {
    for (const port of [1, address.port]) {
      const url = `postgres://a:hunter2@127.0.0.1:${port}/d`;
      const { code, out, err } = await pgdogCluster(['check', '--connect', '-d', url]);
      assert.equal(code, 1, out + err);
      assert.ok(out.includes(`FAILED a@127.0.0.1:${port}/d: `), out);
      assert.ok(!(out + err).includes('hunter2'));
    }
  } finally {
    server.close();
  }
});

test('a port in use: one line, exit code 1', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const listen = `127.0.0.1:${address.port}`;
  const { code, err } = await pgdogCluster(['-d', URL_FREE, '--workers', '1', '--listen', listen]);
  server.close();
  assert.equal(code, 1);
  assert.ok(err.startsWith(`error: cannot listen on ${listen}: the address is already in use`), err);
  assert.equal(err.trimEnd().split('\n').length, 1);
});

test('hash prints a verifier, of the argument or of stdin', async () => {
  for (const [args, input] of [
    [['hash', '0123'], ''],
    [['hash'], 'pä ss\r\nmore\n'],
  ] as const) {
    const { code, out } = await pgdogCluster([...args], input);
    assert.equal(code, 0);
    assert.notEqual(parseVerifier(out.trimEnd()), null, out);
  }
  assert.equal((await pgdogCluster(['hash'], '\n')).code, 2);
  const { out: short } = await pgdogCluster(['hash', '--iterations', '7'], 'pencil\n');
  assert.equal(parseVerifier(short.trimEnd())?.iterations, 7);
  const { out: md5 } = await pgdogCluster(['hash', '--md5', 'postgres'], 'postgres\n');
  assert.equal(md5.trimEnd(), 'md53175bce1d3201d16594cebf9d7eb3f9d');
});

test('schema prints JSON', async () => {
  for (const file of ['pgdog', 'users']) {
    const { code, out } = await pgdogCluster(['schema', file]);
    assert.equal(code, 0);
    assert.equal(JSON.parse(out).title, `${file}.toml`);
  }
});

const ROUTED = {
  'pgdog.toml': `[[databases]]
name = "app"
host = "10.0.0.1"
[[databases]]
name = "app"
host = "10.0.0.2"
role = "replica"
`,
  'users.toml': '[[users]]\nname = "a"\npassword = "x"\nall_databases = true\n',
};

test('route: every statement of a file by itself, in the order of one session', async () => {
  const cwd = writeFiles('route', {
    ...ROUTED,
    'file.sql': `/* pgdog_role: primary */ SELECT 1;

SELECT * FROM items; BEGIN; SELECT 1; COMMIT;
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;
SELEC 1; SELECT ';', $$;$$; -- the end
`,
  });
  const { code, out } = await pgdogCluster(['route', '--json', '-f', 'file.sql'], '', cwd);
  assert.equal(code, 1);
  const judged = JSON.parse(out) as {
    line: number;
    access?: string;
    wish?: string;
    error?: string;
    hosts?: string[];
  }[];
  assert.deepEqual(
    judged.map(({ line, access, wish, error }) => [line, access ?? null, wish ?? (error ? 'error' : '')]),
    [
      [1, 'read', 'primary (asked for the primary)'],
      [3, 'read', 'read (SELECT)'],
      [3, 'neutral', 'held until the first statement of the transaction'],
      [3, 'read', 'primary (transaction)'],
      [3, 'neutral', 'ends the transaction (primary (transaction))'],
      [4, 'write', 'primary (CREATE FUNCTION)'],
      [5, null, 'error'],
      [5, 'read', 'read (SELECT)'],
    ],
  );
  assert.deepEqual(judged[0].hosts, [
    '10.0.0.1:5432: primary -> may be chosen',
    '10.0.0.2:5432: replica -> never',
  ]);
});

test('route: EXECUTE goes where the statement that the file has prepared does', async () => {
  const cwd = writeFiles('route-execute', {
    ...ROUTED,
    'file.sql': 'PREPARE w AS UPDATE x SET y = 1; EXECUTE w; PREPARE r AS SELECT 1; EXECUTE r; EXECUTE q',
  });
  const { out } = await pgdogCluster(['route', '--json', '-f', 'file.sql'], '', cwd);
  assert.deepEqual(
    (JSON.parse(out) as { wish: string }[]).map(({ wish }) => wish),
    [
      'primary (prepares: UPDATE)',
      'primary (prepares: UPDATE)',
      'read (prepares: SELECT)',
      'read (EXECUTE)',
      'primary (EXECUTE of an unknown statement)',
    ],
  );
});

test('route: a statement as an argument, stdin, what it cannot do', async () => {
  const cwd = writeFiles('route', ROUTED);
  const one = await pgdogCluster(['route', 'SELECT f(1) FROM v'], '', cwd);
  assert.equal(one.code, 0);
  assert.match(one.out, /Functions: f\n {2}Relations: v\n {2}Catalog: not known \(--connect asks it\)/);
  const stdin = await pgdogCluster(['route', '-f', '-'], 'UPDATE x SET y = 1', cwd);
  assert.match(stdin.out, /Wish: primary \(UPDATE\)/);
  const help = await pgdogCluster(['route', '--help'], '', cwd);
  assert.ok(help.out.trimEnd().split('\n').length <= 24);
  for (const args of [
    ['route'],
    ['route', 'SELECT 1', '-f', 'x'],
    ['route', '-f', 'none.sql'],
    ['route', '--database', 'z', 'SELECT 1'],
  ]) {
    assert.equal((await pgdogCluster(args, '', cwd)).code, 2, args.join(' '));
  }
});
