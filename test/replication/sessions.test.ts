/** What sessions do, over a primary and two standbys at once: each answer is the one that a single Postgres gives. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import postgres from 'postgres';
import { forOneDriver } from '../support/drivers.js';
import { B, C, D, E, P, Q, S } from '../support/frames.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import {
  nodeClientOf,
  startRoutedProxy,
  untilStandbysServe,
  WHERE,
  whereOf,
} from '../support/routed-proxy.js';
import {
  assertSameAsDirect,
  batch,
  eventually,
  firstValue,
  run,
  sqlstateOf,
  withClients,
} from '../support/wire.js';

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({
    initSql: `CREATE TABLE item (id int PRIMARY KEY, name text);
      CREATE SCHEMA other; CREATE TABLE other.item (id int); INSERT INTO other.item VALUES (77);
      CREATE ROLE limited; GRANT SELECT ON other.item TO limited; GRANT USAGE ON SCHEMA other TO limited;
      CREATE FUNCTION add_item(which int) RETURNS int LANGUAGE sql AS
        'INSERT INTO item VALUES (which, ''by function'') RETURNING id';
      CREATE FUNCTION double(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
      CREATE SEQUENCE ticket;
      CREATE VIEW adding AS SELECT add_item(500) AS id;`,
  });
});
after(() => cluster.stop());

const insert = (id: number): string => `INSERT INTO item VALUES (${id}, 'row ${id}')`;
const WHERE_NOW = `${WHERE}, count(*) FROM item`;

/** A statement of the extended protocol, without its Sync. */
const extended = (sql: string): Buffer[] => [P('', sql), B('', ''), D('P', ''), E('')];

