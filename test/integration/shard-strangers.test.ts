// Users who are not configured, in a database that is on three shards.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { Supervisor } from 'pgdog-cluster';
import { startPostgres, type TestPostgres } from '../support/embedded-postgres.js';
import { FakeLogger } from '../support/fake-logger.js';
import { load } from '../support/load-configuration.js';
import { eventually } from '../support/wire.js';

let postgres: TestPostgres;
let supervisor: Supervisor;
const logger = new FakeLogger();

before(async () => {
  postgres = await startPostgres({ users: [{ name: 'guest', password: 'welcome' }] });
  for (const shard of [0, 1, 2]) await postgres.query(`CREATE DATABASE shop_${shard}`);
  const entries = [0, 1, 2].map(
    (shard) =>
      `[[databases]]\nname = "shop"\nhost = "127.0.0.1"\nport = ${postgres.port}\nshard = ${shard}\ndatabase_name = "shop_${shard}"\n`,
  );
  const general =
    '[general]\nhost = "127.0.0.1"\nport = 6432\nworkers = 1\npassthrough_auth = "enabled_plain"\nplain_auth_without_tls = true\n';
  const loaded = load({ config: general + entries.join('') });
  loaded.listen = [{ host: '127.0.0.1', port: 0 }];
  supervisor = new Supervisor({ loaded, logger });
  await supervisor.start();
});

after(async () => {
  await supervisor?.cut();
  await postgres?.stop();
});

it('one who logs in gets a pool in every shard, and then the schema can be read', async () => {
  await eventually('nobody can ask yet', async () => supervisor.shards.catalogs.states[0].error !== null);
  const failure = String(supervisor.shards.catalogs.states[0].error);
  assert.match(
    failure,
    /^shard \d: 127\.0\.0\.1:\d+: no user with a password is configured who could ask it$/,
  );
  const [{ port }] = supervisor.addresses;
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'guest',
    password: 'welcome',
    database: 'shop',
  });
  await client.connect();
  await client.end();
  const pools = supervisor.snapshot.pools.filter(({ user }) => user === 'guest');
  assert.deepEqual(
    pools.map(({ shard, serverDatabase }) => `${shard} ${serverDatabase}`),
    ['0 shop_0', '1 shop_1', '2 shop_2'],
  );
  assert.equal(new Set(pools.map(({ index }) => index)).size, 3);
  await eventually('the schema is read', async () => supervisor.shards.catalogs.states[0].data !== null);
});
