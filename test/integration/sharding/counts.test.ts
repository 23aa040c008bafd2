/** What SHOW QUERIES, SHOW QUERY_CACHE and SHOW CLIENTS count for statements over several shards: the client's, each once. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, c, d, E, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';

const ROWS = 300;
const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, kind int NOT NULL, name text);
  CREATE TABLE everywhere (id bigint PRIMARY KEY, name text);
  ${PGDOG_SCHEMA}
  CREATE TABLE by_hash (k bigint) PARTITION BY HASH (k);`;
const TIMEOUT_MS = 60_000;

interface Counts {
  calls: number;
  errors: number;
  rows: number;
  direct: number;
  multi: number;
}

/** How much space is between two tokens is of no interest. */
const squeezed = (text: string): string => text.replaceAll(' ', '');

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  await cluster.everywhere(
    `INSERT INTO thing SELECT n, n % 5, 'thing ' || n FROM generate_series(1, ${ROWS}) n`,
  );
  for (let shard = 0; shard < cluster.shardCount; shard++) {
    const isElsewhere = `NOT satisfies_hash_partition('by_hash'::regclass, 3, ${shard}, id)`;
    await cluster.shard(shard, `DELETE FROM thing WHERE ${isElsewhere}`);
  }
});
after(() => cluster.stop());

