/** What object mappers and their migrations write, to several shards: answered as one Postgres answers it. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { MapperPair } from '../../support/mapper-pair.js';
import { PGDOG_SCHEMA, ShardCluster } from '../../support/shard-cluster.js';

const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TABLE customer (id bigint PRIMARY KEY, name text, n int NOT NULL DEFAULT 0);`;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('habits of object mappers', (driver) => {
  let pair: MapperPair;
  let ours: pg.Client;
  before(async () => {
    pair = await MapperPair.start(cluster, driver, {
      tables: [{ name: 'customer', column: 'id', data_type: 'bigint', unique_per_shard: true }],
    });
    ({ ours } = pair);
    await cluster.everywhere('TRUNCATE customer');
    await pair.same(
      `INSERT INTO customer VALUES ${Array.from({ length: 20 }, (_, n) => `(${n + 1}, 'c${n}', ${n})`).join()}`,
    );
  });
  after(() => pair.stop());

  it('SET TRANSACTION behind BEGIN holds for every shard that the transaction comes to', async () => {
    const isolation = (client: pg.Client, id: number): Promise<string> =>
      client
        .query(`SELECT current_setting('transaction_isolation') AS level FROM customer WHERE id = ${id}`)
        .then(({ rows }) => rows[0].level);
    for (const set of [
      'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;',
      'SET LOCAL TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    ]) {
      for (const values of [undefined, []]) {
        await pair.same('START TRANSACTION;');
        await pair.same(set, values);
        await pair.same('SET TRANSACTION READ WRITE');
        for (let id = 1; id <= 6; id++)
          assert.equal(await isolation(ours, id), 'repeatable read', `${set} ${id}`);
        for (let id = 1; id <= 6; id++) await pair.same(`UPDATE customer SET n = n + 1 WHERE id = ${id}`);
        await pair.same('SELECT count(*), sum(n) FROM customer');
        await pair.same('COMMIT');
        await pair.same('SELECT * FROM customer ORDER BY id');
      }
    }
  });

  it('… and READ ONLY and SERIALIZABLE are what they are', async () => {
    await pair.same('BEGIN');
    await pair.same('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY');
    await pair.same('SELECT name FROM customer WHERE id = 3');
    await pair.same('SHOW transaction_isolation');
    await pair.same('UPDATE customer SET n = 0 WHERE id = 3');
    await pair.same('ROLLBACK');
    await ours.query('BEGIN');
    await ours.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
    await assert.rejects(ours.query('SELECT count(*) FROM customer'), /serializable/);
    await ours.query('ROLLBACK');
    await pair.same('BEGIN');
    await pair.same('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await pair.same('ROLLBACK');
    await pair.same('SHOW transaction_isolation');
    await pair.same('BEGIN');
    await pair.same('SELECT 1/0');
    await pair.same('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await pair.same('COMMIT');
  });
});
