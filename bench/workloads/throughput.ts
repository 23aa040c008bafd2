/** Pooled queries: select-only in each protocol, and TPC-B; pool of 20 under 32 and 128 clients. */
import {
  addCase,
  type BenchRun,
  cpuValues,
  measure,
  type Running,
  skip,
  startAll,
  stopAll,
  withCpu,
} from '../macro/bench-run.js';
import { type PgbenchJob, runPgbench } from '../macro/pgbench.js';
import { PACKAGES } from '../macro/programs.js';
import type { Values } from '../report/results.js';

/** BEGIN, three UPDATEs, SELECT, INSERT, END. */
const TPCB_STATEMENTS = 7;

interface ThroughputCase {
  key: string;
  title: string;
  clients: number;
  args: string[];
  statementCount: number;
  needsPreparedStatements: boolean;
}

function selectOnly(protocol: string, clients: number): ThroughputCase {
  return {
    key: `select-${protocol}-${clients}`,
    title: `select-only, ${protocol} protocol, ${clients} clients, pool of 20`,
    clients,
    args: ['-S', '-M', protocol],
    statementCount: 1,
    needsPreparedStatements: protocol === 'prepared',
  };
}

function casesOf(isQuick: boolean): ThroughputCase[] {
  const protocols = isQuick ? ['simple', 'extended'] : ['simple', 'extended', 'prepared'];
  const selects = protocols.flatMap((protocol) => [32, 128].map((clients) => selectOnly(protocol, clients)));
  const tpcb = {
    key: 'tpcb-32',
    title: 'TPC-B, simple protocol, 32 clients, pool of 20',
    clients: 32,
    args: ['-b', 'tpcb-like'],
    statementCount: TPCB_STATEMENTS,
    needsPreparedStatements: false,
  };
  return [...selects, tpcb];
}

export async function throughput(run: BenchRun): Promise<void> {
  if (run.pgbench === null)
    return skip(run, 'throughput (all contenders)', `pgbench not found: ${PACKAGES.pgbench}`);
  const pgbench = run.pgbench.path;
  const running = await startAll(run, run.contenders, 'trust');
  await warmUp(run, pgbench, running);
  for (const one of casesOf(run.options.isQuick)) {
    addCase(run, { key: one.key, group: 'throughput', title: one.title });
    for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
      for (const target of running) await runCase(run, pgbench, one, target, repeat);
    }
  }
  await stopAll(running);
}

async function runCase(
  run: BenchRun,
  pgbench: string,
  one: ThroughputCase,
  { contender, endpoint }: Running,
  repeat: number,
): Promise<void> {
  if (one.needsPreparedStatements && !contender.hasPreparedStatements) {
    return skip(run, `${one.key}: ${contender.label}`, 'no prepared statements in transaction mode');
  }
  // A tenth of the latencies of a fast workload is tens of thousands: enough for a p99.
  const job: PgbenchJob = {
    clients: one.clients,
    seconds: run.options.seconds,
    args: one.args,
    samplingRate: one.statementCount === 1 ? 0.1 : 1,
  };
  await measure(run, one.key, contender, repeat, async (): Promise<Values> => {
    const cpu = await withCpu(endpoint, () => runPgbench(pgbench, run.folder, endpoint.login, job));
    const { tps, p50Ms, p95Ms, p99Ms, transactions } = cpu.result;
    return { tps, p50Ms, p95Ms, p99Ms, ...cpuValues(endpoint, cpu, transactions * one.statementCount) };
  });
}

/** Fills Postgres' buffers and lets V8 compile what it will; discarded. */
async function warmUp(run: BenchRun, pgbench: string, running: readonly Running[]): Promise<void> {
  const seconds = run.options.isQuick ? 1 : 3;
  for (const { contender, endpoint } of running) {
    for (const protocol of ['simple', 'extended']) {
      const job = { clients: 32, seconds, args: ['-S', '-M', protocol], samplingRate: 0.1 };
      try {
        await runPgbench(pgbench, run.folder, endpoint.login, job);
      } catch (error) {
        skip(run, `warm-up: ${contender.label}`, error instanceof Error ? error.message : String(error));
      }
    }
  }
}
