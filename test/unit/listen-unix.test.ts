/** Unix sockets to listen on: whose they are, who may connect, what becomes of those a dead process left. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  fstatSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PgDogError } from '@pgdog-cluster/core';
import {
  connectUnix,
  openListeners,
  openUnixListener,
  probeUnix,
  type UnixSocketSettings,
  userId,
  userName,
  userNameInTime,
} from 'pgdog-cluster';
import { soon } from '../support/patience.js';
import { SYSTEM_TCP } from '../support/system-tcp.js';

const PORT = 6432;
const isRoot = process.getuid?.() === 0;
const created: string[] = [];
after(() => {
  for (const path of created) rmSync(path, { recursive: true, force: true });
});

function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'pgdog-unix-'));
  created.push(path);
  return path;
}

const settings = (directory: string, change: Partial<UnixSocketSettings> = {}): UnixSocketSettings => ({
  directory,
  ports: [PORT],
  mode: 0o777,
  group: null,
  ...change,
});
const open = (directory: string, change: Partial<UnixSocketSettings> = {}) =>
  openUnixListener(settings(directory, change), PORT, 16);
const socketOf = (directory: string): string => join(directory, `.s.PGSQL.${PORT}`);

/** '' or the code of the error. */
function tryConnect(path: string): Promise<string> {
  return new Promise((resolve) => {
    const client = connect(path);
    client.once('connect', () => resolve(''));
    client.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    client.once('connect', () => client.destroy());
  });
}

async function refusalOf(directory: string, change: Partial<UnixSocketSettings> = {}): Promise<string> {
  let text = '';
  await assert.rejects(open(directory, change), (error) => {
    assert.ok(error instanceof PgDogError && error.code === 'configuration', String(error));
    text = error.message;
    return true;
  });
  return text;
}

test('a socket with its mode and lock file; both are gone after close, which is idempotent', async () => {
  const directory = newDirectory();
  const path = socketOf(directory);
  const mask = process.umask(0o077);
  const listener = await open(directory, { mode: 0o712 });
  process.umask(mask);
  assert.deepEqual(
    [listener.kind, listener.host, listener.port, listener.address],
    ['unix', directory, PORT, path],
  );
  assert.equal(statSync(path).mode & 0o7777, 0o712, 'whatever the umask');
  assert.equal(statSync(`${path}.lock`).mode & 0o777, 0o600);
  const lines = readFileSync(`${path}.lock`, 'utf8').split('\n');
  assert.deepEqual(
    [lines[0], lines[3], lines[4]],
    [String(process.pid), String(PORT), directory],
    "Postgres's lines",
  );
  assert.equal(await tryConnect(path), '');
  listener.close();
  listener.close();
  assert.ok(!existsSync(path) && !existsSync(`${path}.lock`));
});

test('a live socket is refused, ours and a stranger’s; nothing of it is touched', async () => {
  const directory = newDirectory();
  const path = socketOf(directory);
  const first = await open(directory);
  assert.match(
    await refusalOf(directory),
    /cannot listen on .*\.s\.PGSQL\.6432: another process has locked it/,
  );
  assert.equal(await tryConnect(path), '');
  first.close();
  const stranger = createServer().listen(path);
  await once(stranger, 'listening');
  assert.match(await refusalOf(directory), /a running process listens on it/);
  assert.equal(await tryConnect(path), '');
  assert.ok(!existsSync(`${path}.lock`), 'the lock of an attempt that failed');
  stranger.close();
  await once(stranger, 'close');
  (await open(directory)).close();
});

test('what a killed process left is replaced: socket and lock', async () => {
  const directory = newDirectory();
  const path = socketOf(directory);
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  // As a Postgres would have left it: with a pid that somebody has by now.
  writeFileSync(`${path}.lock`, `${process.pid}\n/data\n1\n${PORT}\n${directory}\n`);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(await tryConnect(path), 'ECONNREFUSED');
  const listener = await open(directory);
  assert.equal(await tryConnect(path), '');
  listener.close();
  assert.ok(!existsSync(path) && !existsSync(`${path}.lock`));
});

