/** Groups that are spread over shards, asked in every way the protocol has: what one server sends, frame by frame. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import {
  B,
  C,
  cancelRequest,
  D,
  E,
  errorFields,
  type Frame,
  H,
  P,
  Q,
  rowValues,
  S,
} from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { SHOP, ShardCluster, shopClient, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE sale (shop bigint, id int, kind text COLLATE "C", price numeric(10,2), pieces int, sold date, PRIMARY KEY (shop, id));
  CREATE TABLE many (shop bigint, n int);`;
const TABLES = [
  { name: 'sale', column: 'shop', data_type: 'bigint' },
  { name: 'many', column: 'shop', data_type: 'bigint' },
];
const ROWS = `
  INSERT INTO sale SELECT shop, id, CASE WHEN id % 4 > 0 THEN 'kind ' || id % 4 END, shop * 1.37 + id, nullif((shop + id) % 7, 0),
    date '2024-01-01' + (shop * id % 60)::int FROM generate_series(1, 40) shop, generate_series(1, 9) id`;
const AVERAGE = 'SELECT kind, avg(price) AS a, count(*) FROM sale GROUP BY kind ORDER BY kind';
const HAVING =
  'SELECT kind, avg(pieces) FROM sale GROUP BY kind HAVING count(*) > $1 AND max(sold) > $2 ORDER BY 2';
const SORTED = 'SELECT pieces, sold FROM sale WHERE id < $1 ORDER BY price DESC LIMIT 5 OFFSET 2';
/** Of a test of answers that take a while. */
const MANY = 20_000;
const GROUPS = 'SELECT n, avg(n), count(*) * 2 FROM many GROUP BY n ORDER BY avg(n) DESC';

