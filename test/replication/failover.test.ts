/**
 * The primary dies under a mixed load and a standby is promoted; hosts have role "auto". Clients that had nothing
 * under way notice a delay, and nothing else.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { BANK_TABLES, Bank } from '../support/bank.js';
import { forEachDriver, forOneDriver, type TestDriver } from '../support/drivers.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import type { ReplicationHost } from '../support/replication-host.js';
import { SILENCE_TIMEOUT_MS, startRoutedProxy } from '../support/routed-proxy.js';
import { StatementLoad } from '../support/statement-load.js';
import { eventually, sleep } from '../support/wire.js';

const WRITERS = 4;
const READERS = 4;
const TELLERS = 4;

const TABLES = `${BANK_TABLES}
  CREATE TABLE journal (number int PRIMARY KEY);`;

const insertSql = (number: number): string =>
  `INSERT INTO journal VALUES (${number}) RETURNING current_setting('cluster_name')`;

interface Fault {
  inflict(host: ReplicationHost): Promise<void>;
  comeBack(host: ReplicationHost): Promise<void>;
  /** How long after the fault statements may still be sent to the dead host. */
  graceMs: number;
}

const FAULTS: Record<string, Fault> = {
  killed: {
    inflict: (host) => host.kill(),
    comeBack: (host) => host.comeBack(),
    graceMs: 100,
  },
  // The worst: it wakes up without knowing that it was gone, with all its connections.
  frozen: {
    inflict: async (host) => host.freeze(),
    comeBack: async (host) => host.thaw(),
    graceMs: 2.5 * SILENCE_TIMEOUT_MS,
  },
};

function testFailover(name: string, driver: TestDriver): void {
  const fault = FAULTS[name];
  it(`primary ${name}, standby promoted: writers wait, nothing acknowledged is lost, the old one gets nothing`, async () => {
    const cluster = await ReplicationCluster.start({ initSql: TABLES, isSynchronous: true });
    const proxy = await startRoutedProxy(cluster, driver, {
      roles: 'auto',
      database: { pool_size: 16 },
      general: { query_timeout: 3000, load_balancing_strategy: 'round_robin' },
    });
    try {
      const bank = new Bank(proxy.url(), TELLERS);
      const writes = new StatementLoad(proxy.port, WRITERS, insertSql);
      const reads = new StatementLoad(proxy.port, READERS);
      await eventually(
        'the load runs',
        async () => bank.acknowledgedCount > 40 && writes.records.length > 40,
      );
      const old = cluster.primary;
      const faultMs = performance.now();
      await fault.inflict(old);
      const graceEndMs = performance.now() + fault.graceMs;
      await sleep(300);
      const heir = await cluster.mostAdvanced();
      await heir.promote();
      const promotedMs = performance.now();
      for (const standby of cluster.standbys) if (standby !== heir) await standby.follow(heir);
      await eventually('writes go on', async () => (writes.hostsSince(faultMs)[heir.name] ?? 0) > 40);
      const acknowledgedBefore = bank.acknowledgedCount;
      await eventually('transfers go on', async () => bank.acknowledgedCount > acknowledgedBefore + 40);
      await fault.comeBack(old);
      const backMs = performance.now();
      const numberAtBack = Math.max(...writes.records.map(({ number }) => number)) + WRITERS;
      // A thawed one first does what it had been given before.
      let transactionsBefore = -1n;
      await eventually('it has nothing left to do', async () => {
        const before = await old.nextTransactionNumber();
        await sleep(500);
        transactionsBefore = await old.nextTransactionNumber();
        return transactionsBefore === before;
      });
      await sleep(1500);
      await bank.close();
      await writes.stop();
      await reads.stop();

      for (const [what, load, count] of [
        ['writes', writes, WRITERS],
        ['reads', reads, READERS],
      ] as const) {
        assert.deepEqual(load.errorsSince(graceEndMs), [], `${what} that began after the failure`);
        const lost = load.errorsSince(0).length;
        assert.ok(lost <= count, `${lost} ${what} lost with ${count} clients`);
      }
      const failed = bank.attempts.filter(({ error }) => error !== '');
      assert.deepEqual(
        failed.filter(({ startMs }) => startMs > graceEndMs),
        [],
        'transfers that began after the failure',
      );
      assert.ok(failed.length <= TELLERS, JSON.stringify(failed));
      assert.deepEqual(bank.checkErrors, []);
      await bank.verify(heir);
      const kept = new Set(
        (await heir.query<{ number: number }>('SELECT number FROM journal')).map((row) => row.number),
      );
      const lost = writes.records.filter(({ number, error }) => error === '' && !kept.has(number));
      assert.deepEqual(lost, [], 'acknowledged writes that are lost');
      assert.equal(writes.hostsSince(backMs)[old.name], undefined);
      assert.equal(reads.hostsSince(backMs)[old.name], undefined, 'no reads from a host that is left behind');
      assert.equal(await old.nextTransactionNumber(), transactionsBefore, 'writes on the old primary');
      if (name === 'killed') assert.equal(await old.writesSinceStart(), 0);
      assert.equal(await old.value(`SELECT count(*) FROM journal WHERE number > ${numberAtBack}`), '0');
      console.log(
        `failover, primary ${name} [${driver}]: promoted after ${Math.round(promotedMs - faultMs)} ms; no write for ` +
          `${Math.round(writes.longestGapMs(faultMs))} ms, no read for ${Math.round(reads.longestGapMs(faultMs))} ms; lost ` +
          `${writes.errorsSince(0).length} writes, ${reads.errorsSince(0).length} reads, ${failed.length} transfers`,
      );
    } finally {
      await proxy.stop();
      await cluster.stop();
    }
  });
}

forOneDriver('a failover', (driver) => testFailover('killed', driver));
forEachDriver('a failover of one that wakes up again', (driver) => testFailover('frozen', driver));
