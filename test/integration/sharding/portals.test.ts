/** Portals over several shards, whose rows are asked for a portion at a time: as drivers do it, and as one Postgres answers. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import postgres from 'postgres';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, type Frame, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient, summarise } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const ROWS = 300;
const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, kind int NOT NULL, name text COLLATE "C");
  CREATE TABLE setting (name text);
  ${PGDOG_SCHEMA}
  CREATE TABLE by_hash (k bigint) PARTITION BY HASH (k);`;
const SORTED = 'SELECT id, name FROM thing ORDER BY id';
const TIMEOUT_MS = 60_000;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  await cluster.everywhere(
    `INSERT INTO thing SELECT n, n % 7, 'thing ' || n * 7919 % 101 FROM generate_series(1, ${ROWS}) n`,
  );
  for (let shard = 0; shard < cluster.shardCount; shard++) {
    const isElsewhere = `NOT satisfies_hash_partition('by_hash'::regclass, 3, ${shard}, id)`;
    await cluster.shard(shard, `DELETE FROM thing WHERE ${isElsewhere}`);
  }
});
after(() => cluster.stop());

forEachDriver('portals over several shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let ours: RawClient;
  let theirs: RawClient;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'thing', column: 'id', data_type: 'bigint' }],
    });
    client = await shopClient(proxy);
  });
  after(async () => {
    for (const each of [ours, theirs]) each.destroy();
    await client.end();
    await proxy.stop();
  });
  beforeEach(async () => {
    for (const each of [ours, theirs]) each?.destroy();
    const login = { user: 'postgres', password: 'postgres', timeoutMs: TIMEOUT_MS };
    ours = await RawClient.connect({ ...login, port: proxy.port, database: SHOP });
    theirs = await RawClient.connect({ ...login, port: cluster.server.port, database: 'reference' });
  });

  /** All that comes up to one of these frames. */
  const answer = async (raw: RawClient, frames: Buffer[], last: string): Promise<Frame[]> => {
    raw.send(...frames);
    const list: Frame[] = [];
    do list.push(await raw.readFrame(TIMEOUT_MS));
    while (!`${last}E`.includes(list.at(-1)?.type ?? '') || (last === 'Z' && list.at(-1)?.type === 'E'));
    return list.filter(({ type }) => type !== 'N' && type !== 'S');
  };
  /** The same from both. @returns what it comes to, in short */
  const both = async (frames: Buffer[], last = 'Z'): Promise<string> => {
    const seen = await Promise.all(
      [ours, theirs].map(async (raw) => {
        const list = await answer(raw, frames, last);
        const { columns, rows, tags, error, status } = summarise(list);
        const types = list.map(({ type }) => type).join('');
        // How many rows come before an error is nobody's promise.
        return error === null ? { types, columns, rows, tags, status } : { code: error.C, status };
      }),
    );
    assert.deepEqual(seen[0], seen[1]);
    const [own] = seen;
    return own?.types?.replace(/D+/g, 'D') ?? String(own?.code);
  };
  const refused = async (...frames: Buffer[]): Promise<void> => {
    const { error } = summarise(await answer(ours, frames, 'Z'));
    assert.equal(error?.C, '0A000', error?.M);
  };
  const begin = (): Promise<string> => both([Q('BEGIN')]);

  it('a fetch size in a transaction: bound once, executed again and again, closed', async () => {
    await begin();
    assert.equal(await both([P('', SORTED), B('C_1', ''), D('P', 'C_1'), E('C_1', 7), S()]), '12TDsZ');
    assert.equal(await both([E('C_1', 7), S()]), 'DsZ');
    assert.equal(await both([E('C_1', 200), S()]), 'DsZ');
    assert.equal(await both([E('C_1', 200), S()]), 'DCZ');
    assert.equal(await both([E('C_1', 200), S()]), 'CZ');
    assert.equal(await both([C('P', 'C_1'), S()]), '3Z');
    assert.equal(await both([E('C_1'), S()]), '34000');
    await both([Q('ROLLBACK')]);
  });

  it('a portion that has exactly the rows that are left', async () => {
    await begin();
    await both([P('', SORTED), B('c', ''), E('c', ROWS), S()]);
    assert.equal(await both([E('c', 1), S()]), 'CZ');
    await both([P('', 'SELECT 1 FROM thing'), B('d', ''), E('d', ROWS - 1), S()]);
    assert.equal(await both([E('d', 1), S()]), 'DsZ');
    assert.equal(await both([E('d', 1), S()]), 'CZ');
  });

  it('several at once, and other statements between', async () => {
    await begin();
    await both([P('a', SORTED), B('C_1', 'a'), E('C_1', 10), S()]);
    await both([P('b', `${SORTED} DESC`), B('C_2', 'b'), E('C_2', 10), S()]);
    await both([
      P('', 'SELECT kind, count(*) FROM thing GROUP BY kind ORDER BY kind'),
      B('C_3', ''),
      E('C_3', 2),
      S(),
    ]);
    for (let i = 0; i < 3; i++) {
      await both([E('C_1', 10), E('C_2', 3), S()]);
      await both([
        P('', 'SELECT name FROM thing WHERE id = $1'),
        B('', '', { values: [String(i + 1)] }),
        E(''),
        S(),
      ]);
      await both([Q('SELECT count(*) FROM thing')]);
      await both([E('C_3', 2), D('P', 'C_1'), S()]);
    }
    await both([Q('UPDATE thing SET kind = 0')]);
    assert.equal(await both([E('C_1'), E('C_2'), S()]), 'DCDCZ');
    await both([Q('ROLLBACK')]);
  });

  it('bound in one batch, executed in the next', async () => {
    await begin();
    assert.equal(await both([P('s', SORTED), S()]), '1Z');
    assert.equal(await both([B('p', 's', { resultFormats: [1] }), S()]), '2Z');
    assert.equal(await both([E('p', 5), S()]), 'DsZ');
    assert.equal(await both([D('P', 'p'), S()]), 'TZ');
    assert.equal(await both([E('p'), S()]), 'DCZ');
  });

  it('closed ahead of the next statement, as JDBC does it, and its name taken again', async () => {
    await begin();
    await both([P('', SORTED), B('C_1', ''), E('C_1', 5), S()]);
    const one = [P('', 'SELECT name FROM thing WHERE id = 7'), B('', ''), D('P', ''), E(''), S()];
    assert.equal(await both([C('P', 'C_1'), ...one]), '312TDCZ');
    await both([P('', SORTED), B('C_1', ''), E('C_1', 5), S()]);
    assert.equal(await both([C('P', 'C_1'), P('', SORTED), B('C_2', ''), E('C_2', 5), S()]), '312DsZ');
    assert.equal(await both([C('P', 'C_2'), P('', SORTED), B('', ''), E('', 0), S()]), '312DCZ');
    await both([P('', SORTED), B('C_1', ''), E('C_1', 5), S()]);
    assert.equal(await both([C('P', 'C_1'), P('', 'SAVEPOINT s'), B('', ''), E(''), S()]), '312CZ');
    await both([P('', SORTED), B('C_1', ''), E('C_1', 5), S()]);
    await both([C('P', 'C_1'), P('', 'UPDATE thing SET kind = 1'), B('', ''), E(''), S()]);
    await both([P('', SORTED), B('C_1', ''), E('C_1', 5), S()]);
    assert.equal(await both([P('', SORTED), B('C_1', ''), E('C_1', 5), S()]), '42P03');
    await both([Q('ROLLBACK')]);
  });

  it('the unnamed one lives until another is bound, or a Query', async () => {
    await begin();
    await both([P('', SORTED), B('', ''), E('', 3), S()]);
    await both([E('', 3), S()]);
    await both([
      P('', 'SELECT kind FROM thing ORDER BY kind, id'.replace('kind FROM', 'kind, id FROM')),
      B('', ''),
      E('', 3),
      S(),
    ]);
    await both([E('', 3), S()]);
    await both([Q('SELECT 1')]);
    assert.equal(await both([E('', 3), S()]), '34000');
  });

  it('savepoints, errors, the end of the transaction', async () => {
    await begin();
    await both([P('', SORTED), B('kept', ''), E('kept', 3), S()]);
    await both([Q('SAVEPOINT s')]);
    await both([P('', SORTED), B('lost', ''), E('lost', 3), S()]);
    await both([E('kept', 3), S()]);
    await both([Q('SELECT 1 / 0')]);
    assert.equal(await both([E('kept', 3), S()]), '25P02');
    await both([Q('ROLLBACK TO s')]);
    assert.equal(await both([E('kept', 3), S()]), 'DsZ');
    assert.equal(await both([E('lost', 3), S()]), '34000');
    await both([Q('ROLLBACK TO s')]);
    await both([P('', 'SELECT id, 1 / (id - 5) FROM thing ORDER BY id'), B('bad', ''), S()]);
    await both([Q('SAVEPOINT t')]);
    assert.equal(await both([E('bad', 100), S()]), '22012');
    await both([Q('ROLLBACK TO t')]);
    assert.equal(await both([E('bad', 1), S()]), '55000');
    await both([Q('COMMIT')]);
    assert.equal(await both([E('kept', 3), S()]), '34000');
  });

  it('outside of a transaction it ends with the Sync', async () => {
    assert.equal(await both([P('', SORTED), B('c', ''), E('c', 3), E('c', 3), E('c'), S()]), '12DsDsDCZ');
    assert.equal(await both([P('', SORTED), B('c', ''), E('c', 3), S()]), '12DsZ');
    assert.equal(await both([E('c', 3), S()]), '34000');
  });

  it('a Flush behind each portion, as pg-cursor and postgres.js do it', async () => {
    for (const isInside of [false, true]) {
      if (isInside) await begin();
      assert.equal(await both([P('', SORTED), B('c', ''), D('P', 'c'), H()], 'T'), '12T');
      assert.equal(await both([E('c', 3), H()], 's'), 'Ds');
      assert.equal(await both([E('c', 30), H()], 's'), 'Ds');
      assert.equal(await both([C('P', 'c'), S()]), '3Z');
      assert.equal(await both([P('', SORTED), B('', ''), E('', 200), H()], 's'), '12Ds');
      assert.equal(await both([E('', 200), H()], 'C'), 'DC');
      assert.equal(await both([S()]), 'Z');
      if (isInside) await both([Q('COMMIT')]);
    }
  });

  it('an error behind a Flush: what follows is skipped up to the Sync', async () => {
    const failing = 'SELECT id, 1 / (id - 50) FROM thing ORDER BY id';
    await both([P('', failing), B('c', ''), E('c', 1), H()], 's');
    assert.equal(await both([E('c', 250), H()], 'E'), '22012');
    assert.equal(await both([E('c', 3), P('', 'nonsense'), S()]), 'Z');
    await both([Q('SELECT count(*) FROM thing')]);
    // What is computed of the rows of all shards comes at once.
    const averages = P(
      '',
      'SELECT kind, avg(id), count(*) FROM thing GROUP BY kind HAVING count(*) > 1 ORDER BY kind',
    );
    await both([averages, B('', ''), E('', 0), S()]);
    await refused(averages, B('', ''), E('', 3), S());
    await both([Q('BEGIN')]);
    await both([averages, B('', ''), E('', 0), S()]);
    await refused(averages, B('q', ''), E('q', 3), S());
    await answer(ours, [Q('ROLLBACK')], 'Z');
    await answer(theirs, [Q('ROLLBACK')], 'Z');
    await both([averages, B('', ''), E('', 0), S()]);
  });

  it('LIMIT and OFFSET in the text: all at once as any other, in portions not', async () => {
    const page = 'SELECT id, name FROM thing WHERE id > $1 ORDER BY id LIMIT 5 OFFSET 3';
    const above = (value: string) => ({ values: [value] });
    assert.equal(await both([P('page', page), D('S', 'page'), S()]), '1tTZ');
    assert.equal(await both([B('', 'page', above('10')), E(''), S()]), '2DCZ');
    assert.equal(await both([D('S', 'page'), B('', 'page', above('4')), D('P', ''), E(''), S()]), 'tT2TDCZ');
    assert.equal(await both([P('', page), B('', '', above('4')), E(''), S()]), '12DCZ');
    await both([B('', '', above('5')), D('P', ''), E(''), S()]);
    await refused(B('', 'page', above('4')), E('', 3), S());
    await refused(B('p', 'page', above('4')), S());
    await refused(P('', `DECLARE c CURSOR FOR ${page.replace('$1', '1')}`), B('', ''), E(''), S());
    await both([Q(`SELECT count(*) FROM thing`)]);
    const other = page.replace('LIMIT 5', 'LIMIT 2');
    assert.equal(await both([P('page', other), B('', 'page', above('4')), E(''), S()]), '42P05');
    assert.equal(await both([P('gone', 'SELECT 1'), S()]), '1Z');
    const changed = [
      C('S', 'gone'),
      P('other', other),
      D('S', 'other'),
      B('', 'other', above('4')),
      E(''),
      S(),
    ];
    assert.equal(await both(changed), '31tT2DCZ');
    assert.equal(await both([C('S', 'page'), C('S', 'other'), S()]), '33Z');
  });

  it('a client that goes in the middle leaves nothing behind', async () => {
    await answer(ours, [P('', `${SORTED}`), B('c', ''), E('c', 3), H()], 's');
    ours.destroy();
    const open = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname LIKE 'shard_%' AND state LIKE 'idle in%'`;
    await eventually('nothing is open', async () => (await cluster.reference(open))[0]?.n === 0);
  });

  it('writes without rows, of which JDBC wants one at most', async () => {
    const limited = (sql: string): Buffer[] => [P('', sql), B('', ''), D('P', ''), E('', 1), S()];
    assert.equal(await both(limited('UPDATE thing SET kind = kind')), '12nCZ');
    await begin();
    assert.equal(await both(limited("UPDATE thing SET name = 'x' WHERE id IN (1, 2, 3, 4, 5)")), '12nCZ');
    assert.equal(await both(limited('DELETE FROM thing WHERE id > 1000 RETURNING id')), '12TCZ');
    await both([Q('ROLLBACK')]);
  });

  it('what cannot be done is refused, and the session goes on', async () => {
    await refused(P('', 'UPDATE thing SET kind = 1 RETURNING id'), B('', ''), E('', 1), S());
    await both([Q('SELECT sum(kind) FROM thing')]);
    await answer(ours, [P('', SORTED), B('c', ''), E('c', 3), H()], 's');
    await refused(Q('SELECT 1'));
    await answer(ours, [P('', SORTED), B('c', ''), E('c', 3), H()], 's');
    await refused(P('', SORTED), B('', ''), E(''), S());
    await answer(ours, [Q('BEGIN')], 'Z');
    await answer(ours, [Q(`DECLARE c CURSOR FOR ${SORTED}`)], 'Z');
    await refused(E('c', 3), S());
    await answer(ours, [Q('ROLLBACK')], 'Z');
    await answer(ours, [Q('BEGIN')], 'Z');
    await answer(ours, [P('', SORTED), B('p', ''), E('p', 3), S()], 'Z');
    await refused(Q('FETCH 3 FROM p'));
    await answer(ours, [Q('ROLLBACK')], 'Z');
    for (const sql of ["INSERT INTO setting VALUES ('x')", 'TRUNCATE setting', 'SELECT 1']) {
      await answer(ours, [Q('BEGIN')], 'Z');
      await answer(ours, [P('', SORTED), B('p', ''), E('p', 3), S()], 'Z');
      await refused(P('', sql), B('', ''), E(''), E('p', 3), S());
      await answer(ours, [Q('ROLLBACK')], 'Z');
    }
    await both([Q('SELECT count(*) FROM thing')]);
  });

  it('postgres.js: a cursor, outside of a transaction and within one', async () => {
    const sql = postgres(proxy.url(SHOP), { max: 1, onnotice: () => undefined });
    const expected = Array.from({ length: ROWS }, (_, i) => String(i + 1));
    try {
      const outside: string[] = [];
      for await (const rows of sql`SELECT id FROM thing ORDER BY id`.cursor(70)) {
        for (const { id } of rows) outside.push(id as string);
      }
      assert.deepEqual(outside, expected);
      const inside: string[] = [];
      await sql.begin(async (tx) => {
        await tx`SELECT count(*) FROM thing`;
        await tx`SELECT id FROM thing ORDER BY id`.cursor(70, (rows) => {
          for (const { id } of rows) inside.push(id as string);
        });
        assert.equal((await tx`SELECT name FROM thing WHERE id = 7`).length, 1);
      });
      assert.deepEqual(inside, expected);
      const first: string[] = [];
      await sql`SELECT id FROM thing ORDER BY id`.cursor(5, ([row]) => {
        first.push(row?.id as string);
        return first.length === 2 ? sql.CLOSE : undefined;
      });
      assert.deepEqual(first, ['1', '6']);
      assert.equal((await sql`SELECT id FROM thing`).length, ROWS);
    } finally {
      await sql.end();
    }
  });
});
