import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deriveVerifier, formatVerifier, md5Hash, mockVerifierFor } from '@pgdog-cluster/core';
import { buildSnapshot, resolveHost, toHostAddress } from 'pgdog-cluster';
import { DATABASE, load, USER } from '../support/load-configuration.js';

const SECOND = '[[databases]]\nname = "b"\nhost = "127.0.0.1"\nport = 7777\n';

test('one pool per allowed pair, numbered in the order of the files', async () => {
  const users = `${USER}[[users]]\nname = "all"\nall_databases = true\npassword = "x"\n`;
  const { pools, epoch } = await buildSnapshot(load({ config: `${DATABASE}${SECOND}`, users }), 7);
  assert.equal(epoch, 7);
  assert.deepEqual(
    pools.map(({ index, database, user }) => `${index} ${database} ${user}`),
    ['0 shop app', '1 shop all', '2 b all'],
  );
});

test('user over database over general; role variants over plain keys', async () => {
  const config = `[general]\ndefault_pool_size = 9\nidle_timeout = 5\n${DATABASE}pool_size = 8\nidle_timeout = 4\nread_only = true\nstatement_timeout = 11\nuser = "su"\npassword = "dbpw"\n`;
  const users = `${USER}pool_size = 7\npool_size_primary = 6\npooler_mode = "session"\nlock_timeout = 3\n`;
  const [pool] = (await buildSnapshot(load({ config, users }), 1)).pools;
  assert.equal(pool.poolSize, 6);
  assert.equal(pool.idleTimeoutMs, 4);
  assert.equal(pool.poolerMode, 'session');
  assert.equal(pool.serverUser, 'su');
  assert.deepEqual(pool.serverPasswords, ['dbpw']);
  assert.deepEqual(pool.serverParameters, {
    statement_timeout: '11',
    lock_timeout: '3',
    default_transaction_read_only: 'on',
  });
});

test('sizes by role: the more exact key wins, and a host that may be either gets the larger', async () => {
  const keys =
    'pool_size = 8\npool_size_primary = 5\npool_size_replica = 20\nidle_timeout_replica = 9\nmin_pool_size_replica = 3\n';
  const three = (role: string) =>
    `${DATABASE}role = "${role}"\n${keys}${DATABASE.replace('[[databases]]', '[[databases]]\nport = 5433')}role = "${role === 'auto' ? 'auto' : 'replica'}"\n${keys}`;
  const sizes = async (role: string, users = USER) =>
    (await buildSnapshot(load({ config: three(role), users }), 1)).pools.map((pool) => [
      pool.poolSize,
      pool.minPoolSize,
      pool.idleTimeoutMs,
    ]);
  assert.deepEqual(await sizes('primary'), [
    [5, 1, 60_000],
    [20, 3, 9],
  ]);
  assert.deepEqual(await sizes('auto'), [
    [20, 3, 9],
    [20, 3, 9],
  ]);
  assert.deepEqual(await sizes('primary', `${USER}pool_size = 4\n`), [
    [4, 1, 60_000],
    [4, 3, 9],
  ]);
});

test('passwords of one user share salt and iterations', async () => {
  const hash = formatVerifier(deriveVerifier('third', 5000));
  const users = `[[users]]\nname = "app"\ndatabase = "shop"\npasswords = ["one", "two"]\npassword_hash = "${hash}"\n`;
  const {
    users: [user],
    pools,
  } = await buildSnapshot(load({ config: DATABASE, users }), 1);
  assert.equal(user.verifiers.length, 3);
  for (const [index, password] of ['third', 'one', 'two'].entries()) {
    const { salt, iterations, storedKey, serverKey } = user.verifiers[index];
    assert.equal(iterations, 5000);
    assert.deepEqual(
      { iterations, salt, storedKey, serverKey },
      deriveVerifier(password, 5000, user.verifiers[0].salt),
    );
  }
  assert.deepEqual(user.md5Hashes, []);
  assert.deepEqual(pools[0].serverPasswords, ['one', 'two']);
});

