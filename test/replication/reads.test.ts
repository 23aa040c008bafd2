/** Reads over two standbys: spread as configured, away from one that is behind, dead, frozen or cut off, and back. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { forEachDriver, forOneDriver, type TestDriver } from '../support/drivers.js';
import { B, E, P, Q, S } from '../support/frames.js';
import { unhurried } from '../support/patience.js';
import type { TestProxy } from '../support/proxy.js';
import type { RawClient } from '../support/raw-client.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import type { ReplicationHost } from '../support/replication-host.js';
import {
  type RoutedOptions,
  SILENCE_TIMEOUT_MS,
  spreadOf,
  startRoutedProxy,
  untilStandbysServe,
  whereOf,
} from '../support/routed-proxy.js';
import { StatementLoad } from '../support/statement-load.js';
import { clientOf, eventually, firstValue, run, sleep } from '../support/wire.js';

const READERS = 8;

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({ initSql: 'CREATE TABLE item (id int, name text)' });
});
after(() => cluster.stop());

function share(served: Record<string, number>, name: string): number {
  const total = Object.values(served).reduce((sum, count) => sum + count, 0);
  return (served[name] ?? 0) / total;
}

function assertShare(served: Record<string, number>, name: string, low: number, high: number): void {
  const part = share(served, name);
  assert.ok(part >= low && part <= high, `${name} has ${part.toFixed(3)} of ${JSON.stringify(served)}`);
}

/** Others who have the machine may have a host missed for a moment: again then. What is at fault is so each time. */
const unhurriedShares = (look: () => Promise<void>): Promise<void> => unhurried(/ has \d\.\d+ of /, look);

async function startFor(driver: TestDriver, options: RoutedOptions): Promise<TestProxy> {
  const { workers = 2 } = options;
  const proxy = await startRoutedProxy(cluster, driver, { ...options, workers });
  await untilStandbysServe(proxy, cluster, workers);
  return proxy;
}

async function withProxy(
  driver: TestDriver,
  options: RoutedOptions,
  body: (proxy: TestProxy) => Promise<void>,
): Promise<void> {
  const proxy = await startFor(driver, options);
  try {
    await body(proxy);
  } finally {
    await proxy.stop();
  }
}

const split = (strategy: string, more = {}) => ({
  general: { load_balancing_strategy: strategy, read_write_split: 'exclude_primary', ...more },
});

forOneDriver('reads are spread', (driver) => {
  for (const [strategy, low] of Object.entries({
    round_robin: 0.48,
    random: 0.42,
    least_active_connections: 0.3,
  })) {
    it(`${strategy}: evenly, and the primary has none of them, but all writes`, () =>
      withProxy(driver, split(strategy), async (proxy) => {
        await unhurriedShares(async () => {
          const served = await spreadOf(proxy, 600);
          assert.equal(served['primary'], undefined);
          for (const { name } of cluster.standbys) assertShare(served, name, low, 1 - low);
        });
        const client = await clientOf(proxy);
        for (let id = 0; id < 20; id++) {
          const sql = `INSERT INTO item VALUES (${id}, 'x') RETURNING current_setting('cluster_name')`;
          assert.equal(await firstValue(client, sql), 'primary');
        }
        await run(client, 'DELETE FROM item');
        await client.end();
      }));
  }

  it('weighted_round_robin: by weight', () =>
    withProxy(
      driver,
      {
        ...split('weighted_round_robin'),
        workers: 1,
        perHost: { standby1: { lb_weight: 60 }, standby2: { lb_weight: 20 } },
      },
      async (proxy) =>
        unhurriedShares(async () => assertShare(await spreadOf(proxy, 400), 'standby1', 0.72, 0.78)),
    ));

  it('fastest: the slow one has the less', async () => {
    const [slow] = cluster.standbys;
    const options = { ...split('fastest'), through: 'relay' as const, workers: 1 };
    await withProxy(driver, options, async (proxy) => {
      slow.relay.delayMs = 15;
      await spreadOf(proxy, 100);
      await unhurriedShares(async () => assertShare(await spreadOf(proxy, 400), slow.name, 0, 0.25));
    }).finally(() => {
      slow.relay.delayMs = 0;
    });
  });

  it('read_write_split = include_primary: all three', () =>
    withProxy(
      driver,
      { workers: 1, ...split('round_robin', { read_write_split: 'include_primary' }) },
      (proxy) =>
        unhurriedShares(async () => {
          const served = await spreadOf(proxy, 300);
          for (const { name } of cluster.hosts) assertShare(served, name, 0.3, 0.37);
        }),
    ));

  it('read_write_split = prefer_primary: it alone', async () => {
    const options = split('round_robin', { read_write_split: 'prefer_primary' });
    const proxy = await startRoutedProxy(cluster, driver, { workers: 1, ...options });
    try {
      assert.deepEqual(await spreadOf(proxy, 60), { primary: 60 });
    } finally {
      await proxy.stop();
    }
  });
});

