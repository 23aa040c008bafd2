/**
 * What is put together from several shards, with its bytes cut: those of the client and those of every shard, so that each offset
 * is the end of a piece in one of the runs. The answer is that of the bytes in one piece, which is that of one server.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { DRIVERS, driverProblem, forEachDriver, type TestDriver } from '../../support/drivers.js';
import { sendInPieces } from '../../support/every-split.js';
import { B, C, c, D, d, E, type Frame, H, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { type RawClient, summarise } from '../../support/raw-client.js';
import { PGDOG_SCHEMA, SHOP, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';
import { cutPieces, SplitRelay } from '../../support/split-relay.js';
import { clientOf, describeFrames } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, kind int NOT NULL, name text COLLATE "C");
  CREATE TABLE made (id bigint PRIMARY KEY, n int);
  CREATE TABLE by_hash (k bigint) PARTITION BY HASH (k);
  ${PGDOG_SCHEMA}
  CREATE SEQUENCE pgdog.ids;
  CREATE FUNCTION pgdog.unique_id() RETURNS bigint LANGUAGE sql AS $$SELECT nextval('pgdog.ids')$$;`;
const ROWS = 12;
const SORTED = 'SELECT id, name FROM thing ORDER BY id';

const EXCHANGES: Record<string, Buffer[]> = {
  'rows that are sorted': [Q(`${SORTED} LIMIT 7`)],
  'groups that are computed here': [
    P('', 'SELECT kind, avg(id) FROM thing GROUP BY kind HAVING count(*) > $1 ORDER BY kind', [20]),
    D('S', ''),
    B('', '', { values: ['2'] }),
    E(''),
    S(),
  ],
  'a portal, a portion at a time': [
    Q('BEGIN'),
    P('', SORTED),
    B('c', '', { resultFormats: [1, 0] }),
    D('P', 'c'),
    E('c', 4),
    S(),
    E('c', 5),
    S(),
    C('P', 'c'),
    S(),
    Q('ROLLBACK'),
  ],
  'a portal behind a Flush': [P('', SORTED), B('c', ''), E('c', 4), H(), E('c', 5), S()],
  'a cursor': [
    Q('BEGIN'),
    Q(`DECLARE c CURSOR FOR ${SORTED}`),
    Q('FETCH 4 FROM c'),
    Q('FETCH ALL c'),
    Q('COMMIT'),
  ],
  'rows of an INSERT, each to its shard': [
    P('', 'INSERT INTO thing VALUES ($1, 1, $2), (102, 2, $2), (103, $3, NULL) RETURNING id, name'),
    B('', '', { values: ['101', 'x', '3'] }),
    E(''),
    S(),
    Q('DELETE FROM thing WHERE id > 100'),
  ],
  // The transaction spreads while the answer of its first statement is being handed over.
  'one shard, then several, in a transaction': [
    Q('BEGIN'),
    Q('SELECT name FROM thing WHERE id = 1'),
    Q('UPDATE thing SET kind = 5'),
    P('', 'SELECT sum(kind) FROM thing'),
    B('', ''),
    E(''),
    S(),
    Q('ROLLBACK'),
  ],
  'COPY in': [
    Q('BEGIN'),
    Q('COPY thing FROM STDIN'),
    d('101\t1\ta\\tb\n102\t2'),
    d('\tc\n103\t3\t\\N\n'),
    c(),
    Q('ROLLBACK'),
  ],
  'ids that are made': [
    Q('BEGIN'),
    Q('INSERT INTO made VALUES (pgdog.unique_id(), 1)'),
    P('', 'INSERT INTO made VALUES (pgdog.unique_id(), $1), (pgdog.unique_id(), 3)'),
    D('S', ''),
    B('', '', { values: ['2'] }),
    E(''),
    S(),
    Q('DELETE FROM made'),
    Q('ROLLBACK'),
  ],
};

/** The number of a table is another on each shard, and the shard that answers first tells. */
function withoutTables({ type, body }: Frame): Frame {
  if (type !== 'T') return { type, body };
  const masked = Buffer.from(body);
  for (let column = 0, at = 2; column < body.readUInt16BE(0); column++) {
    const place = body.indexOf(0, at) + 1;
    masked.writeUInt32BE(0, place);
    at = place + 18;
  }
  return { type, body: masked };
}

/** Of the client: in more than 16 pieces a batch is not waited for (routing.md). */
const PIECES_MAX = 15;

/** Each exchange on one of the drivers, where both run here. */
function isTurnOf(driver: TestDriver, index: number): boolean {
  const isAlone =
    process.env.PGDOG_TEST_DRIVER !== undefined || DRIVERS.some((one) => driverProblem(one) !== '');
  return isAlone || index % 2 === DRIVERS.indexOf(driver);
}

let cluster: ShardCluster;
let relay: SplitRelay;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
  await cluster.everywhere(
    `INSERT INTO thing SELECT n, n % 3, 'thing ' || n FROM generate_series(1, ${ROWS}) n`,
  );
  for (let shard = 0; shard < cluster.shardCount; shard++) {
    const isElsewhere = `NOT satisfies_hash_partition('by_hash'::regclass, 3, ${shard}, id)`;
    await cluster.shard(shard, `DELETE FROM thing WHERE ${isElsewhere}`);
  }
  relay = await SplitRelay.open(cluster.server.port);
});
after(async () => {
  relay?.close();
  await cluster?.stop();
});

forEachDriver('bytes of several shards split at each offset', (driver) => {
  let proxy: TestProxy;
  let client: RawClient;
  let reference: RawClient;
  before(async () => {
    const entries = cluster.entries.map((entry) => ({ ...entry, port: relay.port }));
    proxy = await startShardedProxy({ entries }, driver, {
      tables: ['thing', 'made'].map((name) => ({ name, column: 'id' })),
      workers: 1,
    });
    client = await clientOf(proxy, { database: SHOP });
    reference = await clientOf(cluster.server, { database: 'reference' });
  });
  after(async () => {
    for (const each of [client, reference]) each?.destroy();
    await proxy?.stop();
  });

  for (const [name, parts] of Object.entries(EXCHANGES).filter((_, index) => isTurnOf(driver, index))) {
    const bytes = Buffer.concat(parts);
    const readyCount = parts.filter(([type]) => type === 0x51 || type === 0x53).length;
    const answer = async (to: RawClient, pieces: Buffer[]) => {
      await sendInPieces(to, pieces);
      return (await to.readUntilReady(readyCount)).frames.map(withoutTables);
    };

    it(name, async () => {
      const whole = await answer(client, [bytes]);
      const { columns, rows, tags, error } = summarise(whole);
      const theirs = summarise(await answer(reference, [bytes]));
      assert.deepEqual([columns, rows, tags, error], [theirs.columns, theirs.rows, theirs.tags, null]);
      const wanted = describeFrames(whole);
      // Each offset is one of these, one piece and the next.
      const every = Math.ceil(bytes.length / PIECES_MAX) + 1;
      for (let at = 0; at < every; at++) {
        relay.mark({ at, every });
        const found = describeFrames(await answer(client, cutPieces(bytes, { at, every })));
        assert.deepEqual(found, wanted, `cut behind ${at} bytes, and each ${every} behind them`);
      }
      relay.mark({ at: 0, every: 1 });
      const found = describeFrames(await answer(client, [bytes]));
      assert.deepEqual(found, wanted, 'single bytes of the shards');
      relay.mark(null);
    });
  }
});