test('md5 keeps hashes and no verifiers; the admin always has a verifier', async () => {
  const config = `[general]\nauth_type = "md5"\n${DATABASE}[admin]\npassword = "boss"\n`;
  const {
    users: [user],
    admin,
  } = await buildSnapshot(load({ config, users: USER }), 1);
  assert.deepEqual(user.md5Hashes, [md5Hash('hunter2', 'app')]);
  assert.deepEqual(user.verifiers, []);
  assert.deepEqual(admin.md5Hashes, [md5Hash('boss', 'admin')]);
  assert.equal(admin.verifiers.length, 1);
});

test('admin aliases give way to databases of that name', async () => {
  const config = DATABASE.replace('shop', 'pgdog');
  const { admin } = await buildSnapshot(load({ config, users: USER.replace('shop', 'pgdog') }), 1);
  assert.deepEqual(admin.databases, ['admin', 'pgbouncer']);
  assert.deepEqual(admin.verifiers, [], 'no password, nobody enters');
});

test('"unlimited" is off, and limits fit 32 bits', async () => {
  const config = `[general]\nquery_timeout = 9223372036854775807\nserver_lifetime = 2147483648\nprepared_statements_limit = 9223372036854775807\n${DATABASE}[tcp]\ntime = 1500\n`;
  const { general, pools, tcp } = await buildSnapshot(load({ config, users: USER }), 1);
  assert.equal(pools[0].queryTimeoutMs, 0);
  assert.equal(pools[0].serverLifetimeMs, 0);
  assert.equal(general.preparedStatementsLimit, 0x7fff_ffff);
  assert.equal(tcp.keepaliveTimeS, 2, 'rounded up to whole seconds');
  assert.equal(tcp.keepaliveIntervalS, 0);
});

test('the mock verifier is the same in every epoch', async () => {
  const loaded = load({ config: DATABASE, users: USER });
  const [first, second] = [await buildSnapshot(loaded, 1), await buildSnapshot(loaded, 2)];
  assert.deepEqual(
    mockVerifierFor('x', first.mockVerifier).salt,
    mockVerifierFor('x', second.mockVerifier).salt,
  );
});

test('struct sockaddr', () => {
  const hex = (text: string, port = 5432) => Buffer.from(toHostAddress(text, port).sockaddr).toString('hex');
  assert.equal(hex('127.0.0.1'), '020015387f0000010000000000000000');
  assert.equal(hex('255.1.2.3', 65535), '0200ffffff0102030000000000000000');
  const v6 = (address: string, scope = '00000000') => `0a00153800000000${address}${scope}`;
  assert.equal(hex('::'), v6('0'.repeat(32)));
  assert.equal(hex('::1'), v6(`${'0'.repeat(31)}1`));
  assert.equal(hex('fe80::1%3'), v6(`fe80${'0'.repeat(27)}1`, '03000000'));
  assert.equal(hex('2001:db8:1:2:3:4:5:6'), v6('20010db8000100020003000400050006'));
  assert.equal(hex('2001:db8::'), v6(`20010db8${'0'.repeat(24)}`));
  assert.equal(hex('::ffff:10.0.0.255'), v6('00000000000000000000ffff0a0000ff'));
  assert.equal(hex('64:ff9b::192.0.2.33'), v6('0064ff9b0000000000000000c0000221'));
  for (const bad of ['', 'localhost', '1.2.3', '::1::']) assert.throws(() => toHostAddress(bad, 1));
});

test('a name that does not resolve has no addresses and does not stop anything', async () => {
  assert.deepEqual(await resolveHost('name.invalid', 5432), []);
  assert.notEqual((await resolveHost('localhost', 5432)).length, 0);
  const loaded = load({ config: DATABASE.replace('127.0.0.1', 'name.invalid'), users: USER });
  assert.deepEqual((await buildSnapshot(loaded, 1)).pools[0].addresses, []);
});