test('two starts at once: one wins, the other is told so', async () => {
  const directory = newDirectory();
  const results = await Promise.allSettled([open(directory), open(directory), open(directory)]);
  const won = results.filter((result) => result.status === 'fulfilled');
  assert.equal(won.length, 1);
  assert.equal(await tryConnect(socketOf(directory)), '');
  for (const { value } of won) value.close();
});

test('close leaves alone what somebody else has put in its place', async () => {
  const directory = newDirectory();
  const path = socketOf(directory);
  const listener = await open(directory);
  rmSync(path);
  writeFileSync(path, 'mine now');
  listener.close();
  assert.equal(readFileSync(path, 'utf8'), 'mine now');
  assert.match(await refusalOf(directory), /a file of that name that is no socket/);
  assert.equal(readFileSync(path, 'utf8'), 'mine now');
});

test('a lock file that is a symbolic link is not followed', async () => {
  const directory = newDirectory();
  const target = join(directory, 'precious');
  writeFileSync(target, 'kept');
  symlinkSync(target, `${socketOf(directory)}.lock`);
  assert.match(await refusalOf(directory), /symbolic link/);
  assert.equal(readFileSync(target, 'utf8'), 'kept');
});

test('refused with the reason: no directory, no right, no such group', async () => {
  const directory = newDirectory();
  assert.match(await refusalOf(join(directory, 'none')), /no such directory/);
  assert.match(await refusalOf(directory, { group: 'no such group' }), /there is no group "no such group"/);
  assert.ok(!existsSync(`${socketOf(directory)}.lock`));
  writeFileSync(join(directory, 'file'), '');
  assert.match(await refusalOf(join(directory, 'file')), /not a directory/);
});

test('the group is set by name or number', {
  skip: isRoot ? false : 'only root may give any group',
}, async () => {
  const directory = newDirectory();
  const byNumber = await open(directory, { group: '4711', mode: 0o770 });
  assert.deepEqual([lstatSync(socketOf(directory)).gid, lstatSync(socketOf(directory)).uid], [4711, 0]);
  byNumber.close();
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('daemon:'));
  const gid = Number(line?.split(':')[2]);
  const byName = await open(directory, { group: 'daemon' });
  assert.equal(lstatSync(socketOf(directory)).gid, gid);
  byName.close();
});

test('an abstract socket needs no file, and is refused while somebody has it', async () => {
  const name = `@pgdog-test-${process.pid}`;
  const listener = await open(name);
  assert.equal(listener.address, `${name}/.s.PGSQL.${PORT}`);
  assert.equal(probeUnix(listener.address), null);
  assert.match(await refusalOf(name), /already in use/);
  listener.close();
  assert.equal(probeUnix(listener.address), 'ECONNREFUSED');
});

test('shut down: nobody new, those in the backlog are let go, the place is free; the descriptor stays until close', async () => {
  const directory = newDirectory();
  for (const place of [directory, `@pgdog-test-shut-${process.pid}`]) {
    const listener = await open(place);
    const waiting = connectUnix(listener.address);
    assert.ok(typeof waiting === 'number');
    const client = new Socket({ fd: waiting, readable: true });
    const ended = once(client, 'close');
    client.on('error', () => {}).resume();
    listener.shutDown();
    await ended;
    assert.equal(probeUnix(listener.address), place === directory ? 'ENOENT' : 'ECONNREFUSED');
    // An abstract name is taken for as long as the descriptor lives.
    if (place === directory) (await open(place)).close();
    assert.ok(fstatSync(listener.fd).isSocket());
    listener.close();
    listener.shutDown();
    (await open(place)).close();
  }
});

