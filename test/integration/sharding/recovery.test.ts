// What a proxy that died in the middle of a commit over several shards has left behind, made by hand.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, it } from 'node:test';
import pg from 'pg';
import type { TestProxy } from '../../support/proxy.js';
import { runProgram } from '../../support/run-program.js';
import { SHOP, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { toToml } from '../../support/toml-text.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = 'CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL)';
const TABLES = [{ name: 'account', column: 'id', data_type: 'bigint' }];
/** From then on a transaction whose decider is silent is rolled back (two-phase/ending.ts). */
const YOUNG_MS = 1000;
const SETTINGS = { general: { two_phase_recovery_interval: 50, load_schema_interval: 300 }, metrics: true };

let cluster: ShardCluster;
let proxy: TestProxy;
let directory: string;

const setup = (...args: string[]) => runProgram(['setup', ...args], directory);
const prepared = async (): Promise<string[]> =>
  (await cluster.server.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts ORDER BY gid')).map(
    ({ gid }) => gid,
  );
const balances = async (): Promise<unknown[]> =>
  (await cluster.all('SELECT id::int AS id FROM account ORDER BY id')).map(({ id }) => id);
/** Several rounds of recovery. */
const rounds = () => new Promise((resolve) => setTimeout(resolve, 400));

/** What the part of a transaction on one shard leaves. */
async function prepare(shard: number, gid: string, id: number, url = ''): Promise<void> {
  const client = new pg.Client(url || cluster.server.url(`shard_${shard}`));
  await client.connect();
  await client.query('BEGIN');
  await client.query('INSERT INTO account VALUES ($1, 0)', [id]);
  await client.query(`PREPARE TRANSACTION '${gid}'`);
  await client.end();
}

const note = (shard: number, id: number, age = '0 s') =>
  cluster.shard(shard, `INSERT INTO pgdog.transactions VALUES (${id}, now() - interval '${age}')`);

/** As a worker has it on the deciding shard before it commits. */
async function holdLock(shard: number, id: number, isNoted = true): Promise<pg.Client> {
  const client = new pg.Client(cluster.server.url(`shard_${shard}`));
  await client.connect();
  await client.query('BEGIN');
  await client.query(`SELECT pg_advisory_xact_lock(${id})`);
  if (isNoted) await client.query(`INSERT INTO pgdog.transactions (id) VALUES (${id})`);
  return client;
}

before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  directory = mkdtempSync(join(tmpdir(), 'pgdog-setup-'));
  writeFileSync(join(directory, 'pgdog.toml'), toToml({}, { databases: cluster.entries }));
  writeFileSync(
    join(directory, 'users.toml'),
    toToml({}, { users: [{ name: 'postgres', database: SHOP, password: 'postgres' }] }),
  );
  proxy = await startShardedProxy(cluster, 'epoll', { tables: TABLES, ...SETTINGS });
});
after(async () => {
  await proxy?.stop();
  await cluster?.stop();
  rmSync(directory, { recursive: true });
});
beforeEach(async () => {
  for (const gid of await prepared()) {
    for (const shard of [0, 1, 2]) await cluster.shard(shard, `ROLLBACK PREPARED '${gid}'`).catch(() => {});
  }
  await cluster.all('TRUNCATE account');
});

it('without setup nothing is touched, and it is said what to do', async () => {
  await prepare(1, 'pgdog:5:0:1', 5);
  await eventually('a log line', async () => /pgdog:5:0:1 on shard 1 stays as it is/.test(proxy.output));
  assert.match(proxy.output, /shard 1 does not know which one it is: run pgdog-cluster setup/);
  assert.deepEqual(await prepared(), ['pgdog:5:0:1']);
  const lack = /"shop": schema pgdog is not complete on every shard, .*: run pgdog-cluster setup/;
  assert.match(proxy.output, lack);
  const { code, err } = await runProgram(['check', '--connect'], directory);
  assert.equal(code, 0);
  assert.match(err, lack);
});

it('setup makes what is needed, once', async () => {
  const first = await setup();
  assert.equal(first.code, 0, first.err);
  const lines = first.out.trimEnd().split('\n');
  assert.equal(lines.length, 3);
  for (const [shard, line] of lines.entries()) {
    assert.match(
      line,
      new RegExp(`^ok {5}"shop" shard ${shard} \\(postgres@127.0.0.1:\\d+/shard_${shard}\\): made `),
    );
    assert.match(
      line,
      /schema pgdog, table pgdog\.transactions, table pgdog\.shard, .* it is shard \d of 3$/,
    );
  }
  assert.equal(first.err, '');
  const second = await setup('--database', SHOP);
  assert.equal(second.code, 0, second.err);
  assert.equal(second.out.match(/: nothing to do$/gm)?.length, 3, second.out);
  const none = await setup('--database', 'nope');
  assert.deepEqual([none.code, none.err], [2, 'error: there is no database "nope" with several shards\n']);
});

