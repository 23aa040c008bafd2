/** Enums of several shards, which each has under a number of its own: what one server with all rows answers. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import pg from 'pg';
import { forOneDriver } from '../../support/drivers.js';
import { B, D, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import type { RawClient } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { clientOf } from '../../support/wire.js';

const USER = { user: 'postgres', password: 'postgres' };

/** No order of letters; one is not ASCII, one has a quote and a comma. */
const LABELS = ['urgent', 'high', 'Mittel', 'niedrig', 'später', "it's, so"];
const SCHEMA = `
  ${PGDOG_SCHEMA}
  CREATE TYPE level AS ENUM (${LABELS.map((label) => `'${label.replaceAll("'", "''")}'`).join(', ')});
  CREATE TYPE grade AS ENUM ('b', 'a');
  CREATE DOMAIN rank AS level;
  CREATE TABLE task (id bigint PRIMARY KEY, level level, grade grade NOT NULL, rank rank, n int);
  CREATE TABLE note (id bigint PRIMARY KEY, level level);
  CREATE VIEW pressing AS SELECT id, level FROM task WHERE level < 'Mittel';`;
const TABLES = ['task', 'note'].map((name) => ({ name, column: 'id', data_type: 'bigint' }));

const ANSWERED: { sql: string; values?: string[] }[] = [
  { sql: 'SELECT level, id FROM task ORDER BY level, id' },
  { sql: 'SELECT level, id FROM task ORDER BY level DESC NULLS LAST, id DESC LIMIT 7 OFFSET 3' },
  { sql: 'SELECT id FROM task ORDER BY grade, level NULLS FIRST, id LIMIT $1', values: ['9'] },
  { sql: 'SELECT id, level FROM pressing ORDER BY 2 DESC, 1' },
  { sql: 'SELECT DISTINCT level FROM task ORDER BY level' },
  { sql: 'SELECT DISTINCT grade, level FROM task ORDER BY level, grade DESC' },
  { sql: 'SELECT DISTINCT ON (level) level, id FROM task ORDER BY level, id' },
  { sql: 'SELECT level, count(*) FROM task GROUP BY level ORDER BY level' },
  { sql: 'SELECT level, grade, sum(n), avg(n) FROM task GROUP BY level, grade ORDER BY grade, level DESC' },
  {
    sql: 'SELECT level, count(*) FROM task GROUP BY level HAVING count(*) > $1 ORDER BY level',
    values: ['2'],
  },
  { sql: 'SELECT count(*) FROM task GROUP BY level ORDER BY level' },
  { sql: 'SELECT count(DISTINCT level), count(*) FROM task' },
  { sql: 'SELECT grade, count(DISTINCT level) FROM task GROUP BY grade ORDER BY grade' },
  { sql: 'SELECT level FROM task UNION SELECT level FROM note ORDER BY level' },
  { sql: 'SELECT level FROM task UNION ALL SELECT level FROM note ORDER BY level DESC' },
  {
    sql: 'SELECT t.level, n.level, t.id FROM task t JOIN note n ON n.id = t.id ORDER BY t.level, n.level, t.id',
  },
  { sql: "SELECT id FROM task WHERE level > 'high' ORDER BY level, id" },
  { sql: 'SELECT id FROM task WHERE level = $1 ORDER BY id', values: ['später'] },
  { sql: 'SELECT id FROM task WHERE level = ANY ($1) ORDER BY id', values: ['{später,"it\'s, so"}'] },
  { sql: "SELECT id FROM task ORDER BY coalesce(level, 'high'), id" },
  { sql: 'SELECT id FROM task ORDER BY CASE WHEN n > 3 THEN level END, id' },
  { sql: 'SELECT level FROM task WHERE id < 0 ORDER BY level' },
  { sql: 'SELECT min(level), max(level), min(grade), max(grade), count(level) FROM task' },
  { sql: 'SELECT max(DISTINCT level), count(DISTINCT grade), avg(n) FROM task' },
  { sql: 'SELECT max(level) FILTER (WHERE n > $1), min(n) FROM task', values: ['4'] },
  { sql: 'SELECT max(level), count(*) FROM task WHERE id < 0' },
  { sql: 'SELECT grade, min(level), max(level) FROM task GROUP BY grade ORDER BY 1' },
  { sql: 'SELECT n, max(level) FROM task GROUP BY n ORDER BY max(level) DESC NULLS LAST, n' },
  { sql: 'SELECT n FROM task GROUP BY n HAVING max(level) IS NOT NULL ORDER BY min(level), n LIMIT 4' },
  { sql: 'SELECT max(t.level), min(n.level) FROM task t JOIN note n ON n.id = t.id' },
  { sql: 'SELECT (SELECT max(level) FROM task), (SELECT min(level) FROM note)' },
  { sql: 'SELECT max(level) FROM pressing' },
];
const REFUSED: [sql: string, why: RegExp][] = [
  ['SELECT max(rank) FROM task', /0A000/],
  ["SELECT grade FROM task GROUP BY grade HAVING max(level) = 'high'", /0A000/],
  ['SELECT every(grade) FROM task', /0A000/],
  ['SELECT array_agg(level) FROM task', /0A000/],
  ['SELECT id FROM task ORDER BY rank', /0A000/],
];

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forOneDriver('enums over shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let direct: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES });
    client = await shopClient(proxy);
    direct = new pg.Client({ connectionString: cluster.referenceUrl() });
    await direct.connect();
    for (let id = 1; id <= 60; id++) {
      const values = [
        id,
        id % 7 === 6 ? null : LABELS[id % 7],
        ['a', 'b'][(id >> 1) % 2],
        LABELS[id % 6],
        (id * 7) % 11,
      ];
      const note = [id, LABELS[(id * 5) % 6]];
      for (const to of [client, direct]) {
        await to.query('INSERT INTO task VALUES ($1, $2, $3, $4, $5)', values);
        if (id % 3 === 0) await to.query('INSERT INTO note VALUES ($1, $2)', note);
      }
    }
  });
  after(async () => {
    await Promise.all([client.end(), direct.end()]);
    await proxy.stop();
  });

  for (const { sql, values } of ANSWERED) {
    it(`as one server: ${sql}`, async () => {
      const raw = await clientOf(proxy, { ...USER, database: SHOP });
      const other = await clientOf(cluster.server, { ...USER, database: 'reference' });
      for (const form of values === undefined ? ['simple', 'text', 'binary'] : ['text', 'binary']) {
        const formats = form === 'binary' ? [1] : [0];
        const batch = [P('', sql), B('', '', { values, resultFormats: formats }), D('P', ''), E(''), S()];
        const rowsOf = async (by: RawClient): Promise<unknown> => {
          by.send(form === 'simple' ? Q(sql) : Buffer.concat(batch));
          const { error, frames } = await by.readUntilReady();
          return (
            error ?? frames.filter(({ type }) => type === 'D').map(({ body }) => body.toString('latin1'))
          );
        };
        const [ours, theirs] = [await rowsOf(raw), await rowsOf(other)];
        assert.deepEqual(ours, theirs, form);
        assert.ok(
          Array.isArray(theirs) && (theirs.length > 0 || sql.includes('< 0')),
          'something is compared',
        );
      }
      await Promise.all([raw.end(), other.end()]);
    });
  }

  for (const [sql, why] of REFUSED) {
    it(`refused: ${sql}`, async () => {
      await assert.rejects(client.query(sql), ({ code, hint }: pg.DatabaseError) => {
        assert.match(code ?? '', why);
        assert.ok(hint);
        return true;
      });
    });
  }

  it('a label that is made through the proxy is put in its place at once', async () => {
    try {
      await client.query(`ALTER TYPE grade ADD VALUE 'between' BEFORE 'a'`);
      await direct.query(`ALTER TYPE grade ADD VALUE 'between' BEFORE 'a'`);
      for (const to of [client, direct]) await to.query(`UPDATE task SET grade = 'between' WHERE id = 11`);
      const sql = 'SELECT grade, id FROM task ORDER BY grade, id';
      assert.deepEqual((await client.query(sql)).rows, (await direct.query(sql)).rows);
    } finally {
      for (const to of [client, direct]) await to.query(`UPDATE task SET grade = 'a' WHERE id = 11`);
    }
  });

  it('labels that differ from shard to shard are put in no order, and the rows are given all the same', async () => {
    await cluster.shard(1, `ALTER TYPE grade ADD VALUE 'alone' AFTER 'b'`);
    // The catalogs are read again when something unknown is named.
    await client.query('SELECT FROM nowhere').catch(() => undefined);
    await assert.rejects(client.query('SELECT id FROM task ORDER BY grade'), { code: '0A000' });
    await assert.rejects(client.query('SELECT grade, count(*) FROM task GROUP BY grade'), { code: '0A000' });
    assert.equal((await client.query('SELECT grade FROM task')).rowCount, 60);
  });

  it('another encoding of the client is refused, where labels are compared', async () => {
    const latin = await shopClient(proxy);
    try {
      await latin.query("SET client_encoding TO 'LATIN1'");
      await assert.rejects(latin.query('SELECT id FROM task ORDER BY level'), { code: '0A000' });
    } finally {
      await latin.end();
    }
  });
});