test('all or none: a Unix socket that cannot be had leaves no TCP port behind', async () => {
  const directory = newDirectory();
  const [probe] = await openListeners([{ host: '127.0.0.1', port: 0 }], 4, SYSTEM_TCP);
  const { port } = probe;
  probe.close();
  const unix = settings(join(directory, 'none'));
  await assert.rejects(
    openListeners([{ host: '127.0.0.1', port }], 4, SYSTEM_TCP, unix),
    /no such directory/,
  );
  const listeners = await openListeners(
    [{ host: '127.0.0.1', port }],
    4,
    SYSTEM_TCP,
    settings(directory, { ports: [1, 2] }),
  );
  assert.deepEqual(
    listeners.map(({ address }) => address),
    [`127.0.0.1:${port}`, `${directory}/.s.PGSQL.1`, `${directory}/.s.PGSQL.2`],
  );
  for (const listener of listeners) listener.close();
});

test('several addresses: duplicates once, wildcards with their family, * for both; the one in use is named', async () => {
  const addressesOf = async (...hosts: string[]): Promise<string[]> => {
    const [probe] = await openListeners([{ host: '::', port: 0 }], 4, SYSTEM_TCP);
    const { port } = probe;
    probe.close();
    const listeners = await openListeners(
      hosts.map((host) => ({ host, port })),
      4,
      SYSTEM_TCP,
    );
    for (const listener of listeners) listener.close();
    return listeners.map(({ host }) => host);
  };
  assert.deepEqual(await addressesOf('127.0.0.1', '127.0.0.2', '::1', '127.0.0.1'), [
    '127.0.0.1',
    '127.0.0.2',
    '::1',
  ]);
  assert.deepEqual(await addressesOf('*'), ['0.0.0.0', '::']);
  assert.deepEqual(await addressesOf('::', '0.0.0.0', '127.0.0.1', '::1'), ['::', '0.0.0.0']);
  assert.ok((await addressesOf('localhost', '127.0.0.1')).includes('127.0.0.1'));
  const [taken] = await openListeners([{ host: '127.0.0.2', port: 0 }], 4, SYSTEM_TCP);
  const wanted = ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((host) => ({ host, port: taken.port }));
  await assert.rejects(
    openListeners(wanted, 4, SYSTEM_TCP),
    new RegExp(`cannot listen on 127.0.0.2:${taken.port}: `),
  );
  taken.close();
  (await openListeners(wanted, 4, SYSTEM_TCP)).map((listener) => listener.close());
  await assert.rejects(
    openListeners([{ host: '192.0.2.1', port: 1 }], 4, SYSTEM_TCP),
    /192.0.2.1:1: this machine has no such/,
  );
  await assert.rejects(
    openListeners([{ host: 'name.invalid', port: 1 }], 4, SYSTEM_TCP),
    /name.invalid:1: the name has no/,
  );
});

test('the system’s users by number and name', async () => {
  assert.equal(await userName(0), 'root');
  assert.equal(await userId('root'), 0);
  assert.equal(await userName(3_999_999_999), null);
  assert.equal(await userId('no such user'), null);
});

test('a directory service that fails or does not answer: no name, and not for ever', async () => {
  assert.equal(await userNameInTime(7, async () => 'seven'), 'seven');
  assert.equal(await userNameInTime(7, () => Promise.reject(new Error('down'))), null);
  assert.equal(
    await soon(
      'an end',
      userNameInTime(7, () => new Promise(() => {})),
    ),
    null,
  );
});

// pg is loaded when it is first needed, through a symbolic link where packages are installed by pnpm.
test('modules are found as before beside a Unix socket', () => {
  const directory = newDirectory();
  const code = `
    import { openUnixListener } from 'pgdog-cluster';
    const settings = { directory: process.argv[1], ports: [7000], mode: 0o700, group: null };
    const listener = await openUnixListener(settings, 7000, 4);
    const { default: pg } = await import('pg');
    console.log(typeof pg.Client);
    listener.close();
    process.exit();`;
  const program = ['--input-type=module', '-e', code, directory];
  assert.equal(execFileSync(process.execPath, program, { encoding: 'utf8' }).trim(), 'function');
});