it('SETUP SCHEMA does the same from within', async () => {
  const rows = await proxy.adminQuery('SETUP SCHEMA');
  assert.deepEqual(
    rows.map(({ result }) => String(result).replace(/ \(.*\)/, '')),
    [0, 1, 2].map((shard) => `ok     "shop" shard ${shard}: nothing to do`),
  );
  await assert.rejects(
    proxy.adminQuery('SETUP SCHEMA nope'),
    /there is no database "nope" with several shards/,
  );
});

it('what setup has made is asked of one shard only, and is no difference to warn of', async () => {
  await eventually('the catalog is read again', async () => {
    const rows = await proxy.adminQuery('SHOW SHARDED_TABLES');
    return rows.some(({ schema, name }) => schema === 'pgdog' && name === 'shard');
  });
  const client = await shopClient(proxy);
  try {
    const refusal = { code: '0A000', message: /each shard has rows of its own/ };
    await assert.rejects(client.query('SELECT number FROM pgdog.shard'), refusal);
    await assert.rejects(client.query('DELETE FROM pgdog.transactions'), refusal);
    await client.query('SET pgdog.shard = 2');
    assert.deepEqual((await client.query('SELECT number FROM pgdog.shard')).rows, [{ number: 2 }]);
  } finally {
    await client.end();
  }
  assert.equal((await runProgram(['check', '--connect'], directory)).err, '');
  assert.doesNotMatch(proxy.output, /rows of its own/);
});

it('prepared with its row: committed; without: rolled back; on all shards, and counted', async () => {
  await note(0, 11);
  await prepare(1, 'pgdog:11:0:1', 111);
  await prepare(2, 'pgdog:11:0:2', 112);
  await prepare(2, 'pgdog:12:0:2', 122);
  await prepare(0, 'pgdog:13:1:0', 130);
  await eventually('all are ended', async () => (await prepared()).length === 0);
  assert.deepEqual(await balances(), [111, 112]);
  // Each is told of when its server has answered, in no order.
  for (const line of [
    '"shop": pgdog:11:0:2 on shard 2 committed: shard 0 has decided so',
    '"shop": pgdog:12:0:2 on shard 2 rolled back: shard 0 has not decided',
    '"shop": pgdog:13:1:0 on shard 0 rolled back: shard 1 has not decided',
  ])
    await eventually(line, async () => proxy.output.includes(line));
  for (const figure of [/outcome="committed"\} 2$/m, /outcome="rolled_back"\} [23]$/m])
    await eventually(`${figure}`, async () =>
      (await proxy.metrics())
        .split('\n')
        .some((line) => /^two_pc_recovered_total\{database="shop",/.test(line) && figure.test(line)),
    );
});

it('while somebody has the lock it is left alone; then as that one has decided', async () => {
  const committing = await holdLock(0, 21);
  const failing = await holdLock(2, 22);
  await prepare(1, 'pgdog:21:0:1', 211);
  await prepare(1, 'pgdog:22:2:1', 221);
  await rounds();
  assert.deepEqual(await prepared(), ['pgdog:21:0:1', 'pgdog:22:2:1']);
  const rows = await proxy.adminQuery('SHOW TRANSACTIONS');
  assert.deepEqual(
    rows.map(({ age, ...row }) => ({ ...row, isYoung: Number(age) > 0 && Number(age) < 60_000 })),
    [
      { gid: 'pgdog:21:0:1', id: '21', decider: '0' },
      { gid: 'pgdog:22:2:1', id: '22', decider: '2' },
    ].map(({ gid, id, decider }) => ({
      database: SHOP,
      user: 'postgres',
      transaction_name: gid,
      transaction_state: 'in progress',
      id,
      shard: '1',
      decider,
      reason: '',
      isYoung: true,
    })),
  );
  await committing.query('COMMIT');
  await committing.end();
  await failing.end();
  await eventually('both are ended', async () => (await prepared()).length === 0);
  assert.deepEqual(await balances(), [211]);
});

