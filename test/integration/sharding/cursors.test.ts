/** Cursors over several shards: portions of many rows, of long ones, and what goes on between them. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, D, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const ROWS = 4000;
const LONG_ROWS = 120;
const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, kind int NOT NULL, price numeric, name text COLLATE "C");
  CREATE TABLE large (id bigint PRIMARY KEY, body text NOT NULL);
  CREATE TABLE by_hash (k bigint) PARTITION BY HASH (k);
  ${PGDOG_SCHEMA}`;
const FILL = `
  INSERT INTO thing SELECT n, n % 700, CASE WHEN n % 9 > 0 THEN n * 0.25 END, 'thing ' || n * 7919 % 10007
    FROM generate_series(1, ${ROWS}) n;
  INSERT INTO large SELECT n, repeat(chr((97 + n % 26)::int), 1000 + (n % 5 * 60000)::int) FROM generate_series(1, ${LONG_ROWS}) n;`;
const keepOwn = (table: string, shard: number): string =>
  `DELETE FROM ${table} WHERE NOT satisfies_hash_partition('by_hash'::regclass, 3, ${shard}, id)`;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  await cluster.everywhere(FILL);
  for (let shard = 0; shard < cluster.shardCount; shard++) {
    await cluster.shard(shard, keepOwn('thing', shard));
    await cluster.shard(shard, keepOwn('large', shard));
  }
});
after(() => cluster.stop());

forEachDriver('cursors over several shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let reference: pg.Client;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: ['thing', 'large'].map((name) => ({ name, column: 'id', data_type: 'bigint' })),
    });
    client = await shopClient(proxy);
    reference = new pg.Client({ connectionString: cluster.referenceUrl() });
    await reference.connect();
  });
  after(async () => {
    await client.end();
    await reference.end();
    await proxy.stop();
  });
  beforeEach(async () => {
    for (const each of [client, reference]) await each.query('ROLLBACK');
  });

  const both = async (sql: string): Promise<number> => {
    const [ours, theirs] = await Promise.all(
      [client, reference].map((each) => each.query({ text: sql, rowMode: 'array' })),
    );
    assert.deepEqual(ours?.rows, theirs?.rows, sql);
    assert.deepEqual([ours?.command, ours?.rowCount], [theirs?.command, theirs?.rowCount], sql);
    return ours?.rowCount ?? 0;
  };
  const through = async (sql: string, ...portions: (number | string)[]): Promise<void> => {
    await both('BEGIN');
    await both(`DECLARE c CURSOR FOR ${sql}`);
    for (const portion of portions) await both(`FETCH FORWARD ${portion} FROM c`);
    await both('COMMIT');
  };

  it('portions of all sizes, to the end and beyond', async () => {
    await through('SELECT * FROM thing ORDER BY id', 1, 2, 100, 1000, 3, 'ALL', 5);
    await through('SELECT name, id FROM thing ORDER BY name, id DESC', 63, 64, 65, 1500, 1, 1500, 1500, 1500);
    await through('SELECT price, id FROM thing ORDER BY price DESC NULLS LAST, id', 'ALL', 'ALL');
    await through('SELECT kind, count(*) FROM thing GROUP BY kind ORDER BY kind', 300, 300, 300, 1);
    await through('SELECT DISTINCT kind FROM thing ORDER BY kind LIMIT 500 OFFSET 100', 300, 300, 300);
    await through('SELECT 1 FROM thing', 1500, 1500, 1500, 1500);
  });

  it('every row once, in any order', async () => {
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT id FROM thing');
    const seen = new Set<string>();
    let came = 0;
    for (let size = 700; size > 0; ) {
      const { rows } = await client.query('FETCH 700 FROM c');
      size = rows.length;
      came += size;
      for (const { id } of rows) seen.add(id);
    }
    assert.deepEqual([came, seen.size], [ROWS, ROWS]);
  });

  it('long rows, short ones among them', async () => {
    await through('SELECT id, body FROM large ORDER BY id', 7, 70, 1, 'ALL');
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT body FROM large');
    const { rows } = await client.query('FETCH ALL FROM c');
    assert.equal(rows.length, LONG_ROWS);
    assert.equal((await client.query('MOVE ALL FROM c')).rowCount, 0);
  });

  it('the rows of the moment it was declared, whatever is written between portions', async () => {
    try {
      await both('BEGIN');
      await both('DECLARE c CURSOR FOR SELECT id, kind FROM thing ORDER BY id');
      await both('FETCH 10 FROM c');
      await both('UPDATE thing SET kind = -1 WHERE id <= 1200');
      await both('FETCH 1000 FROM c');
      await both('DELETE FROM thing WHERE id > 1200');
      await both('SELECT count(*), sum(kind) FROM thing');
      await both('FETCH ALL FROM c');
    } finally {
      for (const each of [client, reference]) await each.query('ROLLBACK');
    }
    await both('SELECT count(*), sum(kind) FROM thing');
  });

  it('several at once, one of them in a part of the transaction that is rolled back', async () => {
    await both('BEGIN');
    await both('DECLARE a CURSOR FOR SELECT id FROM thing ORDER BY id');
    await both('FETCH 500 FROM a');
    await both('SAVEPOINT s');
    await both('DECLARE b CURSOR FOR SELECT id FROM thing ORDER BY id DESC');
    for (let i = 0; i < 5; i++) {
      await both(`FETCH ${i * 100 + 1} FROM a`);
      await both(`FETCH ${i * 10 + 1} FROM b`);
    }
    await both('ROLLBACK TO s');
    await both('FETCH 2000 FROM a');
    await assert.rejects(client.query('FETCH b'), { code: '34000' });
  });

  it('a slow client: no more is asked for than it reads, and nothing is lost', async () => {
    const raw = await RawClient.connect({
      port: proxy.port,
      user: 'postgres',
      password: 'postgres',
      database: SHOP,
      timeoutMs: 30_000,
    });
    try {
      raw.send(
        Q('BEGIN'),
        Q('DECLARE c CURSOR FOR SELECT id, body FROM large ORDER BY id'),
        Q('FETCH ALL FROM c'),
      );
      // The answer does not fit on the way: it is read only when others have been served.
      for (let i = 0; i < 20; i++) await both('SELECT count(*) FROM thing');
      const ids: number[] = [];
      let readyCount = 0;
      while (readyCount < 3) {
        const { type, body } = await raw.readFrame(30_000);
        if (type === 'D') ids.push(Number(body.toString('latin1', 6, 6 + body.readInt32BE(2))));
        if (type === 'Z') readyCount++;
      }
      assert.deepEqual(
        ids,
        Array.from({ length: LONG_ROWS }, (_, i) => i + 1),
      );
    } finally {
      raw.destroy();
    }
  });

  it('a client that vanishes while it fetches leaves nothing behind', async () => {
    const raw = await RawClient.connect({
      port: proxy.port,
      user: 'postgres',
      password: 'postgres',
      database: SHOP,
    });
    raw.send(Q('BEGIN'), Q('UPDATE large SET body = body'));
    raw.send(Q('DECLARE c CURSOR FOR SELECT id, body FROM large ORDER BY id'), Q('FETCH ALL FROM c'));
    for (let type = ''; type !== 'D'; ) ({ type } = await raw.readFrame(10_000));
    raw.destroy();
    // The rows are locked until all shards have rolled back.
    assert.equal((await client.query('UPDATE large SET body = body')).rowCount, LONG_ROWS);
  });

  it('a cancel ends the portion, and the cursor with it', async () => {
    const raw = await RawClient.connect({
      port: proxy.port,
      user: 'postgres',
      password: 'postgres',
      database: SHOP,
    });
    const answer = async (): Promise<string> => {
      let code = '';
      for (;;) {
        const { type, body } = await raw.readFrame(30_000);
        if (type === 'E') code = /C(\w{5})/.exec(body.toString('latin1'))?.[1] ?? '?';
        if (type === 'Z') return `${code}${body.toString('latin1')}`;
      }
    };
    try {
      raw.send(Q('BEGIN'));
      assert.equal(await answer(), 'T');
      raw.send(Q('DECLARE c CURSOR FOR SELECT id, pg_sleep(60) FROM thing'));
      assert.equal(await answer(), 'T');
      raw.send(Q('SAVEPOINT s'));
      assert.equal(await answer(), 'T');
      raw.send(Q('FETCH ALL FROM c'));
      const running = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE 'FETCH FORWARD%' AND wait_event = 'PgSleep'`;
      await eventually('it runs', async () => (await cluster.reference(running))[0]?.n !== 0);
      await raw.cancel();
      assert.equal(await answer(), '57014E');
      raw.send(Q('ROLLBACK TO s'));
      assert.equal(await answer(), 'T');
      raw.send(Q('FETCH ALL FROM c'));
      assert.equal(await answer(), '55000E');
    } finally {
      raw.destroy();
    }
  });

  it('a prepared FETCH, executed again and again', async () => {
    const raw = await RawClient.connect({
      port: proxy.port,
      user: 'postgres',
      password: 'postgres',
      database: SHOP,
    });
    try {
      raw.send(Q('BEGIN'), Q('DECLARE c CURSOR FOR SELECT id FROM thing ORDER BY id'));
      raw.send(
        P('f', 'FETCH 3 FROM c'),
        D('S', 'f'),
        S(),
        B('', 'f'),
        E(''),
        S(),
        B('', 'f'),
        E(''),
        S(),
        B('', 'f'),
        E(''),
        S(),
      );
      const ids: string[] = [];
      const tags: string[] = [];
      let described = 0;
      for (let readyCount = 0; readyCount < 6; ) {
        const { type, body } = await raw.readFrame(10_000);
        if (type === 'D') ids.push(body.toString('latin1', 6));
        if (type === 'T') described++;
        if (type === 'C') tags.push(body.toString('latin1', 0, body.length - 1));
        if (type === 'Z') readyCount++;
      }
      assert.equal(described, 1);
      assert.deepEqual(ids, ['1', '2', '3', '4', '5', '6', '7', '8', '9']);
      assert.deepEqual(tags, ['BEGIN', 'DECLARE CURSOR', 'FETCH 3', 'FETCH 3', 'FETCH 3']);
    } finally {
      raw.destroy();
    }
  });

  it('a shard that is lost between two portions', async () => {
    const other = await shopClient(proxy);
    other.on('error', () => undefined);
    await other.query('BEGIN');
    await other.query('DECLARE c CURSOR FOR SELECT id FROM thing ORDER BY id');
    await other.query('FETCH 100 FROM c');
    await cluster.shard(
      1,
      `SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'`,
    );
    // As with one server, the connection of the client ends; or the loss is told to a FETCH that is under way.
    await assert.rejects(other.query('FETCH ALL FROM c'));
    await other.end().catch(() => undefined);
    assert.equal((await client.query('SELECT count(*) AS n FROM thing')).rows[0].n, String(ROWS));
  });
});