forEachDriver('counts over several shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let raw: RawClient;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'thing', column: 'id', data_type: 'bigint' }],
    });
    client = await shopClient(proxy);
    await client.query('SELECT count(*) FROM thing');
  });
  after(async () => {
    raw?.destroy();
    await client.end();
    await proxy.stop();
  });
  beforeEach(async () => {
    raw?.destroy();
    raw = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      timeoutMs: TIMEOUT_MS,
      port: proxy.port,
      database: SHOP,
    });
    await proxy.adminQuery('RESET QUERY_CACHE');
  });

  /** By text: all that SHOW QUERIES and SHOW QUERY_CACHE have. */
  const counts = async (): Promise<Map<string, Counts>> => {
    const queries = await proxy.adminQuery<Record<string, string>>('SHOW QUERIES LIMIT 1000');
    const cache = await proxy.adminQuery<Record<string, string>>('SHOW QUERY_CACHE');
    const all = new Map<string, Counts>();
    for (const row of queries) {
      const shape = cache.find(({ query }) => query === row.query);
      all.set(squeezed(row.query ?? ''), {
        calls: Number(row.calls),
        errors: Number(row.errors),
        rows: Number(row.rows),
        direct: Number(shape?.direct),
        multi: Number(shape?.multi),
      });
    }
    return all;
  };
  const several = (calls: number, rows: number, errors = 0): Counts => {
    return { calls, errors, rows, direct: 0, multi: calls };
  };
  const one = (calls: number, rows: number, errors = 0): Counts => {
    return { calls, errors, rows, direct: calls, multi: 0 };
  };
  const assertCounts = async (expected: Record<string, Counts>): Promise<void> => {
    const entries = Object.entries(expected).map(([text, each]) => [squeezed(text), each]);
    assert.deepEqual(Object.fromEntries(await counts()), Object.fromEntries(entries));
  };
  const ask = async (...frames: Buffer[]) => {
    raw.send(...frames);
    return raw.readUntilReady();
  };

  it('reads of both protocols and a write count once, with the rows of the answer', async () => {
    for (let i = 0; i < 3; i++) await client.query('SELECT kind, count(*) FROM thing GROUP BY kind');
    for (let i = 0; i < 2; i++) await client.query('SELECT id FROM thing WHERE kind = $1', [i]);
    const named = { name: 'n', text: 'SELECT id FROM thing WHERE kind < $1 ORDER BY id LIMIT 7' };
    for (let i = 0; i < 2; i++) await client.query({ ...named, values: [4] });
    await client.query("UPDATE thing SET name = 'b' WHERE kind = 2");
    await client.query("INSERT INTO everywhere VALUES (1, 'x'), (2, 'y')");
    await client.query('DELETE FROM everywhere');
    await assertCounts({
      'select kind, count(*) from thing group by kind': several(3, 15),
      'select id from thing where kind=$1': several(2, 120),
      'select id from thing where kind<$1 order by id limit $2': several(2, 14),
      'update thing set name=$1 where kind=$2': several(1, 60),
      'insert into everywhere values($1, $2)': several(1, 2),
      'delete from everywhere': several(1, 2),
    });
  });

  it('a statement with its key is direct, on whatever shard', async () => {
    for (let id = 1; id <= 4; id++) await client.query('SELECT name FROM thing WHERE id = $1', [id]);
    await assertCounts({ 'select name from thing where id=$1': one(4, 4) });
  });

  it('an INSERT that is split among shards', async () => {
    await client.query(
      "INSERT INTO thing VALUES (1001, 1, 'a'), (1002, 1, 'b'), (1003, 1, 'c'), (1004, 1, 'd')",
    );
    const text = 'INSERT INTO thing VALUES ($1, 1, $2), ($3, 1, $4), ($5, 1, $6)';
    await client.query(text, [1005, 'a', 1006, 'b', 1007, 'c']);
    await assert.rejects(client.query(text, [1008, 'a', 1006, 'b', 1009, 'c']), /duplicate key/);
    await client.query('DELETE FROM thing WHERE id > 1000');
    await assertCounts({
      'insert into thing values($1, $2, $3)': several(1, 4),
      'insert into thing values($1, $7, $2),($3, $8, $4),($5, $9, $6)': several(2, 3, 1),
      'delete from thing where id>$1': several(1, 7),
    });
  });

  it('COPY in and out counts with its rows', async () => {
    raw.send(Q('COPY thing FROM STDIN'));
    await raw.readUntil('G');
    raw.send(d('2001\t1\ta\n2002\t1\tb\n2003\t1\tc\n2004\t1\td\n'), c());
    assert.deepEqual((await raw.readUntilReady()).tags, ['COPY 4']);
    const out = await ask(Q('COPY thing TO STDOUT'));
    assert.deepEqual(out.tags, [`COPY ${ROWS + 4}`]);
    await ask(Q('DELETE FROM thing WHERE id > 2000'));
    await assertCounts({
      'copy thing from stdin': several(1, 4),
      'copy thing to stdout': several(1, ROWS + 4),
      'delete from thing where id>$1': several(1, 4),
    });
  });

  it('a transaction over several shards: its statements and its COMMIT once, nothing of ours', async () => {
    await client.query('BEGIN');
    await client.query("UPDATE thing SET name = 'c' WHERE id = 1");
    await client.query("UPDATE thing SET name = 'c' WHERE kind = 1");
    await client.query('SAVEPOINT here');
    await client.query('SELECT count(*) FROM thing');
    await client.query('SELECT name FROM thing WHERE id = 5');
    await client.query('COMMIT');
    await assertCounts({
      'update thing set name=$1 where id=$2': one(1, 1),
      'update thing set name=$1 where kind=$2': several(1, 60),
      'savepoint here': several(1, 0),
      'select count(*) from thing': several(1, 1),
      'select name from thing where id=$1': one(1, 1),
      commit: several(1, 0),
    });
  });

  it('portals that are read in portions: each Execute, with the rows that it gave', async () => {
    const text = 'SELECT id FROM thing ORDER BY id';
    const first = await ask(P('', text), B('', ''), E('', 10), S());
    assert.equal(first.rows.length, 10);
    raw.send(P('', text), B('p', ''), E('p', 20), H());
    await raw.readUntil('s');
    await ask(E('p', 30), E('p', 40), S());
    await assertCounts({ 'select id from thing order by id': several(4, 100) });
  });

  it('cursors: DECLARE, FETCH and CLOSE once each', async () => {
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT id FROM thing ORDER BY id');
    for (let i = 0; i < 3; i++) await client.query('FETCH 5 FROM c');
    await client.query('CLOSE c');
    await client.query('COMMIT');
    await assertCounts({
      'declare c cursor for select id from thing order by id': several(1, 0),
      'fetch $1 from c': several(3, 15),
      'close c': several(1, 0),
      commit: several(1, 0),
    });
  });

  it('errors once: of the shards, of all that is in a batch, and none where no server was asked', async () => {
    await assert.rejects(client.query('SELECT 1 / (id - id) FROM thing'), /division by zero/);
    await assert.rejects(client.query('SELECT 1 / (id - $1) FROM thing', [1]), /division by zero/);
    // A Bind that fails is no call.
    await assert.rejects(
      client.query('SELECT id FROM thing WHERE kind = $1::int', ['no number']),
      /invalid input/,
    );
    await assert.rejects(client.query('SELECT id, rank() OVER (ORDER BY id) FROM thing'), { code: '0A000' });
    await assert.rejects(
      client.query('SELECT id, rank() OVER (ORDER BY id) FROM thing WHERE kind = $1', [1]),
      {
        code: '0A000',
      },
    );
    await assertCounts({
      'select $1/(id-id) from thing': several(1, 0, 1),
      'select $2/(id-$1) from thing': several(1, 0, 1),
      'select id from thing where kind=$1::int': { calls: 0, errors: 1, rows: 0, direct: 0, multi: 0 },
    });
  });

  it('the unnamed statement that several shards have prepared is known to what one shard executes', async () => {
    await ask(
      P('', 'SELECT id FROM thing WHERE id = ANY($1::bigint[])'),
      B('', '', { values: ['{1,2,3,4,5}'] }),
      E(''),
      S(),
    );
    await ask(B('', '', { values: ['{1}'] }), E(''), S());
    const all = await counts();
    assert.deepEqual([...all.keys()], [squeezed('select id from thing where id = any($1::bigint[])')]);
    const [[, count]] = [...all];
    assert.deepEqual([count.calls, count.rows], [2, 6]);
  });

  it('SHOW CLIENTS has what the client did', async () => {
    const own = async (): Promise<Record<string, string>> => {
      const rows = await proxy.adminQuery<Record<string, string>>('SHOW CLIENTS');
      const { processID } = client as unknown as { processID: number };
      const found = rows.filter(({ database, state }) => database === SHOP && state !== undefined);
      assert.ok(processID !== 0 && found.length > 0);
      return found.toSorted((a, b) => Number(b.queries) - Number(a.queries))[0];
    };
    const before = await own();
    await client.query('SELECT count(*) FROM thing, pg_sleep(0.05)');
    await client.query("UPDATE thing SET name = 'd'");
    await assert.rejects(client.query('SELECT 1 / (id - id) FROM thing'));
    await assert.rejects(client.query('SELECT id, rank() OVER (ORDER BY id) FROM thing'), { code: '0A000' });
    await client.query('BEGIN');
    await client.query("UPDATE thing SET name = 'e'");
    await client.query('COMMIT');
    const now = await own();
    const more = (name: string) => Number(now[name]) - Number(before[name]);
    // BEGIN is answered by us, and is one.
    assert.equal(more('queries'), 6);
    assert.equal(more('transactions'), 4);
    assert.equal(more('errors'), 2);
    assert.ok(more('transaction_time') > 0.04, `${more('transaction_time')}`);
    assert.ok(more('query_time') <= more('transaction_time') + 1, `${more('query_time')}`);
  });
});