it('what is young may be on its way; what has been given up cannot be decided any more', async () => {
  let id = 2500;
  // On a busy machine it may have grown old before it was looked at; another one then.
  for (let isSeen = false; !isSeen; ) {
    const startMs = performance.now();
    await prepare(1, `pgdog:${++id}:0:1`, id);
    await rounds();
    const left = await prepared();
    const [row] = await proxy.adminQuery('SHOW TRANSACTIONS');
    isSeen = performance.now() - startMs < YOUNG_MS;
    if (isSeen) {
      assert.deepEqual(left, [`pgdog:${id}:0:1`]);
      assert.equal(row?.transaction_state, 'in progress');
    }
    await eventually('it is ended', async () => (await prepared()).length === 0);
  }
  const late = await holdLock(0, id, false);
  await assert.rejects(late.query(`INSERT INTO pgdog.transactions (id) VALUES (${id}), (-${id})`), {
    code: '23505',
  });
  await late.end();
  // Another part of it comes later still.
  await prepare(2, `pgdog:${id}:0:2`, id + 1);
  await eventually('that is ended too', async () => (await prepared()).length === 0);
  assert.deepEqual(await balances(), []);
});

it('names that are not ours, and those that fit no shard, are left alone', async () => {
  const gids = ['mine', 'pgdog:031:0:1', 'pgdog:32:0:2', 'pgdog:33:7:1', 'pgdog:34:1:1'];
  for (const [index, gid] of gids.entries()) await prepare(1, gid, 300 + index);
  await rounds();
  assert.deepEqual(await prepared(), gids);
  const rows = await proxy.adminQuery('SHOW TRANSACTIONS');
  assert.deepEqual(
    rows.map((row) => [row.transaction_name, row.transaction_state, row.reason]),
    [
      ['pgdog:32:0:2', 'in doubt', 'its name says shard 2'],
      ['pgdog:33:7:1', 'in doubt', 'its name says that shard 7 has decided, and there are 3 shards'],
      ['pgdog:34:1:1', 'in doubt', 'its name says that this shard has decided'],
    ],
  );
  await eventually('three are in doubt', async () =>
    /^two_pc_in_doubt\{database="shop"\} 3$/m.test(await proxy.metrics()),
  );
  await rounds();
  const said = proxy.output.split('\n').filter((line) => line.includes('pgdog:33:7:1 on shard 1 stays'));
  assert.equal(said.length, 1, 'said once, not every round');
});

it('shards that count themselves otherwise are not asked to decide', async () => {
  await cluster.shard(0, 'UPDATE pgdog.shard SET number = 1');
  try {
    await prepare(2, 'pgdog:41:0:2', 412);
    await rounds();
    assert.deepEqual(await prepared(), ['pgdog:41:0:2']);
    const refused = await setup();
    assert.equal(refused.code, 1);
    assert.match(refused.err, /^error: "shop": shard 0 \(.*\) takes itself for shard 1 of 3 of cluster /);
  } finally {
    await cluster.shard(0, 'UPDATE pgdog.shard SET number = 0');
  }
  await eventually('it is ended', async () => (await prepared()).length === 0);
});

it('old rows go when nobody needs them, those of something prepared stay', async () => {
  await note(0, 51, '2 h');
  await note(1, 52, '59 min');
  const holding = await holdLock(2, 53, false);
  await note(2, 53, '2 h');
  await prepare(0, 'pgdog:53:2:0', 530);
  const second = await startShardedProxy(cluster, 'epoll', { tables: TABLES, ...SETTINGS });
  try {
    const rows = () => cluster.all('SELECT id::int AS id FROM pgdog.transactions WHERE id > 50 ORDER BY id');
    await eventually('the old one is gone', async () => (await rows()).length === 2);
    assert.deepEqual(
      (await rows()).map(({ id }) => id),
      [52, 53],
    );
    assert.deepEqual(await prepared(), ['pgdog:53:2:0']);
  } finally {
    await holding.end();
    await eventually('it is committed', async () => (await prepared()).length === 0);
    await second.stop();
  }
  assert.deepEqual(await balances(), [530]);
});

it('a commit of a client over two shards leaves its row, and several proxies do not disturb it', async () => {
  const second = await startShardedProxy(cluster, 'epoll', {
    tables: TABLES,
    general: { two_phase_recovery_interval: 20 },
  });
  const client = await shopClient(proxy);
  try {
    for (let round = 0; round < 8; round++) {
      await client.query('BEGIN');
      for (let id = 0; id < 6; id++)
        await client.query('INSERT INTO account VALUES ($1, 0)', [1000 + round * 6 + id]);
      await client.query('COMMIT');
    }
    assert.equal((await balances()).length, 48);
    assert.deepEqual(await prepared(), []);
  } finally {
    await client.end();
    await second.stop();
  }
});

