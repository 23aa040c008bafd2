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
import { warmUpLogins } from '../macro/login-storm.js';
import { runPgbench } from '../macro/pgbench.js';
import { PACKAGES } from '../macro/programs.js';

/** Few enough that pgbench, which computes SCRAM too, is not what is measured. */
const CLIENTS = 16;
/** The path of the query; warmUpLogins() does that of the login. */
const WARM_UP_SECONDS = 2;

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
  for (const { endpoint } of running) {
    if (endpoint.pids.length === 0) continue;
    await warmUpLogins(endpoint.login);
    await runPgbench(pgbench, run.folder, endpoint.login, { ...job, seconds: WARM_UP_SECONDS }).catch(
      () => {},
    );
  }
  for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
    for (const { contender, endpoint } of running) {
      await measure(run, key, contender, repeat, async () => {
        const cpu = await withCpu(endpoint, () => runPgbench(pgbench, run.folder, endpoint.login, job));
        return { tps: cpu.result.tps, ...cpuValues(endpoint, cpu, cpu.result.transactions) };
      });
    }
  }
  await stopAll(running);
}
