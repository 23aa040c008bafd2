// A proxy that is killed in the middle of commits over several shards: everything or nothing, and what was confirmed stays.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import type { TestProxy } from '../../support/proxy.js';
import { ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const ACCOUNTS = 12;
const CLIENTS = 8;
const KILLS = 4;
const SCHEMA = `
  CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);
  CREATE TABLE entry (account_id bigint, transfer bigint, PRIMARY KEY (account_id, transfer));
  CREATE SCHEMA pgdog;
  CREATE TABLE pgdog.transactions (id bigint PRIMARY KEY, decided_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE pgdog.shard (cluster uuid NOT NULL, number int NOT NULL, count int NOT NULL);`;
const TABLES = [
  { name: 'account', column: 'id', data_type: 'bigint' },
  { name: 'entry', column: 'account_id', data_type: 'bigint' },
];

let cluster: ShardCluster;
let nextTransfer = 1;
const confirmed: number[] = [];

const start = () =>
  startShardedProxy(cluster, 'epoll', {
    tables: TABLES,
    general: { two_phase_recovery_interval: 50 },
  });

before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  for (let shard = 0; shard < cluster.shardCount; shard++) {
    await cluster.shard(
      shard,
      `INSERT INTO pgdog.shard VALUES ('5a6f1fd4-6b0e-4a52-9a55-1d1f0f6f4f11', ${shard}, ${cluster.shardCount})`,
    );
  }
});
after(() => cluster?.stop());

/** From one account to another, until the connection is lost. */
async function transferOn(client: pg.Client): Promise<void> {
  client.on('error', () => {});
  for (;;) {
    const transfer = nextTransfer++;
    const from = 1 + (transfer % ACCOUNTS);
    const to = 1 + ((transfer * 7 + 3) % ACCOUNTS);
    if (from === to) continue;
    // In the order of their numbers: no two wait for each other on two shards.
    const [first, second] = from < to ? [from, to] : [to, from];
    try {
      await client.query('BEGIN');
      for (const id of [first, second]) {
        const delta = id === from ? -1 : 1;
        await client.query('UPDATE account SET balance = balance + $1 WHERE id = $2', [delta, id]);
        await client.query('INSERT INTO entry VALUES ($1, $2)', [id, transfer]);
      }
      await client.query('COMMIT');
      confirmed.push(transfer);
    } catch {
      return;
    }
  }
}

/** When something is prepared: a moment later it is before or behind the decision. */
async function killInMidWork(proxy: TestProxy): Promise<void> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => shopClient(proxy)));
  const before = confirmed.length;
  const working = clients.map(transferOn);
  await eventually('work goes on', async () => confirmed.length > before + CLIENTS);
  while ((await prepared()).length === 0);
  proxy.kill('SIGKILL');
  await Promise.all(working);
  await Promise.all(clients.map((client) => client.end().catch(() => {})));
}

async function prepared(): Promise<unknown[]> {
  return cluster.server.query('SELECT gid FROM pg_prepared_xacts');
}

it('killed again and again: money stays, transfers are whole, confirmed ones are there', async (t) => {
  let proxy = await start();
  const filler = await shopClient(proxy);
  for (let id = 1; id <= ACCOUNTS; id++) await filler.query('INSERT INTO account VALUES ($1, 100)', [id]);
  await filler.end();
  let left = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    await killInMidWork(proxy);
    left += (await prepared()).length;
    proxy = await start();
  }
  await eventually('all is ended', async () => (await prepared()).length === 0);
  await proxy.stop();
  t.diagnostic(`${confirmed.length} transfers confirmed, ${left} parts were left prepared`);
  assert.ok(left > 0, 'nothing was cut in two: the test has seen nothing');
  const sums = await cluster.all('SELECT coalesce(sum(balance), 0)::int AS sum FROM account');
  const total = sums.reduce((all, { sum }) => all + Number(sum), 0);
  assert.equal(total, ACCOUNTS * 100);
  const parts = new Map<number, number>();
  for (const { transfer } of await cluster.all('SELECT transfer::int AS transfer FROM entry')) {
    parts.set(Number(transfer), (parts.get(Number(transfer)) ?? 0) + 1);
  }
  assert.deepEqual(
    [...parts].filter(([, count]) => count !== 2),
    [],
    'half a transfer',
  );
  assert.deepEqual(
    confirmed.filter((transfer) => !parts.has(transfer)),
    [],
    'a transfer that was confirmed is gone',
  );
});
