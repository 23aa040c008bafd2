/** Where clients connect, as configured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatListenAddress, formatProblem } from '@pgdog-cluster/core/config';
import { buildSnapshot } from 'pgdog-cluster';
import { DATABASE, errorsOf, load, USER } from '../support/load-configuration.js';

const general = (lines: string, commandLine = {}) => ({
  config: `[general]\n${lines}\n${DATABASE}`,
  users: USER,
  commandLine,
});
const warnings = (lines: string): string[] => load(general(lines)).warnings.map(formatProblem);

test('host is a list: addresses of both families, names, *; blanks do not count', () => {
  const { listen } = load(general('host = "10.0.0.1, ::1,localhost ,*"\nport = 7000'));
  assert.deepEqual(listen.map(formatListenAddress), [
    '10.0.0.1:7000',
    '[::1]:7000',
    'localhost:7000',
    '*:7000',
  ]);
  const both = load(general('host = "10.0.0.1,::1"', { listen: [':1', '127.0.0.1:2'] }));
  assert.deepEqual(both.listen.map(formatListenAddress), ['10.0.0.1:1', '[::1]:1', '127.0.0.1:2']);
});

test('no address at all: only with a Unix socket', () => {
  assert.deepEqual(errorsOf(general('host = ""')), [
    'pgdog.toml:2: general.host: no address to listen on, and no unix_socket_dir: nobody could connect',
  ]);
  assert.deepEqual(load(general('host = ""\nunix_socket_dir = "/run/pgdog"')).listen, []);
  assert.deepEqual(errorsOf(general('host = ""', { listen: [':5'] })), []);
  // One mistake, one line.
  assert.deepEqual(errorsOf(general('port = 7000', { listen: ['a:b'] })), [
    '--listen: expected addr:port or [ipv6]:port, got "a:b"',
  ]);
});

test('refused: hosts, directories, modes, networks', () => {
  for (const [line, text] of [
    ['host = "a,,b"', 'general.host: expected addresses or names'],
    ['host = "a b"', 'general.host: expected addresses or names'],
    ['host = "/run/pg"', 'general.host: expected addresses or names'],
    ['unix_socket_dir = "run"', 'general.unix_socket_dir: expected a directory as an absolute path'],
    ['unix_socket_dir = "@"', 'general.unix_socket_dir: expected a directory as an absolute path'],
    ['unix_socket_dir = "/a\\u0000b"', 'general.unix_socket_dir: expected a directory as an absolute path'],
    [`unix_socket_dir = "/${'d'.repeat(100)}"`, 'would have 115 bytes, the system takes 107'],
    ['unix_socket_mode = 0o770', 'general.unix_socket_mode: expected a mode in octal digits in quotes'],
    ['unix_socket_mode = "0788"', 'general.unix_socket_mode: expected a mode in octal digits in quotes'],
    ['unix_socket_mode = "1777"', 'general.unix_socket_mode: expected a mode in octal digits in quotes'],
    ['proxy_protocol_networks = ["10.0.0.1/8"]', 'general.proxy_protocol_networks: expected networks as'],
    ['proxy_protocol_networks = "lb.example.com"', 'general.proxy_protocol_networks: expected networks as'],
    ['proxy_protocol_networks = 5', 'general.proxy_protocol_networks: expected networks as'],
    ['proxy_protocol = "on"', 'general.proxy_protocol: expected one of "required", "optional"'],
  ]) {
    const errors = errorsOf(general(line));
    assert.equal(errors.length, 1, `${line}: ${errors}`);
    assert.ok(errors[0].includes(text), errors[0]);
  }
});

test('settings without effect say so', () => {
  assert.deepEqual(warnings('unix_socket_mode = "0700"\nproxy_protocol = "optional"'), [
    'pgdog.toml:2: general.unix_socket_mode: has no effect without unix_socket_dir',
    'pgdog.toml:3: general.proxy_protocol: has no effect without proxy_protocol_networks',
  ]);
  assert.deepEqual(warnings('unix_socket_dir = "@x"\nunix_socket_group = "staff"'), [
    'pgdog.toml:3: general.unix_socket_group: has no effect on an abstract socket: anybody may connect',
  ]);
  assert.deepEqual(
    warnings('unix_socket_dir = "/x"\nunix_socket_group = "staff"\nunix_socket_mode = "770"'),
    [],
  );
});

test('trusted networks as a list or one text, also from the environment', async () => {
  const settings = {
    ...general('proxy_protocol = "optional"'),
    environment: { PGDOG_PROXY_PROTOCOL_NETWORKS: '10.0.0.0/8, unix' },
  };
  const { general: snapshot } = await buildSnapshot(load(settings), 1);
  const ten = { address: Uint8Array.of(10, 0, 0, 0), prefixBits: 8 };
  assert.deepEqual(snapshot.proxyProtocol, { networks: [ten], includesUnix: true, isRequired: false });
  const listed = await buildSnapshot(load(general('proxy_protocol_networks = ["10.0.0.0/8"]')), 1);
  assert.deepEqual(listed.general.proxyProtocol, { networks: [ten], includesUnix: false, isRequired: true });
  for (const text of ['proxy_protocol_networks = []', '']) {
    assert.equal((await buildSnapshot(load(general(text)), 1)).general.proxyProtocol, undefined);
  }
});

test('a database by a Unix socket: in the file and in a URL, with the system\u2019s user who must run it', async () => {
  const config = '[[databases]]\nname = "shop"\nhost = "/run/pg"\nport = 5433\nrequire_peer = "root"\n';
  const { pools } = await buildSnapshot(load({ config, users: USER }), 1);
  const [{ addresses, requirePeer }] = pools;
  assert.equal(addresses[0].text, '/run/pg/.s.PGSQL.5433');
  assert.equal(addresses[0].family, 1);
  assert.equal(Buffer.from(addresses[0].sockaddr).toString('latin1'), '\x01\0/run/pg/.s.PGSQL.5433\0');
  assert.deepEqual(requirePeer, { name: 'root', uid: 0 });
  const nobody = await buildSnapshot(
    load({ config: config.replace('"root"', '"no such user"'), users: USER }),
    1,
  );
  assert.deepEqual(nobody.pools[0].requirePeer, { name: 'no such user', uid: -1 });
  const abstract = await buildSnapshot(load({ config: config.replace('/run/pg', '@pg'), users: USER }), 1);
  const sockaddr = Buffer.from(abstract.pools[0].addresses[0].sockaddr).toString('latin1');
  assert.equal(sockaddr, '\x01\0\0pg/.s.PGSQL.5433', 'its length ends the name');
});

test('URLs may leave the host out, or name a directory, as with libpq', () => {
  for (const [url, host, port] of [
    ['postgres://u:p@/db?host=/run/pg', '/run/pg', 5432],
    ['postgres://u:p@/db?host=/run/pg&port=5433&require_peer=postgres', '/run/pg', 5433],
    ['postgres://u:p@:5433/db?host=/run/pg', '/run/pg', 5433],
    ['postgres://u:p@%2Frun%2Fpg:5434/db', '/run/pg', 5434],
    ['postgres://u:p@/db?host=@pg', '@pg', 5432],
    ['postgres://u:p@ignored/db?host=/run/pg', '/run/pg', 5432],
    ['postgres://u:p@/db', 'localhost', 5432],
    ['postgres://u:p@:7/db', 'localhost', 7],
    ['postgres://u:p@?host=/run/pg', '/run/pg', 5432],
  ] as const) {
    const { databases } = load({ urls: [url] });
    assert.deepEqual([databases[0].host, databases[0].port], [host, port], url);
  }
  assert.match(
    errorsOf({ urls: ['postgres://u:p@h/db?require_peer=x'] })[0],
    /require_peer: only a Unix socket/,
  );
  assert.match(errorsOf({ urls: ['postgres://u:secret@/db?port=x'] })[0], /-d: port: expected a port number/);
});
