/** Writes to whole copies whose one row is asked for with a limit, as asyncpg's fetchrow and fetchval do. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { B, D, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawPair } from '../../support/raw-pair.js';
import { PGDOG_SCHEMA, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, name text COLLATE "C");
  CREATE TABLE label (id serial PRIMARY KEY, name text NOT NULL UNIQUE);
  ${PGDOG_SCHEMA}`;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('one row of a write, with a limit', (driver) => {
  let proxy: TestProxy;
  let pair: RawPair;
  const same = (name: string, ...frames: Buffer[]): Promise<unknown> => pair.same(name, ...frames);
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'thing', column: 'id', data_type: 'bigint' }],
    });
  });
  after(() => proxy.stop());
  beforeEach(async () => {
    await cluster.everywhere('TRUNCATE thing, label RESTART IDENTITY');
    pair = await RawPair.open(proxy, cluster);
  });
  afterEach(() => pair.close());

  /** Prepared by its name, as asyncpg does. */
  async function limited(name: string, sql: string, values: string[], rowsMax: number): Promise<void> {
    await same(`${name}, prepared`, P(name, sql), D('S', name), S());
    await same(name, B('', name, { values }), E('', rowsMax), S());
  }

  async function write(turn: string): Promise<void> {
    const insert = 'INSERT INTO label (name) VALUES ($1)';
    await limited(`insert ${turn}`, `${insert} RETURNING id, name`, [`a${turn}`], 1);
    await limited(`more than it has ${turn}`, `${insert} RETURNING id`, [`b${turn}`], 2);
    await limited(`no row ${turn}`, insert, [`c${turn}`], 1);
    const nothing = `${insert} ON CONFLICT DO NOTHING RETURNING id`;
    await limited(`nothing done ${turn}`, nothing, [`a${turn}`], 1);
    const upsert = `${insert} ON CONFLICT (name) DO UPDATE SET name = excluded.name || '!' RETURNING name`;
    await limited(`upsert ${turn}`, upsert, [`a${turn}`], 1);
    const update = 'UPDATE label SET name = name || $1 WHERE id = 2 RETURNING name';
    await limited(`update ${turn}`, update, [turn], 1);
  }

  it('outside of transactions, within, and rolled back', async () => {
    await write('1');
    await same('BEGIN', Q('BEGIN'));
    await write('2');
    await same('a row of one shard', Q("INSERT INTO thing VALUES (1, 'a')"));
    await same('COMMIT', Q('COMMIT'));
    await same('BEGIN', Q('BEGIN'));
    for (const id of [2, 3, 4]) await same('spread', Q(`INSERT INTO thing VALUES (${id}, 'b')`));
    await write('3');
    await same('ROLLBACK', Q('ROLLBACK'));
    await same('what there is', Q('SELECT name FROM label ORDER BY id'));
    const copies = await cluster.all("SELECT string_agg(id || name, ',' ORDER BY id) AS all FROM label");
    assert.equal(new Set(copies.map((row) => row['all'])).size, 1, 'copies are alike');
  });

  it('a violation, and the end of the transaction in which it was', async () => {
    await same('first', Q("INSERT INTO label (name) VALUES ('a')"));
    await same('prepared', P('again', 'INSERT INTO label (name) VALUES ($1) RETURNING id'), S());
    for (const isInside of [false, true]) {
      if (isInside) await same('BEGIN', Q('BEGIN'));
      pair.ours.send(B('', 'again', { values: ['a'] }), E('', 1), S());
      pair.theirs.send(B('', 'again', { values: ['a'] }), E('', 1), S());
      const answers = await Promise.all([pair.ours, pair.theirs].map((client) => client.readUntilReady()));
      assert.deepEqual(
        answers.map(({ error }) => error?.['C']),
        ['23505', '23505'],
      );
    }
    await same('COMMIT', Q('COMMIT'));
  });

  it('what may give more is refused, and there is no more of what has been given', async () => {
    await pair.ours.query("INSERT INTO label (name) VALUES ('a'), ('b')");
    for (const sql of [
      "UPDATE label SET name = name || 'x' RETURNING id",
      "INSERT INTO label (name) VALUES ('c'), ('d') RETURNING id",
    ]) {
      pair.ours.send(P('', sql), B('', ''), E('', 1), S());
      const { error, rows } = await pair.ours.readUntilReady();
      assert.equal(error?.['C'], '0A000', sql);
      assert.equal(rows.length, 0);
    }
    await pair.ours.query('BEGIN');
    await pair.theirs.query("INSERT INTO label (name) VALUES ('a'), ('b'); BEGIN");
    await same(
      'one',
      P('', "INSERT INTO label (name) VALUES ('e') RETURNING name"),
      B('', ''),
      E('', 1),
      S(),
    );
    await same('no more', E('', 1), S());
    await pair.ours.query('ROLLBACK');
    const counts = await cluster.all("SELECT string_agg(name, ',' ORDER BY id) AS names FROM label");
    assert.deepEqual(
      counts.map((row) => row['names']),
      ['a,b', 'a,b', 'a,b'],
    );
  });
});
