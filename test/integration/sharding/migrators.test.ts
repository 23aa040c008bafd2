/** What migrators send (Kysely, Flyway, dumps that are restored): locks, search paths, and definitions beside rows. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `${PGDOG_SCHEMA} CREATE SCHEMA app; CREATE TABLE app.place (tenant bigint, n int);`;

const KYSELY = [
  'CREATE TABLE IF NOT EXISTS "kysely_migration" ("name" varchar(255) NOT NULL PRIMARY KEY, "timestamp" varchar(255) NOT NULL)',
  'BEGIN',
  'SELECT pg_advisory_xact_lock(3853314791062309107)',
  'SELECT "name" FROM "kysely_migration" ORDER BY "timestamp", "name"',
  'CREATE TABLE "pet" ("tenant" bigint, "name" text)',
  'INSERT INTO app.place (tenant, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4)',
  `INSERT INTO "kysely_migration" ("name", "timestamp") VALUES ('001', '2024-01-01T00:00:00Z')`,
  'COMMIT',
];
const FLYWAY = [
  `SELECT set_config('search_path', 'app,"$user", public', false)`,
  'CREATE TABLE "app"."flyway_schema_history" ("installed_rank" INT NOT NULL PRIMARY KEY, "version" VARCHAR(50), "installed_on" TIMESTAMP NOT NULL DEFAULT now(), "success" BOOLEAN NOT NULL)',
  'BEGIN',
  'SELECT pg_try_advisory_xact_lock(77431708279161)',
  'CREATE TABLE car (id int PRIMARY KEY)',
  'ALTER TABLE place ADD COLUMN m int',
  'INSERT INTO "app"."flyway_schema_history" ("installed_rank", "version", "success") VALUES (1, \'1\', true)',
  'COMMIT',
  'SELECT "installed_rank", "version" FROM "app"."flyway_schema_history" ORDER BY "installed_rank"',
  `SELECT set_config('search_path', '"$user", public', false)`,
];

const BIKE = 'CREATE TABLE bike (id bigint PRIMARY KEY)';
/** As Kysely, golang-migrate, sqlx, Rails and node-pg-migrate take them. */
const SESSION_LOCKS: readonly (readonly (string | pg.QueryConfig)[])[] = [
  [
    'BEGIN',
    "with set_timeout as ( select set_config('lock_timeout', '3600000', true) as config_val ) select pg_advisory_lock(3853314791062309107) from set_timeout",
    BIKE,
    'select pg_advisory_unlock(3853314791062309107)',
    'COMMIT',
  ],
  [
    { text: 'SELECT pg_advisory_lock($1)', values: ['1245198'] },
    BIKE,
    'INSERT INTO bike VALUES (1)',
    { text: 'SELECT pg_advisory_unlock($1)', values: ['1245198'] },
  ],
  [
    { text: 'SELECT pg_advisory_lock($1)', values: ['1245198'] },
    'BEGIN',
    BIKE,
    { text: 'UPDATE app.place SET n = $1 WHERE tenant = $2', values: [1, 2] },
    'COMMIT',
    { text: 'SELECT pg_advisory_unlock($1)', values: ['1245198'] },
  ],
  [
    'SELECT pg_try_advisory_lock(2053462845)',
    'BEGIN',
    BIKE,
    'SAVEPOINT s',
    'DROP TABLE bike',
    'ROLLBACK TO s',
    'COMMIT',
    'SELECT pg_advisory_unlock(2053462845)',
  ],
];

const FORGET =
  'DROP TABLE pet, kysely_migration, app.car, app.flyway_schema_history; ALTER TABLE app.place DROP COLUMN m';

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('migrators', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: [{ column: 'tenant' }] });
    client = await shopClient(proxy);
  });
  after(async () => {
    await client?.end();
    await proxy.stop();
    for (const shard of cluster.shards.keys()) await cluster.shard(shard, FORGET);
  });

  it("Kysely's: a lock of the transaction beside definitions and rows of all shards", async () => {
    for (const sql of KYSELY) await client.query(sql);
    assert.equal((await cluster.all('SELECT * FROM kysely_migration')).length, 3);
    assert.equal((await cluster.all('SELECT * FROM pet')).length, 0);
    assert.equal((await cluster.all('SELECT * FROM app.place')).length, 4);
    await client.query('DELETE FROM app.place');
  });

  it("Flyway's: a search path by set_config(), of all shards", async () => {
    for (const sql of FLYWAY) await client.query(sql);
    assert.equal((await cluster.all('SELECT * FROM app.car')).length, 0);
    assert.equal((await cluster.all('SELECT * FROM app.flyway_schema_history')).length, 3);
    await assert.rejects(client.query('SELECT count(*) FROM place'), { code: '42P01' });
  });

  it('a search path of parameters, and an empty one as dumps have it', async () => {
    await client.query("SELECT set_config('search_path', $1, false)", ['app']);
    assert.deepEqual((await client.query('SELECT count(*) FROM place')).rows, [{ count: '0' }]);
    await client.query("SELECT pg_catalog.set_config('search_path', '', false)");
    await assert.rejects(client.query('SELECT count(*) FROM place'), { code: '42P01' });
    assert.deepEqual((await client.query('SELECT count(*) FROM app.place')).rows, [{ count: '0' }]);
    await client.query('RESET search_path');
  });

  it('a path that is set for a part of a transaction, or beside others, is refused', async () => {
    const hidden = { code: '0A000', message: /search_path and role cannot be changed within/ };
    await assert.rejects(client.query("SELECT set_config('search_path', 'app', true)"), hidden);
    await assert.rejects(
      client.query("SELECT set_config('search_path', 'app', false); SELECT count(*) FROM place"),
      hidden,
    );
    // Nobody here would know it afterwards.
    await assert.rejects(client.query("SELECT set_config('search_path', current_user, false)"), hidden);
    await assert.rejects(client.query("SELECT set_config('search_path', $1, false)", ['Ä']), hidden);
    await assert.rejects(client.query("SELECT set_config('search_path', 'app', $1)", [false]), hidden);
    await client.query('BEGIN');
    await assert.rejects(client.query("SELECT set_config('search_path', 'app', false)"), hidden);
    await client.query('ROLLBACK');
    await assert.rejects(client.query('SELECT count(*) FROM place'), { code: '42P01' });
  });

  it('rows of a table that the transaction itself makes are refused', async () => {
    await client.query('BEGIN');
    await client.query('CREATE TABLE own (tenant bigint)');
    await assert.rejects(client.query('INSERT INTO own VALUES (1)'), (error: pg.DatabaseError) => {
      assert.equal(error.code, '0A000');
      assert.match(error.hint ?? '', /COMMIT definitions before/);
      return true;
    });
    await client.query('ROLLBACK');
    await assert.rejects(client.query('INSERT INTO own VALUES (1)'), { code: '42P01' });
  });

  it('locks of the session beside definitions and rows of all shards, within transactions and outside of them', async () => {
    for (const steps of SESSION_LOCKS) {
      for (const step of steps) await client.query(step);
      await cluster.all('SELECT * FROM bike');
      await client.query('DROP TABLE bike');
      assert.deepEqual(await cluster.server.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), []);
    }
  });
});