/** Roles of the servers and users of the proxy; none of them a superuser. */
const CLERKS = [
  { name: 'app', password: 'app', database: SHOP },
  { name: 'clerk', password: 'clerk', database: SHOP, schema_admin: true },
];

it('what another user has prepared: ended as that user where the password is known, else told', async () => {
  await proxy.stop();
  for (const name of ['app', 'clerk', 'stranger']) {
    await cluster.server.query(`CREATE ROLE ${name} LOGIN PASSWORD '${name}'`);
    await cluster.all(`GRANT ALL ON account TO ${name}`);
  }
  const urlOf = (name: string) =>
    `postgres://${name}:${name}@${cluster.server.host}:${cluster.server.port}/shard_1`;
  await note(0, 61, '2 h');
  await prepare(1, 'pgdog:61:0:1', 611, urlOf('app'));
  await prepare(1, 'pgdog:62:0:1', 621, urlOf('stranger'));
  const clerks = await startShardedProxy(cluster, 'epoll', { tables: TABLES, ...SETTINGS, users: CLERKS });
  try {
    await eventually('one is ended', async () => (await prepared()).length === 1);
    assert.deepEqual([await balances(), await prepared()], [[611], ['pgdog:62:0:1']]);
    await clerks.waitForOutput('pgdog:62:0:1 on shard 1 stays as it is');
    let row: Record<string, string> = {};
    // While a round looks at it, it is in progress.
    await eventually('it is told', async () => {
      [row = {}] = await clerks.adminQuery('SHOW TRANSACTIONS');
      return row.transaction_state === 'in doubt';
    });
    assert.equal(row.user, 'stranger');
    assert.match(
      row.reason,
      /^clerk@.* may not end it, only stranger or a superuser may: give users\.toml the password of stranger, or of a superuser with schema_admin = true$/,
    );
  } finally {
    await clerks.stop();
  }
});

it('clients note what is decided, and can neither delete nor backdate it', async () => {
  const app = new pg.Client(`postgres://app:app@${cluster.server.host}:${cluster.server.port}/shard_1`);
  await app.connect();
  try {
    await app.query('INSERT INTO pgdog.transactions (id) VALUES (71)');
    const denied = { code: '42501' };
    await assert.rejects(app.query('DELETE FROM pgdog.transactions'), denied);
    await assert.rejects(app.query('UPDATE pgdog.transactions SET id = 72'), denied);
    await assert.rejects(app.query("INSERT INTO pgdog.transactions VALUES (73, '2000-01-01')"), denied);
    await assert.rejects(app.query('UPDATE pgdog.shard SET number = 7'), denied);
  } finally {
    await app.end();
  }
});

it('setup says which shard lacks which right, and where nothing can be prepared', async () => {
  await cluster.shard(1, 'DROP SCHEMA pgdog CASCADE');
  writeFileSync(join(directory, 'users.toml'), toToml({}, { users: CLERKS }));
  const { code, out, err } = await setup();
  assert.equal(code, 1);
  assert.match(
    err,
    /^error: "shop": shard 0 \(clerk@\S+\/shard_0\): schema pgdog belongs to another user.* \(the user needs CREATE on the database and must own/,
  );
  assert.equal(out, '');
  await cluster.shard(0, 'DROP SCHEMA pgdog CASCADE');
  assert.match(
    (await setup()).err,
    /^error: "shop": shard 0 .* permission denied for database shard_0 \(the user needs CREATE/,
  );
  const bare = await ShardCluster.start({
    schema: SCHEMA,
    shardCount: 2,
    settings: { max_prepared_transactions: '0' },
  });
  try {
    writeFileSync(join(directory, 'pgdog.toml'), toToml({}, { databases: bare.entries }));
    writeFileSync(
      join(directory, 'users.toml'),
      toToml({}, { users: [{ name: 'postgres', database: SHOP, password: 'postgres' }] }),
    );
    const warned = await setup();
    assert.equal(warned.code, 0);
    assert.match(
      warned.err,
      /^warning: "shop": max_prepared_transactions is 0 on shard 1 .*ALTER SYSTEM SET/m,
    );
  } finally {
    await bare.stop();
  }
});
