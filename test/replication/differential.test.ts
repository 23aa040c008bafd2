/**
 * The same statements through a proxy with two standbys and directly on the primary: the same messages. Not compared:
 * the file and line in Postgres's source that errors name.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { forEachDriver, forOneDriver, type TestDriver } from '../support/drivers.js';
import { EXCHANGE_TABLES, EXCHANGES, STATEMENT_BATCHES } from '../support/exchanges.js';
import type { TestProxy } from '../support/proxy.js';
import { ReplicationCluster } from '../support/replication-cluster.js';
import { startRoutedProxy, untilStandbysServe } from '../support/routed-proxy.js';
import { SCRIPT_TABLES, type ScriptStep, statementScript } from '../support/statement-script.js';
import { assertSameAsDirect, batch, clientOf, describeFrames, eventually } from '../support/wire.js';

const SEEDS = [1, 2, 3, 4];
const STEP_COUNT = 120;

let cluster: ReplicationCluster;
before(async () => {
  cluster = await ReplicationCluster.start({ initSql: `${EXCHANGE_TABLES} ${SCRIPT_TABLES}` });
});
after(() => cluster.stop());

async function answersOf(to: { port: number }, steps: readonly ScriptStep[]): Promise<string[][]> {
  const client = await clientOf(to);
  const answers: string[][] = [];
  try {
    for (const { what, readyCount, parts } of steps) {
      client.send(...parts);
      const { frames } = await client.readUntilReady(readyCount).catch((error: unknown) => {
        throw new Error(`after '${what}': ${String(error)}`);
      });
      answers.push(describeFrames(frames));
    }
    return answers;
  } finally {
    client.destroy();
  }
}

/** Transactions that clients have run on the standbys. */
async function standbyTransactions(): Promise<number> {
  let sum = 0;
  for (const standby of cluster.standbys)
    sum += Number(await standby.value('SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database'));
  return sum;
}

const CONFIGURATIONS: Record<string, Record<string, string>> = {
  session: { read_your_writes: 'session', read_your_writes_ms: '50' },
  lsn: { read_your_writes: 'lsn' },
};

function compare(name: string, driver: TestDriver): void {
  const settings = CONFIGURATIONS[name];
  describe(`read_your_writes = ${name}`, () => {
    let proxy: TestProxy;
    before(async () => {
      const { read_your_writes_ms: windowMs, ...rest } = settings;
      proxy = await startRoutedProxy(cluster, driver, {
        general: {
          ...rest,
          ...(windowMs === undefined ? {} : { read_your_writes_ms: Number(windowMs) }),
          load_balancing_strategy: 'round_robin',
          read_write_split: 'exclude_primary',
        },
      });
      await untilStandbysServe(proxy, cluster);
    });
    after(() => proxy.stop());

    for (const seed of SEEDS) {
      it(`a session of ${STEP_COUNT} steps, seed ${seed}`, async () => {
        const steps = statementScript(seed, STEP_COUNT);
        const wanted = await answersOf(cluster.primary, steps);
        await cluster.untilCaughtUp();
        const before = await standbyTransactions();
        const answers = await answersOf(proxy, steps);
        for (const [index, { what }] of steps.entries())
          assert.deepEqual(answers[index], wanted[index], `step ${index}: ${what}`);
        await eventually('standbys had a part in it', async () => (await standbyTransactions()) > before + 5);
      });
    }

    it('exchanges of every kind', async () => {
      for (const [what, [readyCount, ...parts]] of Object.entries(EXCHANGES)) {
        await cluster.untilCaughtUp();
        await assertSameAsDirect(proxy, cluster.primary, batch(readyCount, ...parts)).catch(
          (error: unknown) => {
            throw new Error(what, { cause: error });
          },
        );
      }
      for (const [what, parts] of Object.entries(STATEMENT_BATCHES))
        await assertSameAsDirect(proxy, cluster.primary, batch(1, ...parts)).catch((error: unknown) => {
          throw new Error(what, { cause: error });
        });
    });
  });
}

forEachDriver('routed and direct', (driver) => compare('lsn', driver));
forOneDriver('routed and direct', (driver) => compare('session', driver));
