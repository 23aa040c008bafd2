/** Clients that connect for each transaction (`pgbench -C`), with and without a SCRAM login. */
import {
  addCase,
  type BenchRun,
  cpuValues,
  measure,
  skip,
  startAll,
  stopAll,
  withCpu,
} from '../macro/bench-run.js';
import type { ClientAuth } from '../macro/endpoint.js';
import { runPgbench } from '../macro/pgbench.js';
import { PACKAGES } from '../macro/programs.js';

/** Few enough that pgbench, which computes SCRAM too, is not what is measured. */
const CLIENTS = 16;
/** Some ten thousand logins, after which V8 has compiled what they run. */
const WARM_UP_SECONDS = 5;

export async function reconnect(run: BenchRun): Promise<void> {
  if (run.pgbench === null)
    return skip(run, 'reconnect (all contenders)', `pgbench not found: ${PACKAGES.pgbench}`);
  for (const auth of ['trust', 'scram'] as const) await reconnectWith(run, run.pgbench.path, auth);
}

async function reconnectWith(run: BenchRun, pgbench: string, auth: ClientAuth): Promise<void> {
  const title = `reconnect for each transaction, ${auth}, ${CLIENTS} clients (per query = per connection and query)`;
  const key = addCase(run, { key: `reconnect-${auth}`, group: 'reconnect', title });
  const running = await startAll(run, run.mainContenders, auth);
  const job = { clients: CLIENTS, seconds: run.options.seconds, args: ['-S', '-C'], samplingRate: 1 };
  // Repeat -1 warms up and is not kept.
  for (let repeat = -1; repeat < run.options.repeatCount; repeat++) {
    for (const { contender, endpoint } of running) {
      if (repeat < 0) {
        if (endpoint.pids.length > 0)
          await runPgbench(pgbench, run.folder, endpoint.login, { ...job, seconds: WARM_UP_SECONDS }).catch(
            () => {},
          );
        continue;
      }
      await measure(run, key, contender, repeat, async () => {
        const cpu = await withCpu(endpoint, () => runPgbench(pgbench, run.folder, endpoint.login, job));
        return { tps: cpu.result.tps, ...cpuValues(endpoint, cpu, cpu.result.transactions) };
      });
    }
  }
  await stopAll(running);
}
