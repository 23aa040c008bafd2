/** What pools of drivers send between two uses of a connection, to several shards: answered as one Postgres answers it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import { forEachDriver } from '../../support/drivers.js';
import { B, E, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawPair, shopRawClient } from '../../support/raw-pair.js';
import { PGDOG_SCHEMA, ShardCluster, startShardedProxy } from '../../support/shard-cluster.js';

const SCHEMA = `
  CREATE TABLE thing (id bigint PRIMARY KEY, name text COLLATE "C");
  CREATE TABLE label (name text);
  CREATE SCHEMA other;
  CREATE TABLE other.label (name text);
  INSERT INTO other.label VALUES ('other');
  ${PGDOG_SCHEMA}`;
/** Of asyncpg's pool, in one text. */
const RESET_TEXT = 'SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;';

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

forEachDriver('habits of pools, over several shards', (driver) => {
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
    await cluster.everywhere('TRUNCATE thing, label');
    pair = await RawPair.open(proxy, cluster);
  });
  afterEach(() => pair.close());

  /** Of one shard, of all, of whole copies, over several of one transaction. */
  async function used(): Promise<void> {
    await same('one', Q("INSERT INTO thing VALUES (1, 'a')"));
    await same('several', Q("INSERT INTO thing VALUES (2, 'b'), (3, 'c'), (4, 'd')"));
    await same('all', Q('SELECT id, name FROM thing ORDER BY id'));
    await same('whole copies', Q("INSERT INTO label VALUES ('x')"));
    await same('their rows', Q('SELECT name FROM label'));
    await same('BEGIN', Q('BEGIN'));
    for (const id of [1, 2, 3]) await same('in it', Q(`DELETE FROM thing WHERE id = ${id}`));
    await same('COMMIT', Q('COMMIT'));
    await same('emptied', Q('DELETE FROM thing'));
  }

  const resets: [string, Buffer[]][] = [
    ['DISCARD ALL (Npgsql, Slonik)', [Q('DISCARD ALL')]],
    ['DISCARD ALL by the protocol', [P('', 'DISCARD ALL'), B('', ''), E(''), S()]],
    ['several statements (asyncpg)', [Q(RESET_TEXT)]],
    ['RESET ALL', [Q('RESET ALL')]],
  ];
  for (const [name, reset] of resets) {
    it(name, async () => {
      await used();
      await same('reset', ...reset);
      await used();
      await same('twice', ...reset);
      await same('twice', ...reset);
      await same('a setting', Q("SET application_name = 'mine'"));
      await same('prepared', P('p', 'SELECT name FROM thing WHERE id = $1'), S());
      await same('a lock', Q('SELECT pg_advisory_lock(7)'));
      await same('reset', ...reset);
      await same('the setting', Q('SHOW application_name'));
      // RESET ALL keeps locks.
      await same('unlocked', Q('SELECT pg_advisory_unlock_all()'));
      await same('the statement', B('', 'p', { values: ['1'] }), E(''), S());
      await used();
    });

    it(`${name}, with a search_path of its own`, async () => {
      await same('SET', Q('SET search_path TO other, public'));
      await same('there', Q('SELECT name FROM label'));
      await same('reset', ...reset);
      await same('here', Q('SELECT name FROM label'));
      await same('SHOW', Q('SHOW search_path'));
    });
  }

  it('SET search_path as the first statement of many at a time, and by who keeps its server connection', async () => {
    const clients = await Promise.all(Array.from({ length: 12 }, () => shopRawClient(proxy)));
    const answers = await Promise.all(
      clients.map(async (client) => {
        client.send(Q('SET search_path TO other'), Q('SELECT name FROM label'));
        return [await client.readUntilReady(), await client.readUntilReady()];
      }),
    );
    for (const client of clients) client.destroy();
    for (const [set, rows] of answers) {
      assert.equal(set.error, null, set.error?.['M']);
      assert.deepEqual(rows.rows, [['other']]);
    }
    await same('kept', Q('SELECT pg_advisory_lock(8)'));
    await same('SET', Q('SET search_path TO other'));
    await same('rows', Q('SELECT name FROM label'));
    await same('RESET', Q(RESET_TEXT));
    await same('rows', Q('SELECT name FROM label'));
  });

  it('what stands behind RESET ALL in its text is read as it runs, or refused', async () => {
    await same('nothing to be reset', Q('RESET ALL; SELECT name FROM label; RESET ALL'));
    for (const setting of ['search_path TO other, public', 'pgdog.shard TO 1']) {
      await pair.ours.query(`SET ${setting}`);
      pair.ours.send(Q("RESET ALL; INSERT INTO label VALUES ('x')"));
      const { error } = await pair.ours.readUntilReady();
      assert.equal(error?.['C'], '0A000', setting);
      await pair.ours.query('RESET ALL');
    }
    const counts = await cluster.all('SELECT count(*)::int AS n FROM label');
    assert.deepEqual(
      counts.map(({ n }) => n),
      [0, 0, 0],
    );
  });
});