forOneDriver('reads leave a standby that is behind', (driver) => {
  async function leavesAndReturns(proxy: TestProxy): Promise<void> {
    const [behind, other] = cluster.standbys;
    await behind.pauseReplay();
    try {
      await cluster.primary.query(
        "INSERT INTO item SELECT n, repeat('x', 100) FROM generate_series(1, 2000) n",
      );
      await eventually('it is left', async () => (await spreadOf(proxy, 20))[behind.name] === undefined);
      assert.deepEqual(await spreadOf(proxy, 60), { [other.name]: 60 });
    } finally {
      await behind.resumeReplay();
    }
    await cluster.untilCaughtUp();
    await eventually('it is back', async () => (await spreadOf(proxy, 20))[behind.name] !== undefined);
  }

  it('by time: past the limit, until it has caught up; without writes nobody is behind', () =>
    withProxy(driver, { workers: 1, ...split('round_robin', { ban_replica_lag: 300 }) }, async (proxy) => {
      await sleep(1000);
      await unhurriedShares(async () => {
        const served = await spreadOf(proxy, 100);
        for (const { name } of cluster.standbys) assertShare(served, name, 0.4, 0.6);
      });
      await leavesAndReturns(proxy);
    }));

  it('by bytes: past the limit, until it has caught up', () =>
    withProxy(
      driver,
      { workers: 1, ...split('round_robin', { ban_replica_lag_bytes: 100_000 }) },
      leavesAndReturns,
    ));
});

forOneDriver('read_write_split while standbys are banned', (driver) => {
  const [first, second] = ['standby1', 'standby2'];
  /** Where reads go with nobody, the first, and both of them banned, the second being the less behind. */
  const CASES: Record<string, [string[], string[], string[]]> = {
    include_primary_if_replica_banned: [[first, second], ['primary', second], ['primary']],
    exclude_primary: [[first, second], [second], [second]],
    include_primary: [['primary', first, second], ['primary', second], ['primary']],
    prefer_primary: [['primary'], ['primary'], ['primary']],
  };
  for (const [readWriteSplit, expected] of Object.entries(CASES)) {
    it(`${readWriteSplit}: ${expected.map((hosts) => hosts.join(' and ')).join('; ')}`, async () => {
      const settings = split('round_robin', { read_write_split: readWriteSplit, ban_replica_lag: 200 });
      const proxy = await startRoutedProxy(cluster, driver, { workers: 1, ...settings });
      const reaches = async (hosts: string[]): Promise<void> =>
        eventually(`${hosts.join()} serve`, async () => {
          return (
            Object.keys(await spreadOf(proxy, 30))
              .sort()
              .join() === hosts.toSorted().join()
          );
        });
      try {
        await reaches(expected[0]);
        for (const [place, name] of [first, second].entries()) {
          await cluster.host(name).pauseReplay();
          await cluster.primary.query("INSERT INTO item VALUES (1, 'x')");
          await eventually('it is banned', async () => {
            return (await proxy.adminQuery('SHOW BANS')).length === place + 1;
          });
          await reaches(expected[place + 1]);
        }
      } finally {
        for (const standby of cluster.standbys) await standby.resumeReplay();
        await cluster.untilCaughtUp();
        await proxy.stop();
      }
    });
  }
});

interface Fault {
  inflict(host: ReplicationHost): Promise<void>;
  heal(host: ReplicationHost): Promise<void>;
  /** How long after the fault reads may still begin that are lost with it. */
  graceMs: number;
  /** Of those that had begun; else as many as there are clients. */
  lostMax?: number;
}

const FAULTS: Record<string, Fault> = {
  killed: {
    inflict: (host) => host.kill(),
    heal: (host) => host.comeBack(),
    graceMs: 100,
  },
  // As for maintenance: each session is told, and nobody is let in any more.
  stopped: {
    inflict: (host) => host.stopFast(),
    heal: (host) => host.comeBack(),
    graceMs: 100,
    // Of a read that is interrupted between its first message and its answer a part is on its way already.
    lostMax: 1,
  },
  frozen: {
    inflict: async (host) => host.freeze(),
    heal: async (host) => host.thaw(),
    graceMs: 2.5 * SILENCE_TIMEOUT_MS,
  },
  'cut off': {
    inflict: (host) => host.relay.cut(),
    heal: (host) => host.relay.mend(),
    graceMs: 2.5 * SILENCE_TIMEOUT_MS,
  },
};

