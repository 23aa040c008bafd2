/** COPY FROM STDIN over several shards: how much of it, how it ends, and what else can come in between. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, it } from 'node:test';
import type pg from 'pg';
import { forEachDriver } from '../../support/drivers.js';
import { B, c, D, d, E, f, P, Q, S } from '../../support/frames.js';
import type { TestProxy } from '../../support/proxy.js';
import { RawClient, type RawResult, summarise } from '../../support/raw-client.js';
import {
  PGDOG_SCHEMA,
  SHOP,
  ShardCluster,
  shopClient,
  startShardedProxy,
} from '../../support/shard-cluster.js';
import { eventually } from '../../support/wire.js';

const SCHEMA = `
  CREATE TABLE item (id bigint PRIMARY KEY, n int CHECK (n >= 0), note text);
  CREATE TABLE country (code text PRIMARY KEY, name text);
  CREATE TABLE hashed (k bigint) PARTITION BY HASH (k);
  ${PGDOG_SCHEMA}`;
const COPY = 'COPY item FROM STDIN';
const TIMEOUT_MS = 60_000;

let cluster: ShardCluster;
before(async () => {
  cluster = await ShardCluster.start({ schema: SCHEMA });
});
after(() => cluster.stop());

const rows = (from: number, to: number, note = 'x'): string =>
  Array.from({ length: to - from }, (_, i) => `${from + i}\t${i}\t${note}\n`).join('');

forEachDriver('COPY over several shards', (driver) => {
  let proxy: TestProxy;
  let client: pg.Client;
  let raw: RawClient;
  before(async () => {
    proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
    });
    client = await shopClient(proxy);
  });
  after(async () => {
    await client.end();
    await proxy.stop();
  });
  beforeEach(async () => {
    await cluster.everywhere('TRUNCATE item, country, pgdog.transactions');
    raw = await connect();
  });
  afterEach(() => raw.destroy());

  const connect = (parameters: Record<string, string> = {}): Promise<RawClient> =>
    RawClient.connect({
      port: proxy.port,
      password: 'postgres',
      database: SHOP,
      parameters,
      timeoutMs: TIMEOUT_MS,
    });
  /** The answer to a COPY whose data are ended by `end`. */
  const copy = async (data: readonly Buffer[], sql = COPY, end = c()): Promise<RawResult> => {
    raw.send(Q(sql));
    const frames = [await raw.readFrame(TIMEOUT_MS)];
    if (frames[0]?.type === 'G') raw.send(...data, end);
    while (frames.at(-1)?.type !== 'Z') frames.push(await raw.readFrame(TIMEOUT_MS));
    return summarise(frames);
  };
  const count = async (): Promise<number> => {
    const [row] = (await client.query('SELECT count(*) AS n FROM item')).rows;
    return Number(row.n);
  };
  const misplaced = async (): Promise<number> => {
    const counts = await Promise.all(
      cluster.shards.map((_, shard) =>
        cluster.shard(
          shard,
          `SELECT count(*)::int AS n FROM item WHERE NOT satisfies_hash_partition('hashed'::regclass, 3, ${shard}, id)`,
        ),
      ),
    );
    return counts.reduce((sum, [row]) => sum + (row?.n as number), 0);
  };
  const assertNothingIsLeft = async (): Promise<void> => {
    await eventually('nothing is open', async () => {
      const open = await cluster.server.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname LIKE 'shard_%' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()",
      );
      return open.length === 0;
    });
    await eventually('nothing is prepared', async () => {
      return (await cluster.server.query('SELECT gid FROM pg_prepared_xacts')).length === 0;
    });
    assert.equal((await cluster.all('SELECT 1 FROM item')).length, 0);
  };

  it('many rows in frames of every size: all there, each where it belongs', async () => {
    const total = 60_000;
    const data = Buffer.from(rows(0, total, 'a note of some length'));
    const frames: Buffer[] = [];
    for (let at = 0, size = 1; at < data.length; at += size, size = ((size * 7) % 99_991) + 1)
      frames.push(d(data.subarray(at, at + size)));
    const { tags, error } = await copy(frames);
    assert.equal(error, null);
    assert.deepEqual(tags, [`COPY ${total}`]);
    assert.equal(await count(), total);
    assert.equal(await misplaced(), 0);
  });

  it('one CopyData of several megabytes, and rows longer than any buffer', async () => {
    const long = 'long '.repeat(400_000);
    const data = `${rows(0, 50_000)}900001\t1\t${long}\n900002\t2\t${long}\n`;
    const { tags } = await copy([d(data)]);
    assert.deepEqual(tags, ['COPY 50002']);
    const lengths = await cluster.all('SELECT length(note) AS n FROM item WHERE id > 900000');
    assert.deepEqual(
      lengths.map(({ n }) => n),
      [long.length, long.length],
    );
    assert.equal(await misplaced(), 0);
  });

  it('data sent ahead of the invitation', async () => {
    raw.send(Q(COPY), d(rows(0, 3000)), c());
    const { tags } = summarise(await raw.readUntil('Z', TIMEOUT_MS));
    assert.deepEqual(tags, ['COPY 3000']);
    assert.equal(await count(), 3000);
  });

  it('the extended protocol: the Sync behind the data is answered, once', async () => {
    raw.send(P('', COPY), B('', '', {}), D('P', ''), E(''), S());
    const head = await raw.readUntil('G', TIMEOUT_MS);
    assert.deepEqual(head.map(({ type }) => type).join(''), '12nG');
    raw.send(d(rows(0, 100)), S(), d(rows(100, 200)), c(), S(), Q('SELECT 1'));
    const rest = await raw.readUntil('Z', TIMEOUT_MS);
    assert.deepEqual(rest.map(({ type }) => type).join(''), 'CZ');
    assert.deepEqual((await raw.readUntil('Z', TIMEOUT_MS)).map(({ type }) => type).join(''), 'TDCZ');
    assert.equal(await count(), 200);
    raw.send(P('', COPY), B('', '', {}), E(''), S());
    await raw.readUntil('G', TIMEOUT_MS);
    raw.send(d(`${rows(300, 400)}7\t-1\tx\n`), c(), S(), Q('SELECT 1'));
    const failed = await raw.readUntil('Z', TIMEOUT_MS);
    assert.equal(summarise(failed).error?.['C'], '23514');
    assert.deepEqual((await raw.readUntil('Z', TIMEOUT_MS)).map(({ type }) => type).join(''), 'TDCZ');
    assert.equal(await count(), 200);
  });

  it('an error of one shard: nothing is kept, and the context says whose lines are counted', async () => {
    const { error, status } = await copy([d(`${rows(0, 500)}1000\t-1\tx\n${rows(2000, 2500)}`)]);
    assert.equal(error?.['C'], '23514');
    assert.match(
      error?.['W'] ?? '',
      /^COPY item, line \d+.*\nLines are counted among those for shard \d\.$/s,
    );
    assert.equal(status, 'I');
    await assertNothingIsLeft();
    assert.deepEqual((await copy([d(rows(0, 10))])).tags, ['COPY 10']);
  });

  it('a key that cannot be read: the error of Postgres, with the line of all data', async () => {
    const { error } = await copy([d(`${rows(0, 500)}nonsense\t1\tx\n${rows(2000, 2500)}`)]);
    assert.equal(error?.['C'], '22P02');
    assert.match(
      error?.['W'] ?? '',
      /Of all data: COPY, line 501: the shard of item\.id is not known: "nonsense"/,
    );
    await assertNothingIsLeft();
    const taken = await copy([d(`${rows(0, 500)}0xffff\t1\tx\n`)]);
    assert.equal(taken.error?.['C'], '0A000');
    assert.match(
      taken.error?.['M'] ?? '',
      /^COPY, line 501: the shard of item\.id is not known: "0xffff" leads to none$/,
    );
    await assertNothingIsLeft();
  });

  it('CopyFail and a client that goes: nothing is kept', async () => {
    const { error } = await copy([d(rows(0, 5000))], COPY, f('had enough'));
    assert.equal(error?.['C'], '57014');
    assert.match(error?.['M'] ?? '', /had enough/);
    await assertNothingIsLeft();
    raw.send(Q(COPY));
    await raw.readUntil('G', TIMEOUT_MS);
    raw.send(d(rows(0, 20_000)), d(rows(20_000, 20_100)).subarray(0, 200));
    raw.destroy();
    await assertNothingIsLeft();
    assert.equal(await count(), 0);
  });

  it('a server that dies: an error, nothing is kept, and the session goes on', async () => {
    raw.send(Q(COPY));
    await raw.readUntil('G', TIMEOUT_MS);
    raw.send(d(rows(0, 20_000)));
    await cluster.server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shard_1' AND query LIKE 'COPY item%'",
    );
    const { error, status } = summarise(await raw.readUntil('Z', TIMEOUT_MS));
    assert.match(error?.['C'] ?? '', /^(57P01|08006)$/);
    assert.equal(status, 'I');
    // What the client sends until it knows is read past.
    raw.send(d(rows(20_000, 40_000)), c());
    assert.equal((await raw.query('SELECT 1')).error, null);
    await assertNothingIsLeft();
    assert.deepEqual((await copy([d(rows(0, 10))])).tags, ['COPY 10']);
  });

  it('the slowest shard holds the client up', async () => {
    const [{ id }] = (await cluster.shard(
      1,
      "SELECT id FROM generate_series(0::bigint, 99) id WHERE satisfies_hash_partition('hashed'::regclass, 3, 1, id) LIMIT 1",
    )) as [{ id: string }];
    const blocker = await RawClient.connect({
      port: cluster.server.port,
      password: 'postgres',
      database: 'shard_1',
    });
    await blocker.query(`BEGIN; INSERT INTO item VALUES (${id}, 1)`);
    raw.send(Q(COPY));
    await raw.readUntil('G', TIMEOUT_MS);
    const piece = 5000;
    const pieces = 400;
    let sent = 0;
    const frames = Array.from({ length: pieces }, (_, i) =>
      d(rows(i * piece, (i + 1) * piece, 'n'.repeat(20))),
    );
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    for (const frame of frames) raw.socket.write(frame, () => (sent += frame.length));
    raw.send(c());
    await eventually('one shard waits', async () => {
      const waiting = await cluster.server.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = 'shard_1' AND wait_event_type = 'Lock'",
      );
      return waiting.length === 1;
    });
    // Until nothing moves any more.
    let last = -1;
    await eventually(
      'the client is held up',
      async () => {
        const isStill = sent === last;
        last = sent;
        if (!isStill) await new Promise((resolve) => setTimeout(resolve, 300));
        return isStill;
      },
      TIMEOUT_MS,
    );
    assert.ok(sent < bytes / 2, `${sent} of ${bytes} bytes have been taken`);
    await blocker.query('ROLLBACK');
    const { tags, error } = summarise(await raw.readUntil('Z', TIMEOUT_MS));
    assert.equal(error, null);
    assert.deepEqual(tags, [`COPY ${piece * pieces}`]);
    await blocker.end();
  });

  it('a cancel while a shard waits for a lock', async () => {
    const blocker = await RawClient.connect({
      port: cluster.server.port,
      password: 'postgres',
      database: 'shard_2',
    });
    await blocker.query('BEGIN; LOCK TABLE item');
    raw.send(Q(COPY));
    await eventually('it waits', async () => {
      const waiting = await cluster.server.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = 'shard_2' AND wait_event_type = 'Lock'",
      );
      return waiting.length === 1;
    });
    await raw.cancel();
    const { error } = summarise(await raw.readUntil('Z', TIMEOUT_MS));
    assert.equal(error?.['C'], '57014');
    await blocker.query('ROLLBACK');
    await blocker.end();
    await assertNothingIsLeft();
  });

  it('in a transaction that was on one shard, and is committed as one', async () => {
    await raw.query('BEGIN');
    await raw.query("INSERT INTO item VALUES (5000, 1, 'one')");
    assert.deepEqual((await copy([d(rows(0, 100))])).tags, ['COPY 100']);
    assert.equal(await count(), 0);
    await raw.query('COMMIT');
    assert.equal(await count(), 101);
    assert.deepEqual(await cluster.server.query('SELECT gid FROM pg_prepared_xacts'), []);
    const [decided] = await cluster.shard(
      0,
      'SELECT count(*)::int AS n FROM pgdog.transactions WHERE id > 0',
    );
    assert.equal(decided?.n, 1);
  });

  it('rows of one shard alone need no second phase', async () => {
    const ids = await cluster.shard(
      1,
      "SELECT id::int FROM generate_series(1::bigint, 100) id WHERE satisfies_hash_partition('hashed'::regclass, 3, 1, id)",
    );
    const { tags } = await copy([d(ids.map(({ id }) => `${id}\t1\tx\n`).join(''))]);
    assert.deepEqual(tags, [`COPY ${ids.length}`]);
    assert.deepEqual(await cluster.all('SELECT 1 FROM pgdog.transactions'), []);
  });

  it('a named shard gets all rows, and is not asked where they belong', async () => {
    const named = await connect({ options: '-c pgdog.shard=2' });
    named.send(Q(COPY));
    await named.readUntil('G', TIMEOUT_MS);
    named.send(d(rows(0, 50)), c());
    assert.deepEqual(summarise(await named.readUntil('Z', TIMEOUT_MS)).tags, ['COPY 50']);
    const [row] = await cluster.shard(2, 'SELECT count(*)::int AS n FROM item');
    assert.equal(row?.n, 50);
    await named.end();
  });

  it('in a transaction over several shards a named one gets all rows', async () => {
    await raw.query('BEGIN');
    await raw.query('UPDATE item SET n = 1');
    assert.deepEqual((await copy([d(rows(0, 50))], `/* pgdog_shard: 1 */ ${COPY}`)).tags, ['COPY 50']);
    await raw.query('COMMIT');
    const [row] = await cluster.shard(1, 'SELECT count(*)::int AS n FROM item');
    assert.equal(row?.n, 50);
  });

  it('a table of every shard gets all rows everywhere, or nowhere', async () => {
    assert.deepEqual((await copy([d('at\tAustria\nch\tSchweiz\n')], 'COPY country FROM STDIN')).tags, [
      'COPY 2',
    ]);
    assert.equal((await cluster.all('SELECT 1 FROM country')).length, 2 * cluster.shardCount);
    await cluster.shard(1, "INSERT INTO country VALUES ('fr', 'only here')");
    const { error } = await copy([d('be\tBelgium\nfr\tFrance\n')], 'COPY country FROM STDIN');
    assert.equal(error?.['C'], '23505');
    assert.equal((await cluster.all('SELECT 1 FROM country')).length, 2 * cluster.shardCount + 1);
  });

  it('what is no data ends the session', async () => {
    raw.send(Q(COPY));
    await raw.readUntil('G', TIMEOUT_MS);
    raw.send(Q('SELECT 1'));
    const { error } = await raw.expectClosed(TIMEOUT_MS);
    assert.equal(error?.['C'], '08P01');
    await assertNothingIsLeft();
  });

  it('columns that have changed since they were read: refused', async () => {
    await cluster.everywhere('ALTER TABLE item ADD COLUMN more int');
    try {
      const { error } = await copy([d(rows(0, 10))]);
      assert.equal(error?.['C'], '0A000');
      assert.match(error?.['M'] ?? '', /other columns/);
      await assertNothingIsLeft();
      await eventually('they are read anew', async () => {
        const { tags } = await copy([d('1\t1\tx\t1\n2\t1\tx\t1\n')]);
        return tags[0] === 'COPY 2';
      });
    } finally {
      await cluster.everywhere('ALTER TABLE item DROP COLUMN more');
    }
  });
});

forEachDriver('COPY over several shards, where it must not be', (driver) => {
  const refusal = async (
    general: Record<string, string | boolean>,
  ): Promise<Record<string, string> | null> => {
    const proxy = await startShardedProxy(cluster, driver, {
      tables: [{ name: 'item', column: 'id' }],
      workers: 1,
      general,
    });
    try {
      const raw = await RawClient.connect({ port: proxy.port, password: 'postgres', database: SHOP });
      const { error } = await raw.query(COPY);
      await raw.end();
      return error;
    } finally {
      await proxy.stop();
    }
  };

  it('cross_shard = "direct_only"', async () => {
    const error = await refusal({ cross_shard: 'direct_only' });
    assert.equal(error?.['C'], '0A000');
    assert.match(error?.['M'] ?? '', /direct_only/);
  });
});
