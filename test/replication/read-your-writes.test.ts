/**
 * A session that writes and then reads sees what it wrote, though the standbys lag. The pairs are a short run of
 * scripts/read-your-writes.mjs; SEED=… repeats one.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { runPairs, startLaggingCluster, startPairsProxy } from '../chaos/write-read-pairs.js';
import { forOneDriver } from '../support/drivers.js';
import { B, E, P, Q, S } from '../support/frames.js';
import type { RawClient } from '../support/raw-client.js';
import type { ReplicationCluster } from '../support/replication-cluster.js';
import { spreadOf, startRoutedProxy, untilStandbysServe, WHERE } from '../support/routed-proxy.js';
import { clientOf, eventually, firstValue, run, sleep } from '../support/wire.js';

const PAIR_COUNT = 800;
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

let cluster: ReplicationCluster;
before(async () => {
  cluster = await startLaggingCluster();
});
after(() => cluster.stop());

const update = (id: number, n: number): string => `UPDATE counter SET n = ${n} WHERE id = ${id}`;

async function send(client: RawClient, readyCount: number, ...parts: Buffer[]): Promise<void> {
  client.send(...parts);
  const { error } = await client.readUntilReady(readyCount);
  assert.equal(error, null, JSON.stringify(error));
}

forOneDriver(
  `read your writes, SEED=${SEED}`,
  (driver) => {
    for (const mode of ['session', 'lsn']) {
      it(`${mode}: no read is older than the session's own write`, async () => {
        const proxy = await startPairsProxy(cluster, driver, mode);
        try {
          const { stale, onStandbys, pairs } = await runPairs(cluster, proxy.port, PAIR_COUNT, SEED);
          assert.deepEqual(stale.slice(0, 10), [], `${stale.length} stale reads of ${pairs}`);
          // Or the test would be about the primary alone.
          assert.ok(onStandbys >= pairs / 200, `standbys served ${onStandbys} of ${pairs} reads`);
          console.log(
            `read_your_writes = ${mode} [${driver}]: ${pairs} pairs, 0 stale, ${onStandbys} on standbys`,
          );
        } finally {
          await proxy.stop();
        }
      });
    }
  },
  SEED,
);

forOneDriver('reads of the past', (driver) => {
  it('off: the same load does meet the past, so the test can see it', async () => {
    const proxy = await startRoutedProxy(cluster, driver, {
      general: { read_your_writes: 'off', read_write_split: 'exclude_primary' },
    });
    try {
      await untilStandbysServe(proxy, cluster);
      const client = await clientOf(proxy);
      await cluster.primary.query('UPDATE counter SET n = 0');
      await cluster.untilCaughtUp();
      let n = 0;
      await eventually('a read is behind', async () => {
        await run(client, update(1, ++n));
        const { rows } = await client.query('SELECT n FROM counter WHERE id = 1');
        return Number(rows[0][0]) < n;
      });
      await client.end();
    } finally {
      await proxy.stop();
    }
  });

  it('lsn: READ ONLY transactions right behind one another do not stick to the primary', async () => {
    const proxy = await startRoutedProxy(cluster, driver, {
      general: { read_your_writes: 'lsn', load_balancing_strategy: 'round_robin' },
    });
    const client = await clientOf(proxy);
    try {
      await eventually('all serve', async () => Object.keys(await spreadOf(proxy, 20)).length === 3);
      await run(client, 'UPDATE counter SET n = 9000 WHERE id = 1');
      const startMs = performance.now();
      let count = 0;
      let primaryCount = 0;
      // On a busy machine until there are enough to tell.
      while (count <= 50 || performance.now() < startMs + 2000) {
        await run(client, 'BEGIN READ ONLY');
        const host = await firstValue(client, WHERE);
        await run(client, 'COMMIT');
        count++;
        if (host === 'primary') primaryCount++;
      }
      assert.ok(
        primaryCount < count * 0.5,
        `${primaryCount} of ${count} on the primary, whose turn is each third`,
      );
    } finally {
      await client.end();
      await proxy.stop();
    }
  });

  it('session: who only reads, now and then READ ONLY, is not taken for one that has written', async () => {
    const proxy = await startRoutedProxy(cluster, driver, {
      general: { load_balancing_strategy: 'round_robin' },
    });
    const client = await clientOf(proxy);
    try {
      await eventually('all serve', async () => Object.keys(await spreadOf(proxy, 20)).length === 3);
      let primaryCount = 0;
      for (let round = 0; round < 60; round++) {
        await run(client, 'BEGIN READ ONLY', 'SELECT 1', 'SELECT 2', 'COMMIT');
        for (let i = 0; i < 5; i++) if ((await firstValue(client, WHERE)) === 'primary') primaryCount++;
      }
      assert.ok(primaryCount < 150, `${primaryCount} of 300 on the primary, whose turn is each third`);
    } finally {
      await client.end();
      await proxy.stop();
    }
  });

  it('session: what writes behind a READ ONLY transaction on the primary is noticed', async () => {
    const proxy = await startRoutedProxy(cluster, driver, {
      general: { load_balancing_strategy: 'round_robin' },
    });
    const client = await clientOf(proxy);
    const ways: ((sql: string) => Promise<void>)[] = [
      (sql) => run(client, `COMMIT; ${sql}`),
      (sql) => run(client, `SELECT 1; COMMIT; BEGIN; ${sql}`, 'COMMIT'),
      (sql) => run(client, 'COMMIT AND CHAIN', 'SET TRANSACTION READ WRITE', sql, 'COMMIT'),
      (sql) => run(client, 'ROLLBACK', sql),
      (sql) => send(client, 2, Q('COMMIT'), Q(sql)),
      (sql) => send(client, 1, ...['COMMIT', sql].flatMap((each) => [P('', each), B('', ''), E('')]), S()),
    ];
    try {
      await eventually('all serve', async () => Object.keys(await spreadOf(proxy, 20)).length === 3);
      for (const [index, way] of ways.entries()) {
        const wanted = 100 + index;
        await eventually('a READ ONLY transaction is on the primary', async () => {
          await run(client, 'BEGIN READ ONLY');
          if ((await firstValue(client, WHERE)) === 'primary') return true;
          await run(client, 'COMMIT');
          return false;
        });
        await way(update(2, wanted));
        for (let read = 0; read < 3; read++) {
          const seen = await firstValue(client, 'SELECT n FROM counter WHERE id = 2');
          assert.equal(seen, String(wanted), `way ${index}, read ${read}`);
        }
      }
    } finally {
      await client.end();
      await proxy.stop();
    }
  });

  // Positions that are asked for rarely must not be taken for new: between two questions nothing is known.
  for (const [mode, intervalMs] of [
    ['lsn', 100],
    ['session', 1000],
  ] as const) {
    it(`${mode}, asked every ${intervalMs} ms: a standby that stands still is not read from after a write`, async () => {
      const [paused] = cluster.standbys;
      const proxy = await startRoutedProxy(cluster, driver, {
        general: {
          read_your_writes: mode,
          read_your_writes_ms: 300,
          read_write_split: 'exclude_primary',
          load_balancing_strategy: 'round_robin',
          lsn_check_interval: intervalMs,
        },
      });
      try {
        await untilStandbysServe(proxy, cluster);
        await paused.pauseReplay();
        const client = await clientOf(proxy);
        await run(client, 'UPDATE counter SET n = 7000 WHERE id = 1');
        const hosts = new Set<string | null>();
        const endMs = performance.now() + 2500;
        while (performance.now() < endMs) {
          const { rows } = await client.query(
            "SELECT n, current_setting('cluster_name') FROM counter WHERE id = 1",
          );
          assert.equal(rows[0][0], '7000', `on ${rows[0][1]}`);
          hosts.add(rows[0][1]);
          await sleep(5);
        }
        assert.equal(hosts.has(paused.name), false);
        assert.ok(hosts.has('standby2'), `only ${[...hosts].join()}`);
        await client.end();
      } finally {
        await paused.resumeReplay();
        await run(await clientOf(cluster.primary), 'UPDATE counter SET n = 0');
        await proxy.stop();
      }
    });
  }

  it('with one standby behind and the other banned a session reads its write from the primary, at once', async () => {
    const [paused, frozen] = cluster.standbys;
    const proxy = await startRoutedProxy(cluster, driver, {
      general: { read_your_writes: 'lsn', read_write_split: 'exclude_primary' },
    });
    try {
      await untilStandbysServe(proxy, cluster);
      await paused.pauseReplay();
      frozen.freeze();
      await proxy.waitForOutput('is not used');
      const [client, replicaClient] = [await clientOf(proxy), await clientOf(proxy)];
      for (const each of [client, replicaClient]) await run(each, 'UPDATE counter SET n = 8000 WHERE id = 1');
      const { rows } = await client.query(
        "SELECT n, current_setting('cluster_name') FROM counter WHERE id = 1",
      );
      assert.deepEqual(rows, [['8000', 'primary']]);
      // Who insists on a replica waits until one has caught up, and not until something else happens.
      replicaClient.send(Q('/* pgdog_role: replica */ SELECT n FROM counter WHERE id = 1'));
      await replicaClient.expectSilence(300);
      await paused.resumeReplay();
      assert.deepEqual((await replicaClient.readUntilReady()).rows, [['8000']]);
      await client.end();
      await replicaClient.end();
    } finally {
      frozen.thaw();
      await paused.resumeReplay();
      await proxy.stop();
    }
  });
});