forEachDriver('reads leave a standby that fails under load', (driver) => {
  let proxy: TestProxy;
  before(async () => {
    proxy = await startFor(driver, { ...split('round_robin'), through: 'relay' });
  });
  after(() => proxy.stop());

  for (const [place, name] of Object.keys(FAULTS).entries()) {
    const { inflict, heal, graceMs, lostMax = READERS } = FAULTS[name];
    it(`${name}: later reads do not fail, and it is used again once it is well`, async () => {
      // One that fails again and again is used again later each time.
      const victim = cluster.standbys[place % 2];
      const load = new StatementLoad(proxy.port, READERS);
      await eventually('it serves', async () => (load.hostsSince(0)[victim.name] ?? 0) > 20);
      const faultMs = performance.now();
      await inflict(victim);
      const graceEndMs = performance.now() + graceMs;
      await sleep(graceMs + 500);
      const healMs = performance.now();
      await heal(victim);
      const servesAgain = async (): Promise<boolean> => (load.hostsSince(healMs)[victim.name] ?? 0) > 20;
      await eventually('it serves again', servesAgain);
      await load.stop();
      assert.deepEqual(load.errorsSince(graceEndMs), []);
      assert.equal(load.hostsSince(graceEndMs, healMs)[victim.name], undefined, 'nobody was sent there');
      const lost = load.errorsSince(0).length;
      // A client has one read under way: those on the victim at that moment, and no more.
      assert.ok(lost <= lostMax, `${lost} reads lost with ${READERS} clients`);
      console.log(
        `standby ${name} [${driver}]: ${lost} reads lost of ${load.records.length}, longest gap over all clients ` +
          `${Math.round(load.longestGapMs(faultMs))} ms`,
      );
    });
  }
});

forOneDriver('a read that has begun on a standby', (driver) => {
  const LONG = 'SELECT count(*) FROM generate_series(1, 1000000000)';
  const WAYS: Record<string, Buffer[]> = {
    'a Query': [Q(LONG)],
    'an extended query': [P('', LONG), B('', ''), E(''), S()],
    'a prepared statement': [B('', 'long'), E(''), S()],
  };
  for (const [way, parts] of Object.entries(WAYS)) {
    it(`${way}: ended by pg_terminate_backend, it is told so, and does not run again elsewhere`, () =>
      withProxy(driver, { workers: 1, ...split('round_robin') }, async (proxy) => {
        const client = await clientOf(proxy);
        client.send(P('long', LONG), S());
        assert.equal((await client.readUntilReady()).error, null);
        client.send(...parts);
        const runsOn = async (): Promise<ReplicationHost[]> => {
          const sql = `SELECT count(*) FROM pg_stat_activity WHERE query = '${LONG}' AND state = 'active'`;
          const counts = await Promise.all(cluster.hosts.map((host) => host.value(sql)));
          return cluster.hosts.filter((_, place) => counts[place] !== '0');
        };
        await eventually('it runs', async () => (await runsOn()).length === 1);
        const [host] = await runsOn();
        assert.notEqual(host, cluster.primary);
        const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = '${LONG}' AND state = 'active'`;
        await host.query(end);
        const { error } = await client.expectClosed();
        assert.equal(error?.['C'], '57P01');
        // The process that was ended may be seen for a moment yet; what runs again would do so for minutes.
        await eventually('it runs nowhere', async () => (await runsOn()).length === 0);
      }));
  }
});

forOneDriver('a read in the way of replay', (driver) => {
  /** What a read of `item` on a standby still needs is gone on the primary, and is to go on the standby. */
  async function vacuumAway(): Promise<void> {
    await cluster.primary.query('DELETE FROM item');
    await cluster.primary.query('VACUUM item');
  }
  before(async () => {
    for (const standby of cluster.standbys) await standby.set('max_standby_streaming_delay', '0');
  });
  after(async () => {
    for (const standby of cluster.standbys) await standby.set('max_standby_streaming_delay', null);
  });

  async function withReader(body: (client: RawClient, proxy: TestProxy) => Promise<void>): Promise<void> {
    await cluster.primary.query("INSERT INTO item SELECT n, 'x' FROM generate_series(1, 100) n");
    await cluster.untilCaughtUp();
    await withProxy(driver, { workers: 1, ...split('round_robin') }, async (proxy) => {
      const client = await clientOf(proxy);
      await body(client, proxy);
      client.destroy();
    });
  }

  it('is cancelled as on the standby itself; its client and the host go on', () =>
    withReader(async (client, proxy) => {
      const sql = 'SELECT count(*) FROM item a, item b, item c, item d';
      client.send(Q(sql));
      const running = `SELECT count(*) FROM pg_stat_activity WHERE query = '${sql}' AND state = 'active'`;
      await eventually('it runs', async () => {
        const counts = await Promise.all(cluster.standbys.map((standby) => standby.value(running)));
        return counts.includes('1');
      });
      await vacuumAway();
      const { error, status } = await client.readUntilReady();
      assert.equal(error?.['C'], '40001', JSON.stringify(error));
      assert.match(error?.['M'] ?? '', /conflict with recovery/);
      assert.equal(status, 'I');
      for (let read = 0; read < 10; read++) assert.notEqual(await whereOf(client), 'primary');
      await eventually('none is banned', async () => (await proxy.adminQuery('SHOW BANS')).length === 0);
    }));

  it('in a transaction that stands idle it ends the session, as on the standby itself', () =>
    withReader(async (client) => {
      await run(client, 'BEGIN READ ONLY', 'DECLARE c CURSOR FOR SELECT * FROM item', 'FETCH c');
      assert.notEqual(await whereOf(client), 'primary');
      await vacuumAway();
      const { error } = await client.expectClosed();
      assert.deepEqual([error?.['C'], error?.['V']], ['40001', 'FATAL'], JSON.stringify(error));
    }));
});
