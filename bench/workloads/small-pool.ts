/**
 * A pool far smaller than its clients, shared by several workers: the limit must hold over all of them, nobody may
 * starve, and lending connections between workers must not cost the throughput of one worker that has them all.
 */
import type { Client } from 'pg';
import {
  addCase,
  addContender,
  type BenchRun,
  cpuValues,
  errorText,
  measure,
  type Running,
  skip,
  startAll,
  stopAll,
  withCpu,
} from '../macro/bench-run.js';
import { sleep } from '../macro/child.js';
import type { Contender } from '../macro/endpoint.js';
import { runPgbench } from '../macro/pgbench.js';
import { isBuilt, pgdogCluster } from '../macro/pgdog-cluster.js';
import { COUNT_CONNECTIONS, withClient } from '../macro/postgres-server.js';
import { PACKAGES } from '../macro/programs.js';
import type { Values } from '../report/results.js';

export const SMALL_POOL_SIZE = 4;
export const SMALL_POOL_WORKERS = 4;
const CLIENTS = 200;
/** Every worker compiles the loop for itself: four of them take some seconds of two shared cores, once in their life. */
const WARM_UP_SECONDS = 10;
/** Between two looks at pg_stat_activity; SHOW POOLS is asked a tenth as often. */
const SAMPLE_MS = 20;

export async function smallPool(run: BenchRun): Promise<void> {
  if (run.pgbench === null)
    return skip(run, 'small pool (all contenders)', `pgbench not found: ${PACKAGES.pgbench}`);
  const pgbench = run.pgbench.path;
  const title = `pool of ${SMALL_POOL_SIZE}, ${CLIENTS} clients, select-only`;
  const key = addCase(run, { key: 'small-pool', group: 'small-pool', title });
  const contenders = contendersOf(run);
  for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
    for (const contender of contenders) {
      // Alone, because server connections are counted by user and all contenders use the same one.
      await noneConnected(run);
      for (const { endpoint } of await startAll(run, [contender], 'trust', SMALL_POOL_SIZE)) {
        await measure(run, key, contender, repeat, () => runSampled(run, pgbench, { contender, endpoint }));
        await stopAll([{ contender, endpoint }]);
      }
    }
  }
}

function contendersOf(run: BenchRun): Contender[] {
  const others = run.mainContenders.filter((contender) => contender.kind === 'pgbouncer');
  if (!isBuilt()) return others;
  const version = run.mainContenders.find((contender) => contender.kind === 'ours')?.version ?? '';
  const ours = [1, SMALL_POOL_WORKERS].flatMap((workers) =>
    (['io_uring', 'epoll'] as const).map((driver) =>
      pgdogCluster(run.server.pooled, version, driver, workers),
    ),
  );
  for (const contender of ours) addContender(run, contender);
  return [...ours, ...others];
}

async function countConnections(run: BenchRun, client: Client): Promise<number> {
  const result = await client.query<{ count: number }>(COUNT_CONNECTIONS, [run.server.pooled.user]);
  return result.rows[0].count;
}

/** Waits until the contender before this one is gone from the server; 5 s at most, then its backends would show. */
async function noneConnected(run: BenchRun): Promise<void> {
  await withClient(run.server.owner, async (client) => {
    for (let turn = 0; turn < 100 && (await countConnections(run, client)) > 0; turn++) await sleep(50);
  });
}

async function runSampled(run: BenchRun, pgbench: string, target: Running): Promise<Values> {
  const { endpoint } = target;
  const job = { clients: CLIENTS, seconds: run.options.seconds, args: ['-S'], samplingRate: 1 };
  let isRunning = true;
  let serverConnectionsMax = 0;
  const watching = watchServer(
    run,
    () => isRunning,
    (count) => {
      serverConnectionsMax = Math.max(serverConnectionsMax, count);
    },
  );
  const waiting = oldestWaitMs(run, target, () => isRunning);
  try {
    await runPgbench(pgbench, run.folder, endpoint.login, { ...job, seconds: WARM_UP_SECONDS });
    const cpu = await withCpu(endpoint, () => runPgbench(pgbench, run.folder, endpoint.login, job));
    isRunning = false;
    await watching;
    const { tps, p50Ms, p99Ms, maxMs, transactions } = cpu.result;
    const oldest = await waiting;
    const waits: Values = oldest === null ? {} : { oldestWaitMs: oldest };
    return {
      tps,
      p50Ms,
      p99Ms,
      maxMs,
      serverConnectionsMax,
      ...waits,
      ...cpuValues(endpoint, cpu, transactions),
    };
  } finally {
    isRunning = false;
    await Promise.allSettled([watching, waiting]);
  }
}

async function watchServer(
  run: BenchRun,
  isRunning: () => boolean,
  see: (count: number) => void,
): Promise<void> {
  await withClient(run.server.owner, async (client) => {
    while (isRunning()) {
      see(await countConnections(run, client));
      await sleep(SAMPLE_MS);
    }
  });
}

/** Highest maxwait of SHOW POOLS; null when there is no admin database to ask, or it does not answer. */
async function oldestWaitMs(
  run: BenchRun,
  { contender, endpoint }: Running,
  isRunning: () => boolean,
): Promise<number | null> {
  if (endpoint.admin === null) return null;
  let highest = 0;
  try {
    await withClient(endpoint.admin, async (client) => {
      while (isRunning()) {
        const pools = await client.query<{ maxwait: string; maxwait_us: string }>('SHOW POOLS');
        for (const pool of pools.rows) {
          highest = Math.max(highest, Number(pool.maxwait) * 1000 + Number(pool.maxwait_us) / 1000);
        }
        await sleep(SAMPLE_MS * 10);
      }
    });
  } catch (error) {
    skip(run, `oldest waiter (SHOW POOLS): ${contender.label}`, errorText(error));
    return null;
  }
  return highest;
}