/** A RowDescription without the tables that columns are from, which have other numbers in each database. */
function untabled({ type, body }: Frame): string {
  const bytes = Buffer.from(body);
  let at = type === 'T' ? 2 : bytes.length;
  while (at < bytes.length) {
    at = bytes.indexOf(0, at) + 1;
    bytes.fill(0, at, at + 6);
    at += 18;
  }
  if (type === 'E') return `E ${errorFields(body).C}`;
  return `${type} ${bytes.toString('latin1')}`;
}

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('groups over several shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let ours: RawClient;
  let theirs: RawClient;
  before(async () => {
    await cluster.everywhere('TRUNCATE sale, many');
    proxy = await startShardedProxy(cluster, driver, { tables: TABLES, workers: 1 });
    client = await shopClient(proxy);
    for (let shop = 1; shop <= 40; shop++) {
      const rows = ROWS.replace('generate_series(1, 40)', `generate_series(${shop}, ${shop})`);
      const many = `INSERT INTO many SELECT ${shop}, ${shop} * 1000 + n FROM generate_series(1, ${MANY / 40}) n`;
      for (const sql of [rows, many]) await client.query(`/* pgdog_sharding_key: ${shop} */ ${sql}`);
    }
    await cluster.reference(ROWS);
    const login = { user: 'postgres', password: 'postgres' };
    ours = await RawClient.connect({ ...login, port: proxy.port, database: SHOP });
    theirs = await RawClient.connect({ ...login, port: cluster.server.port, database: 'reference' });
  });
  after(async () => {
    ours.destroy();
    theirs.destroy();
    await client.end();
    await proxy.stop();
  });

  const asks = async (to: RawClient, frames: Buffer[], last: string): Promise<string[]> => {
    to.send(...frames);
    return (await to.readUntil(last)).map(untabled);
  };

  /** Ends with ReadyForQuery, or with what Flush brings at last. */
  const same = async (frames: Buffer[], last = 'Z'): Promise<string[]> => {
    const their = await asks(theirs, frames, last);
    assert.deepEqual(await asks(ours, frames, last), their);
    return their;
  };

  /** What comes before an error is nobody's promise. */
  const sameError = async (frames: Buffer[]): Promise<void> => {
    const isTold = (each: string): boolean => each.startsWith('E') || each.startsWith('Z');
    const their = (await asks(theirs, frames, 'Z')).filter(isTold);
    assert.equal(their.length, 2);
    assert.deepEqual((await asks(ours, frames, 'Z')).filter(isTold), their);
  };

  it('a Query, and batches that name and describe what they ask in every order', async () => {
    const answer = await same([Q(AVERAGE)]);
    assert.equal(answer.filter((each) => each.startsWith('D')).length, 4);
    await same([P('', AVERAGE), B('', ''), E(''), S()]);
    await same([P('', AVERAGE), D('S', ''), B('', ''), D('P', ''), E(''), S()]);
    await same([P('', AVERAGE), B('', ''), D('P', ''), D('S', ''), E(''), S()]);
    await same([P('', AVERAGE), B('p', ''), D('P', 'p'), E('p'), C('P', 'p'), S()]);
    await same([P('', AVERAGE), B('', '', { resultFormats: [1] }), D('P', ''), E(''), S()]);
    await same([P('', AVERAGE), B('', '', { resultFormats: [0, 1, 0] }), D('P', ''), E(''), S()]);
    await same([P('', SORTED), B('', '', { values: ['5'], resultFormats: [1] }), D('P', ''), E(''), S()]);
  });

  it('a statement with a name: prepared, described, run again and again, closed', async () => {
    await same([P('having', HAVING), D('S', 'having'), S()]);
    const run = (values: string[], formats: number[]): Buffer[] => [
      B('', 'having', { values, resultFormats: formats }),
      E(''),
      S(),
    ];
    await same(run(['70', '2024-01-05'], []));
    await same(run(['89', '2024-01-05'], [1]));
    await same(run(['70', '2025-01-05'], [0, 1]));
    await same([B('', 'having', { values: ['70', '2024-01-05'] }), D('P', ''), E(''), S()]);
    await same([D('S', 'having'), B('', 'having', { values: ['70', '2024-01-05'] }), E(''), S()]);
    await same([C('S', 'having'), S()]);
    await same(run(['70', '2024-01-05'], []));
  });

  it('what only prepares may end with Flush, and is run from another batch', async () => {
    await same([P('', SORTED), D('S', ''), H()], 'T');
    await same([B('', '', { values: ['4'] }), E(''), S()]);
  });

  it('errors of parsing, of binding and of computing are those of one server', async () => {
    await sameError([Q('SELECT avg(kind) FROM sale')]);
    await sameError([P('', AVERAGE), B('', '', { values: ['1'] }), E(''), S()]);
    await sameError([P('', AVERAGE), B('', '', { resultFormats: [0, 1] }), E(''), S()]);
    await sameError([P('', HAVING), B('', '', { values: ['many', '2024-01-05'] }), E(''), S()]);
    await sameError([Q('SELECT avg(1 / (id - 5)) FROM sale')]);
    await sameError([Q('SELECT sum(pieces) / (count(*) - 360) FROM sale')]);
    await sameError([Q('SELECT (sum(pieces) * 1000)::smallint FROM sale')]);
    await sameError([Q('SELECT avg(price)::numeric(2,1) FROM sale')]);
    await same([Q(AVERAGE)]);
  });

  it('within a transaction, with what it has written, up to an error in it', async () => {
    await client.query('BEGIN');
    await client.query("UPDATE sale SET kind = 'new' WHERE shop = 7");
    const { rows } = await client.query({
      text: 'SELECT avg(id)::int, count(DISTINCT shop)::int FROM sale WHERE kind = $1',
      values: ['new'],
      rowMode: 'array',
    });
    assert.deepEqual(rows, [[5, 1]]);
    await assert.rejects(client.query('SELECT 1 / (count(*) - count(*)) FROM sale'), { code: '22012' });
    await assert.rejects(client.query('SELECT avg(id) FROM sale'), { code: '25P02' });
    await client.query('ROLLBACK');
  });

  it('settings that change what a text says of a value are minded, others are not', async () => {
    const own = await shopClient(proxy);
    await own.query('SET extra_float_digits TO 3');
    const { rows } = await own.query('SELECT max(price::float8) AS m, min(kind) AS k FROM sale');
    assert.deepEqual(rows, [{ m: 63.8, k: 'kind 1' }]);
    await own.query('SET extra_float_digits TO 0');
    await assert.rejects(own.query('SELECT max(price::float8) FROM sale'), { code: '0A000' });
    await own.query("SET datestyle TO 'SQL'");
    // Compared in binary, whatever is shown.
    const { rows: late } = await own.query(
      "SELECT count(*)::int AS n FROM sale HAVING max(sold) > '02/01/2024'",
    );
    assert.deepEqual(late, [{ n: 360 }]);
    await own.end();
  });

  it(`${MANY} groups are finished in parts, sorted and given as the client reads; others are answered meanwhile`, async () => {
    ours.send(Q(GROUPS));
    await ours.readUntil('T', 600_000);
    const { rows } = await client.query('SELECT count(*)::int AS n FROM sale');
    assert.equal(rows[0].n, 360);
    let last = Number.POSITIVE_INFINITY;
    let count = 0;
    for (let got = await ours.readFrame(600_000); got.type !== 'C'; got = await ours.readFrame(600_000)) {
      assert.equal(got.type, 'D');
      const n = Number(rowValues(got.body)[0]);
      assert.ok(n < last, `${n} behind ${last}`);
      last = n;
      count++;
    }
    assert.equal(count, MANY);
    await ours.readUntilReady();
    await same([Q(AVERAGE)]);
  });

  it('a client that cancels, or goes, while groups are made leaves nothing behind', async () => {
    ours.send(Q(GROUPS));
    await ours.readUntil('T', 600_000);
    const other = await RawClient.open({ port: proxy.port });
    other.send(cancelRequest(ours.pid, ours.secret));
    const { error } = await ours.readUntilReady(1, 600_000);
    // The cancellation may come when all has been sent.
    if (error !== null) assert.equal(error.C, '57014');
    other.destroy();
    await same([Q(AVERAGE)]);
    const going = await RawClient.connect({
      user: 'postgres',
      password: 'postgres',
      port: proxy.port,
      database: SHOP,
    });
    going.send(Q(GROUPS));
    await going.readUntil('T', 600_000);
    going.destroy();
    await same([Q(AVERAGE)]);
  });
});
