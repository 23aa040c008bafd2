/** Requests that few drivers send, within transactions over several shards and around them: as one Postgres answers, or refused. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { B, C, D, E, F, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient, type RawResult, summarise } from '../../support/raw-client.js';
import { PGDOG_SCHEMA, SHOP, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0);
  CREATE TABLE late (id bigint, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
  ${PGDOG_SCHEMA}`;
const TABLES = [
  { name: 'thing', column: 'id', data_type: 'bigint' },
  { name: 'late', column: 'id', data_type: 'bigint' },
];
const ROWS = 30;
/** Longer than what is read. */
const PADDING = `/* ${'x'.repeat(70_000)} */`;

let cluster: ShardCluster;
/** One row of each shard. */
let ids: number[];
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('odd requests of several shards', (driver) => {
  let proxy: TestProxy;
  let client: RawClient;
  const connected = (): Promise<RawClient> =>
    RawClient.connect({ user: 'postgres', password: 'postgres', port: proxy.port, database: SHOP });
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES, workers: 1 });
  });
  after(async () => {
    client.destroy();
    await proxy.stop();
  });
  beforeEach(async () => {
    client?.destroy();
    client = await connected();
    await cluster.everywhere('TRUNCATE thing, late');
    const rows = Array.from({ length: ROWS }, (_, index) => `(${index + 1})`);
    await done(Q(`INSERT INTO thing (id) VALUES ${rows.join(', ')}`));
    ids = [];
    for (let shard = 0; shard < cluster.shardCount; shard++) {
      const [row] = await cluster.shard(shard, 'SELECT min(id)::int AS id FROM thing');
      ids.push(Number(row?.id));
    }
  });

  const ask = async (...frames: Buffer[]): Promise<RawResult> => {
    client.send(...frames);
    return summarise(await client.readUntil('Z'));
  };
  const done = async (...frames: Buffer[]): Promise<RawResult> => {
    const answer = await ask(...frames);
    assert.equal(answer.error, null, answer.error?.M);
    return answer;
  };
  const refused = async (code: string, ...frames: Buffer[]): Promise<string> => {
    const { error } = await ask(...frames);
    assert.equal(error?.C, code, error?.M ?? 'no error');
    return error?.M ?? '';
  };
  const update = (shard: number): Buffer => Q(`UPDATE thing SET n = n + 1 WHERE id = ${ids[shard]}`);
  const changed = async (): Promise<number[]> => {
    const rows = await cluster.all('SELECT id::int AS id FROM thing WHERE n <> 0');
    return rows.map(({ id }) => Number(id)).sort((a, b) => a - b);
  };

  it('what cannot be read is refused in a transaction over several shards, and the worker lives', async () => {
    for (const odd of [F(1598, []), Q(`/* pgdog_shard: 1 */ SELECT 1 ${PADDING}`)]) {
      await done(Q('SET pgdog.shard = 0'));
      await done(Q('BEGIN'));
      await done(update(0));
      await done(Q(`/* pgdog_shard: 1 */ UPDATE thing SET n = n + 1 WHERE id = ${ids[1]}`));
      const { error, status } = await ask(odd);
      assert.equal(error?.C, '0A000', error?.M);
      assert.match(error?.M ?? '', /its transaction is over several shards/);
      assert.equal(status, 'E');
      await done(Q('ROLLBACK'));
      await done(Q('RESET pgdog.shard'));
    }
    assert.deepEqual(await changed(), []);
  });

  it('what cannot be read has written, where the client names its shard', async () => {
    await done(Q('SET pgdog.shard = 0'));
    await done(Q('BEGIN'));
    await done(Q(`UPDATE thing SET n = 1 WHERE id = ${ids[0]} ${PADDING}`));
    await done(Q('/* pgdog_shard: 1 */ INSERT INTO late VALUES (1), (1)'));
    await refused('23505', Q('COMMIT'));
    assert.deepEqual(await changed(), []);
  });

  it('a statement that stands in for the one that is bound stands in for no other', async () => {
    const rows = `(${ids[0] + 100}), (${ids[1] + 100}), (${ids[2] + 100}), (900), (901)`;
    const insert = P('ins', `INSERT INTO thing (id) VALUES ${rows}`);
    await done(P('', `DELETE FROM thing WHERE id IN (${ids.join(', ')})`), insert, S());
    const other = P('s2', 'SELECT 1');
    for (const batch of [
      [B('', 'ins'), E(''), other],
      [other, B('', 'ins'), E('')],
      [B('', 'ins'), D('S', ''), E('')],
      [C('S', 'ins'), B('', 'ins'), E('')],
    ]) {
      const text = await refused('0A000', ...batch, S());
      assert.match(text, /other statements are prepared with it/);
    }
    const [row] = (await done(Q('SELECT count(*) FROM thing'))).rows;
    assert.deepEqual(row, [String(ROWS)]);
    // Nothing of the batches was done; what is about others only in closing them is.
    await done(C('S', 's2'), B('', 'ins'), E(''), C('S', 'ins'), S());
    await refused('26000', B('', 'ins'), E(''), S());
  });

  it('what was prepared ahead of an error stays, as its client was told', async () => {
    const fails = `SELECT 1 / (id - ${ids[2]}) FROM thing`;
    await done(P('', 'SELECT 7'), S());
    await refused('22012', P('', fails), B('', ''), E(''), S());
    await refused('22012', B('', ''), E(''), S());
    await refused('22012', P('named', fails), B('', 'named'), E(''), S());
    await refused('22012', B('', 'named'), E(''), S());
    await refused('22012', C('S', 'named'), P('', fails), B('', ''), E(''), S());
    await refused('26000', B('', 'named'), E(''), S());
    // Of what was never prepared nothing is kept.
    await refused('42601', P('bad', 'SELEC id FROM thing'), B('', 'bad'), E(''), S());
    await refused('26000', B('', 'bad'), E(''), S());
  });

  it('the time of a transaction stays, whichever shards join later', async () => {
    await done(Q('BEGIN'));
    await done(update(2));
    const first = (await done(Q('SELECT now()'))).rows;
    await done(update(0));
    await done(update(1));
    assert.deepEqual((await done(Q('SELECT now()'))).rows, first);
    await done(Q('ROLLBACK'));
  });

  it('MAINTENANCE lets a transaction over several shards end, and holds what would begin', async () => {
    await done(Q('BEGIN'));
    await done(update(2));
    await done(update(1));
    await proxy.adminQuery('MAINTENANCE ON');
    try {
      await done(update(0));
      await done(Q('COMMIT'));
      assert.deepEqual(
        await changed(),
        [...ids].sort((a, b) => a - b),
      );
      client.send(Q('UPDATE thing SET n = 0'));
      await eventually('it is held', async () => {
        const [row] = await proxy.adminQuery<{ cl_held: string }>('SHOW MAINTENANCE');
        return row?.cl_held === '1';
      });
      assert.equal((await changed()).length, ids.length);
    } finally {
      await proxy.adminQuery('MAINTENANCE OFF');
    }
    assert.deepEqual(summarise(await client.readUntil('Z')).tags, [`UPDATE ${ROWS}`]);
    assert.deepEqual(await changed(), []);
  });

  it('a session knows on each shard what it has written on several', async () => {
    const plan = async (): Promise<string> =>
      (await done(Q(`EXPLAIN (PGDOG) SELECT n FROM thing WHERE id = ${ids[1]}`))).rows.flat().join('\n');
    client.destroy();
    client = await connected();
    assert.doesNotMatch(await plan(), /just written/);
    await done(Q('UPDATE thing SET n = 2'));
    assert.match(await plan(), /just written/);
  });

  it('names of portals that are kept until the end of a transaction are bounded', async () => {
    await done(Q('BEGIN'));
    await done(update(0));
    await done(update(1));
    const one = `SELECT n FROM thing WHERE id = ${ids[1]}`;
    await done(P('', one), B('x'.repeat(1000), ''), E('x'.repeat(1000)), S());
    await refused('0A000', P('', one), B('x'.repeat(2000), ''), S());
    await done(Q('ROLLBACK'));
  });

  it('COMMIT that is described, and a portal that is closed after an error', async () => {
    await done(Q('BEGIN'));
    await done(update(0));
    await done(update(1));
    client.send(P('', 'COMMIT'), D('S', ''), B('', ''), D('P', ''), E(''), S());
    const frames = await client.readUntil('Z');
    assert.equal(frames.map(({ type }) => type).join(''), '1tn2nCZ');
    await done(Q('BEGIN'));
    await done(update(0));
    await done(P('', 'SELECT id FROM thing ORDER BY id'), B('c', ''), E('c', 3), S());
    await refused('22012', Q(`SELECT 1 / (id - ${ids[1]}) FROM thing`));
    client.send(C('P', 'c'), S());
    const closed = await client.readUntil('Z');
    assert.equal(closed.map(({ type }) => type).join(''), '3Z');
    await done(Q('ROLLBACK'));
  });

  it('without transactions a write on several shards could be done in part: its shard must be named', async () => {
    const own = await startShardedProxy(cluster, driver, {
      tables: TABLES,
      general: { pooler_mode: 'statement' },
    });
    try {
      const login = { user: 'postgres', password: 'postgres', port: own.port, database: SHOP };
      await assert.rejects(RawClient.connect(login), /pooler_mode = "transaction"/);
      const named = await RawClient.connect({ ...login, parameters: { options: '-c pgdog.shard=0' } });
      named.send(Q('SELECT count(*) FROM thing'));
      assert.equal(summarise(await named.readUntil('Z')).error, null);
      named.destroy();
    } finally {
      await own.stop();
    }
  });
});
