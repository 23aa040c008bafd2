/** What users are told of statements over several shards: in their words, with something that they can do. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import type { TestProxy } from '../../support/proxy.js';
import { PGDOG_SCHEMA, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TABLE author (tenant bigint, id bigint, name text, PRIMARY KEY (tenant, id));
  CREATE TABLE post (tenant bigint NOT NULL, id bigint, author bigint, at timestamp, weight float8, PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, author) REFERENCES author ON DELETE SET NULL);
  CREATE TABLE device (id uuid PRIMARY KEY);
  CREATE TABLE club (tenant bigint, id bigint, PRIMARY KEY (tenant, id));
  CREATE TABLE member (tenant bigint NOT NULL, id bigint, club bigint,
    FOREIGN KEY (tenant, club) REFERENCES club ON DELETE SET NULL (club));`;

/** Statement, and what its refusal says. */
const REFUSED: readonly [sql: string, message: RegExp, hint: RegExp][] = [
  [
    'SELECT quote_literal(at) AS y, count(*) FROM post GROUP BY y ORDER BY y',
    /column "quote_literal\(at\)": .* how text is compared/,
    /COLLATE "C"/,
  ],
  ['SELECT id FROM post ORDER BY\n md5(at::text)', /column "md5\(at::text\)"/, /COLLATE "C"/],
  ['SELECT avg(weight) FROM post', /column "avg\(weight\)"/, /sharding key/],
  ['SELECT nope, count(*) FROM post GROUP BY id', /"nope" is not in GROUP BY/, /sharding key/],
  ['SELECT id FROM post ORDER BY oid', /oid means something else on each shard/, /sharding key/],
  [
    'DELETE FROM author WHERE tenant = 1',
    /would set its sharding key "tenant"/,
    /ON DELETE SET NULL \("author"\)/,
  ],
  [
    'SELECT * FROM device',
    /"device" is not what its rule says: its sharding key "id" is uuid, its rule says int8/,
    /data_type/,
  ],
  [
    'SELECT count(*) FROM post WHERE tenant = 1 UNION ALL SELECT count(*) FROM post WHERE tenant = 2',
    /different shards; across shards: an aggregate over rows of post\.tenant beside another query/,
    /sharding key/,
  ],
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('words of refusals', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ column: 'tenant' }, { name: 'device', column: 'id' }],
    });
    client = await shopClient(proxy);
    await client.query(`INSERT INTO club VALUES (1, 1), (2, 1), (3, 1) ON CONFLICT DO NOTHING`);
    await client.query(`INSERT INTO member VALUES (1, 1, 1), (2, 1, 1), (3, 1, 1)`);
  });
  after(async () => {
    await client.query('TRUNCATE member, club');
    await client.end();
    await proxy.stop();
  });

  for (const [sql, message, hint] of REFUSED) {
    it(`${sql}`, () =>
      assert.rejects(client.query(sql), (error: pg.DatabaseError) => {
        assert.equal(error.code, '0A000');
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /pgdog\.\d/);
        assert.match(error.hint ?? '', hint);
        return true;
      }));
  }

  it('a foreign key that leaves the sharding key as it is sets the other column', async () => {
    await client.query('DELETE FROM club WHERE tenant = 1');
    await client.query('DELETE FROM club WHERE id = 1');
    const { rows } = await client.query('SELECT tenant AS oid, club FROM member ORDER BY oid');
    assert.deepEqual(
      rows,
      ['1', '2', '3'].map((oid) => ({ oid, club: null })),
    );
  });
});
