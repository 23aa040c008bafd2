/** Whether writes on several shards can be committed as one depends on the servers, which may be another kind tomorrow. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { startPostgres, type TestPostgres } from '../../support/embedded-postgres.js';
import type { TestProxy } from '../../support/proxy.js';
import { runProgram } from '../../support/run-program.js';
import { PGDOG_SCHEMA, SHOP, shopClient, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const SHARDS = [0, 1];
const TABLES = [{ name: 'account', column: 'id', data_type: 'bigint' }];
/** Nothing is read again unless somebody asks. */
const GENERAL = { load_schema: 'off', config_watch: false };
const HINT = 'Set max_prepared_transactions on every shard, or two_phase_commit = false (not atomic).';
const REFUSED = {
  code: '0A000',
  message: /the transaction has written on shards 0, 1, which cannot be committed as one/,
  hint: HINT,
};

let server: TestPostgres;
const urlOf = (shard: number): string => server.url(`shard_${shard}`);

async function onShard(shard: number, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(urlOf(shard));
  await client.connect();
  const { rows } = await client.query(sql).finally(() => client.end());
  return rows;
}

/** By shard, how often its row was changed. */
const counts = async (): Promise<unknown[]> =>
  (await Promise.all(SHARDS.map((shard) => onShard(shard, 'SELECT count FROM account')))).map(
    ([row]) => row?.count,
  );

const start = (driver: Parameters<typeof startShardedProxy>[1]): Promise<TestProxy> => {
  const { host, port } = server;
  const entries = SHARDS.map((shard) => ({
    name: SHOP,
    host,
    port,
    shard,
    database_name: `shard_${shard}`,
  }));
  return startShardedProxy({ entries }, driver, { tables: TABLES, general: GENERAL });
};

/** A transaction that says itself where it writes: no catalog is needed for that. */
async function changeBoth(client: pg.Client): Promise<void> {
  await client.query('BEGIN');
  for (const shard of SHARDS)
    await client.query(`/* pgdog_shard: ${shard} */ UPDATE account SET count = count + 1`);
  await client.query('COMMIT');
}

/** Which rules there are changes, so that what was read of the catalogs is forgotten. */
async function reload(proxy: TestProxy, rule: string): Promise<void> {
  const path = join(proxy.directory, 'pgdog.toml');
  const [head = ''] = readFileSync(path, 'utf8').split('[[sharded_tables]]');
  const table = `[[sharded_tables]]\ndatabase = "${SHOP}"\ncolumn = "id"\ndata_type = "bigint"\n`;
  writeFileSync(path, `${head}${table}name = "account"\n${rule === '' ? '' : `${table}name = "${rule}"\n`}`);
  await proxy.adminQuery('RELOAD');
}

/** Servers that prepare, or do not. */
async function allow(preparedMax: number): Promise<void> {
  await server.query(`ALTER SYSTEM SET max_prepared_transactions = ${preparedMax}`);
  await server.kill('SIGINT');
  await server.restart();
}

before(async () => {
  server = await startPostgres();
  for (const shard of SHARDS) {
    await server.query(`CREATE DATABASE shard_${shard}`);
    await onShard(
      shard,
      `CREATE TABLE account (id bigint PRIMARY KEY, count int NOT NULL); CREATE TABLE later (id bigint); ${PGDOG_SCHEMA}`,
    );
  }
});
after(() => server.stop());

forEachDriver('commits as the servers allow them', (driver) => {
  before(async () => {
    await allow(0);
    for (const shard of SHARDS)
      await onShard(shard, `TRUNCATE account; INSERT INTO account VALUES (${shard}, 0)`);
  });

  it('servers that do not prepare: refused whatever is known of them, said by check; once they do, done', async () => {
    const proxy = await start(driver);
    try {
      const { err } = await runProgram(['check', '--connect'], proxy.directory);
      assert.match(
        err,
        /"shop": max_prepared_transactions is 0 on shards 0 and 1: writes on several shards are refused/,
      );
      const client = await shopClient(proxy);
      await client.query('UPDATE account SET count = 0 WHERE id = 0');
      await assert.rejects(client.query('UPDATE account SET count = count + 1'), REFUSED);
      await assert.rejects(changeBoth(client), REFUSED);
      await assert.rejects(client.query('COPY account FROM STDIN'), {
        message: /COPY writes on several shards/,
        hint: HINT,
      });
      // While the rules are new, nothing is known: then it is the servers that refuse.
      for (const rule of ['later', '', 'later']) {
        const isOver = reload(proxy, rule);
        for (let round = 0; round < 5; round++)
          await assert.rejects(changeBoth(client), { code: /^(0A000|55000)$/ });
        await isOver;
      }
      assert.deepEqual(await counts(), [0, 0]);
      await client.end();
      await allow(20);
      await proxy.adminQuery('RELOAD');
      await eventually('they are known to prepare', async () => {
        const later = await shopClient(proxy);
        return changeBoth(later)
          .then(
            () => true,
            () => false,
          )
          .finally(() => later.end());
      });
      assert.deepEqual(await counts(), [1, 1]);
      // And back: what is not known to have changed is found out by the commit.
      await allow(0);
      const last = await shopClient(proxy);
      await assert.rejects(changeBoth(last), { code: '55000' });
      await proxy.adminQuery('RELOAD');
      await eventually('they are known not to prepare', () =>
        changeBoth(last).then(
          () => false,
          (error: pg.DatabaseError) => error.code === '0A000',
        ),
      );
      await last.end();
      assert.deepEqual(await counts(), [1, 1]);
    } finally {
      await proxy.stop();
    }
  });

  it('servers that prepare: from the first moment of a proxy, and over reloads of the rules', async () => {
    await allow(20);
    for (const shard of SHARDS) await onShard(shard, 'UPDATE account SET count = 0');
    const proxy = await start(driver);
    try {
      const clients = await Promise.all(SHARDS.map(() => shopClient(proxy)));
      await Promise.all(clients.map(changeBoth));
      let done = clients.length;
      let isOver = false;
      const busy = clients.map(async (client) => {
        while (!isOver) {
          await changeBoth(client);
          done++;
        }
      });
      for (const rule of ['later', '', 'later', '']) await reload(proxy, rule);
      isOver = true;
      await Promise.all(busy);
      await Promise.all(clients.map((client) => client.end()));
      assert.deepEqual(
        await counts(),
        SHARDS.map(() => done),
      );
    } finally {
      await proxy.stop();
    }
  });
});