forOneDriver('sessions over several hosts', (driver) => {
  let proxy: TestProxy;
  /** Reads go to standbys whatever the session has just written: for tests that ask where something ran. */
  let forgetful: TestProxy;
  before(async () => {
    const general = { read_write_split: 'exclude_primary', load_balancing_strategy: 'round_robin' };
    [proxy, forgetful] = await Promise.all([
      startRoutedProxy(cluster, driver, { general: { ...general, read_your_writes: 'lsn' } }),
      startRoutedProxy(cluster, driver, {
        general: { ...general, read_your_writes: 'off', read_write_strategy: 'aggressive' },
      }),
    ]);
    for (const each of [proxy, forgetful]) await untilStandbysServe(each, cluster);
    await cluster.primary.query('TRUNCATE item');
    await cluster.untilCaughtUp();
  });
  after(async () => {
    await proxy.stop();
    await forgetful.stop();
  });

  const same = (...script: [number, ...Buffer[]]): Promise<void> =>
    assertSameAsDirect(proxy, cluster.primary, batch(...script));
  const isStandby = (name: string | null): boolean =>
    cluster.standbys.some((standby) => standby.name === name);
  const assertStandby = (name: string | null, what: string): void =>
    assert.ok(isStandby(name), `${what}: on ${name}`);
  const withClient = (body: (client: RawClient) => Promise<void>, to: TestProxy = proxy): Promise<void> =>
    withClients(to, 1, body);

  it('a pipelined batch of reads and writes: each read sees the writes before it', () =>
    same(
      2,
      Q('TRUNCATE item'),
      ...extended('SELECT count(*) FROM item'),
      ...extended(insert(1)),
      ...extended('SELECT count(*) FROM item'),
      ...extended(insert(2)),
      ...extended('SELECT id, name FROM item ORDER BY id'),
      S(),
    ));

  it('a pipeline with a Sync after each: reads see the writes before them, answers come in order', () =>
    same(
      41,
      Q('TRUNCATE item'),
      ...Array.from({ length: 20 }, (_, n) => [
        ...extended(insert(n)),
        S(),
        ...extended('SELECT count(*), max(id) FROM item'),
        S(),
      ]).flat(),
    ));

  it('queries sent without waiting: the same', () =>
    same(
      41,
      Q('TRUNCATE item'),
      ...Array.from({ length: 20 }, (_, n) => [Q(insert(n)), Q('SELECT count(*), max(id) FROM item')]).flat(),
    ));

  it('EXECUTE goes where its statement does: reads to standbys, writes to the primary', () =>
    withClient(async (client) => {
      await run(client, `PREPARE where_read AS ${WHERE}`);
      await run(client, `PREPARE where_written AS ${insert(900)} RETURNING current_setting('cluster_name')`);
      assertStandby(await firstValue(client, 'EXECUTE where_read'), 'a read');
      assert.equal(await firstValue(client, 'EXECUTE where_written'), 'primary');
      assertStandby(await firstValue(client, 'EXECUTE where_read'), 'a read behind a write');
      assert.equal(sqlstateOf(await client.query('EXECUTE nobody')), '26000');
      await run(client, 'BEGIN');
      assertStandby(await firstValue(client, 'EXECUTE where_read'), 'a read that begins a transaction');
      assert.equal(sqlstateOf(await client.query('EXECUTE where_written')), '25006');
      await run(client, 'ROLLBACK', 'DELETE FROM item WHERE id = 900');
    }, forgetful));

  it('a pipeline that begins with reads: writes behind them do not end up where those are', async () => {
    const statements = [
      'SELECT 1',
      'SELECT 2',
      'TRUNCATE item',
      'SELECT count(*) FROM item',
      insert(1),
      "SELECT nextval('ticket') - currval('ticket')",
      'BEGIN READ ONLY',
      'SELECT count(*) FROM item',
      insert(2),
      'ROLLBACK',
      'BEGIN READ ONLY',
      'SELECT 3',
      'COMMIT',
      insert(3),
      'SHOW client_encoding',
      insert(4),
      'SELECT id FROM item ORDER BY id',
    ];
    for (const begins of ['SELECT 0', 'SHOW client_encoding', 'VALUES (1)']) {
      const all = [begins, ...statements];
      await same(all.length, ...all.flatMap((sql) => [...extended(sql), S()]));
      await same(all.length, ...all.map(Q));
    }
  });

  it('a batch that reads, then fails to write: nothing of it stays', () =>
    same(
      3,
      Q(`TRUNCATE item; ${insert(1)}`),
      ...extended('SELECT count(*) FROM item'),
      ...extended(insert(2)),
      ...extended(insert(1)),
      ...extended('SELECT 3'),
      S(),
      Q('SELECT count(*) FROM item'),
    ));

  it('a prepared statement runs on whichever host its transaction is on', () =>
    withClient(async (client) => {
      client.send(P('where', WHERE_NOW), D('S', 'where'), S());
      await client.readUntilReady();
      const execute = async (): Promise<string | null> => {
        client.send(B('', 'where'), E(''), S());
        const { rows, error } = await client.readUntilReady();
        assert.equal(error, null, JSON.stringify(error));
        return rows[0][0];
      };
      const seen = new Set<string | null>();
      for (let round = 0; round < 12; round++) {
        seen.add(await execute());
        await run(client, 'BEGIN', `DELETE FROM item WHERE id = ${round}`);
        assert.equal(await execute(), 'primary');
        await run(client, 'COMMIT');
        await cluster.untilCaughtUp();
      }
      for (const { name } of cluster.standbys) assert.ok(seen.has(name), `${name} of ${[...seen].join()}`);
      client.send(C('S', 'where'), S(), B('', 'where'), E(''), S());
      assert.equal(sqlstateOf(await client.readUntilReady(2)), '26000');
    }, forgetful));

  it('cursors live as long as they do in Postgres', () =>
    same(
      11,
      Q(`TRUNCATE item; ${insert(1)}; ${insert(2)}; ${insert(3)}`),
      Q('BEGIN'),
      Q('DECLARE a CURSOR FOR SELECT id FROM item ORDER BY id'),
      Q('FETCH 2 FROM a'),
      Q('FETCH 2 FROM a'),
      Q('COMMIT'),
      Q('DECLARE held CURSOR WITH HOLD FOR SELECT id FROM item ORDER BY id'),
      Q('FETCH 1 FROM held'),
      Q('SELECT count(*) FROM item'),
      Q('FETCH 1 FROM held'),
      Q('CLOSE held'),
    ));

  it('a cursor of a read-only transaction is on a standby', () =>
    withClient(async (client) => {
      await run(client, 'BEGIN READ ONLY', `DECLARE a CURSOR FOR ${WHERE} FROM generate_series(1, 4)`);
      const { rows } = await client.query('FETCH 3 FROM a');
      assert.equal(rows.length, 3);
      assertStandby(rows[0][0], 'the cursor');
      await run(client, 'COMMIT');
    }));

  it('conservative: a transaction is on the primary, whatever it does first', () =>
    withClient(async (client) => {
      await run(client, 'BEGIN');
      assert.equal(await whereOf(client), 'primary');
      await run(client, 'DELETE FROM item WHERE id = 900', insert(900), 'COMMIT');
      assert.equal(await firstValue(client, 'SELECT count(*) FROM item WHERE id = 900'), '1');
    }));

  it('conservative: a transaction that turns out to write, as on one Postgres', () =>
    same(
      8,
      ...[
        'TRUNCATE item',
        'BEGIN',
        'SELECT 1',
        insert(1),
        'SELECT count(*) FROM item',
        'SELECT 1/0',
        'COMMIT',
        'SELECT count(*) FROM item',
      ].map(Q),
    ));

  it('aggressive: the first statement decides; a write on a standby is refused before it is sent', () =>
    withClient(async (client) => {
      await run(client, 'BEGIN');
      assertStandby(await whereOf(client), 'a transaction that begins with a read');
      const refused = await client.query(insert(901));
      assert.notEqual(refused.error, null);
      assert.doesNotMatch(
        refused.error?.['M'] ?? '',
        /cannot execute INSERT/,
        'that is what the standby would say',
      );
      assert.equal(refused.status, 'E');
      assert.equal(sqlstateOf(await client.query('SELECT 1')), '25P02');
      assert.deepEqual((await client.query('COMMIT')).tags, ['ROLLBACK']);
      await run(client, 'BEGIN', 'DELETE FROM item WHERE id = 901', insert(901));
      assert.equal(await whereOf(client), 'primary');
      await run(client, 'COMMIT');
      // read_your_writes is off here: a standby may be behind for a moment.
      await cluster.untilCaughtUp();
      assert.equal(await firstValue(client, 'SELECT count(*) FROM item WHERE id = 901'), '1');
    }, forgetful));

  it('functions and views that write run on the primary, harmless ones on standbys', () =>
    withClient(async (client) => {
      await run(client, 'DELETE FROM item WHERE id >= 400');
      assert.equal(await firstValue(client, 'SELECT add_item(400)'), '400');
      assert.equal(await firstValue(client, 'SELECT id FROM adding'), '500');
      assert.equal(await firstValue(client, "SELECT nextval('ticket') - currval('ticket')"), '0');
      await cluster.untilCaughtUp();
      const { rows } = await client.query(`${WHERE}, double(21)`);
      assert.equal(rows[0][1], '42');
      assertStandby(rows[0][0], 'an immutable function');
    }, forgetful));

  it('settings are the session’s on every host, and nobody else’s', () =>
    withClients(proxy, 2, async (client, other) => {
      await run(
        client,
        'SET search_path TO other',
        "SET time zone 'Asia/Kathmandu'",
        "SET application_name TO 'mine'",
        'SET ROLE limited',
      );
      const mine =
        "SELECT current_setting('cluster_name'), current_setting('TimeZone'), current_user, current_setting('application_name'), max(id) FROM item";
      const theirs =
        "SELECT current_setting('cluster_name'), current_setting('TimeZone'), current_user, current_setting('search_path')";
      const seen = new Set<string | null>();
      for (let round = 0; round < 12; round++) {
        const [answer] = (await client.query(mine)).rows;
        assert.deepEqual(answer.slice(1), ['Asia/Kathmandu', 'limited', 'mine', '77']);
        seen.add(answer[0]);
        // An odd number of reads in each round, or the session would always have the same host.
        if (round % 2 === 0) await run(other, 'SELECT 1');
        const [foreign] = (await other.query(theirs)).rows;
        assert.notEqual(foreign[1], 'Asia/Kathmandu');
        assert.deepEqual(foreign.slice(2), ['postgres', '"$user", public']);
      }
      assert.equal(seen.size, 2, 'both standbys');
      await run(client, 'BEGIN', 'SET LOCAL ROLE NONE');
      assert.equal(await firstValue(client, 'SELECT current_user'), 'postgres');
      await run(client, 'COMMIT');
      assert.equal(await firstValue(client, 'SELECT current_user'), 'limited');
      // Written on the primary, with the same settings.
      assert.equal(sqlstateOf(await client.query('INSERT INTO item VALUES (1)')), '42501');
      await run(client, 'RESET ALL', 'RESET ROLE');
      assert.equal(await firstValue(client, 'SHOW search_path'), '"$user", public');
    }));

  it('read-only transactions, sessions and defaults: on standbys, and refused as Postgres refuses', () =>
    withClient(async (client) => {
      for (const begin of [
        'BEGIN READ ONLY',
        'START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY',
      ]) {
        await run(client, begin);
        assertStandby(await whereOf(client), begin);
        assert.equal(sqlstateOf(await client.query(insert(910))), '25006');
        await run(client, 'ROLLBACK');
      }
      for (const [on, off] of [
        [
          'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
          'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
        ],
        ['SET default_transaction_read_only = on', 'RESET default_transaction_read_only'],
      ]) {
        await run(client, on, 'BEGIN');
        assertStandby(await whereOf(client), on);
        await run(client, 'COMMIT');
        assert.equal(sqlstateOf(await client.query(insert(911))), '25006');
        await run(client, 'BEGIN READ WRITE', 'DELETE FROM item WHERE id = 911', insert(911), 'COMMIT', off);
        await run(client, 'DELETE FROM item WHERE id = 911');
      }
    }, forgetful));

  it('LISTEN, NOTIFY and their payloads, while reads go elsewhere', () =>
    withClients(proxy, 2, async (listener, notifier) => {
      await run(listener, 'LISTEN news');
      assert.equal(await firstValue(listener, 'SELECT count(*) >= 0 FROM item'), 't');
      await run(notifier, 'BEGIN', "NOTIFY news, 'rolled back'", 'ROLLBACK', "NOTIFY news, 'it''s here'");
      const got = await listener.readFrame();
      assert.equal(got.type, 'A');
      assert.deepEqual(got.body.toString('utf8', 4).split('\0').slice(0, 2), ['news', "it's here"]);
      await run(listener, 'UNLISTEN *');
      await run(notifier, "NOTIFY news, 'late'");
      await listener.expectSilence(100);
    }));

  it('node-postgres and postgres.js: reads, writes and transactions', async () => {
    const client = await nodeClientOf(proxy);
    await client.query('DELETE FROM item WHERE id IN (920, 921)');
    for (const id of [920, 921]) {
      await client.query({ name: 'add', text: 'INSERT INTO item VALUES ($1, $2)', values: [id, 'x'] });
      const { rows } = await client.query({
        name: 'get',
        text: 'SELECT name FROM item WHERE id = $1',
        values: [id],
      });
      assert.equal(rows[0].name, 'x');
    }
    await client.end();
    const sql = postgres(proxy.url(), { max: 4, onnotice: () => undefined });
    try {
      await cluster.untilCaughtUp();
      // A worker that has just been told of DDL asks the primary until it has read the catalog again.
      await eventually('both standbys and nobody else answer', async () => {
        const hosts = new Set<string>();
        await Promise.all(
          Array.from({ length: 40 }, async () => {
            const [row] =
              await sql`SELECT current_setting('cluster_name') AS host, count(*)::int AS n FROM item WHERE id IN ${sql([920, 921])}`;
            assert.equal(row.n, 2);
            hosts.add(row.host);
          }),
        );
        return [...hosts].sort().join() === 'standby1,standby2';
      });
      await sql.begin(async (inside) => {
        await inside`UPDATE item SET name = 'y' WHERE id = 920`;
        const [row] =
          await inside`SELECT name, current_setting('cluster_name') AS host FROM item WHERE id = 920`;
        assert.deepEqual({ ...row }, { name: 'y', host: 'primary' });
      });
      const [inside] = await sql.begin(
        'read only',
        (inside) => inside`SELECT current_setting('cluster_name') AS host`,
      );
      assertStandby(inside.host, 'sql.begin("read only")');
    } finally {
      await sql.end();
    }
  });
});
