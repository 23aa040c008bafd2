/** The same with TLS towards clients and one RSA certificate for all: queries, connects with SCRAM, idle clients. */
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
import { warmUpLogins } from '../macro/login-storm.js';
import { type PgbenchJob, runPgbench } from '../macro/pgbench.js';
import { PACKAGES } from '../macro/programs.js';
import { type KeyPairPem, selfSigned } from '../macro/self-signed.js';
import type { Values } from '../report/results.js';
import { holdIdle } from './idle.js';

const SELECT_CLIENTS = 32;
/** Few enough that pgbench, which computes TLS and SCRAM too, is not what is measured. */
const RECONNECT_CLIENTS = 16;
/** The path of the query; warmUpLogins() does that of the login. */
const WARM_UP_SECONDS = 3;
/**
 * V8 goes on compiling for some thousand handshakes, of which there are a few hundred a second; whoever serves is past that after his
 * first minute.
 */
const WARM_UP_CONNECT_SECONDS = 20;
/** Both ends of each are on this machine, and Node's end is the heavier one. */
const IDLE_CLIENTS = 1000;

export async function tls(run: BenchRun): Promise<void> {
  const own = selfSigned();
  if (run.pgbench === null) skip(run, 'tls (queries and connects)', `pgbench not found: ${PACKAGES.pgbench}`);
  else await withPgbench(run, run.pgbench.path, own);
  await idleTls(run, own);
}

async function withPgbench(run: BenchRun, pgbench: string, own: KeyPairPem): Promise<void> {
  const poolers = run.mainContenders.filter(({ kind }) => kind !== 'direct');
  const select = addCase(run, {
    key: 'tls-select-32',
    group: 'tls',
    title: `select-only over TLS, simple protocol, ${SELECT_CLIENTS} clients, pool of 20`,
  });
  const connect = addCase(run, {
    key: 'tls-reconnect-scram',
    group: 'tls',
    title: `reconnect for each transaction, TLS and scram, ${RECONNECT_CLIENTS} clients (per query = per connection and query)`,
  });
  const { seconds } = run.options;
  const selects: PgbenchJob = { clients: SELECT_CLIENTS, seconds, args: ['-S'], samplingRate: 0.1 };
  const connects: PgbenchJob = { clients: RECONNECT_CLIENTS, seconds, args: ['-S', '-C'], samplingRate: 1 };
  const cases = [
    { key: select, auth: 'trust', job: selects, warmUpSeconds: WARM_UP_SECONDS },
    { key: connect, auth: 'scram', job: connects, warmUpSeconds: WARM_UP_CONNECT_SECONDS },
  ] as const;
  for (const { key, auth, job, warmUpSeconds } of cases) {
    const running = await startAll(run, poolers, auth, undefined, { tls: own });
    for (const { endpoint } of running) await warmUpLogins(endpoint.login);
    for (const { endpoint } of running)
      await runPgbench(pgbench, run.folder, endpoint.login, { ...job, seconds: warmUpSeconds }).catch(
        () => {},
      );
    for (let repeat = 0; repeat < run.options.repeatCount; repeat++) {
      for (const target of running) await runCase(run, pgbench, key, job, target, repeat);
    }
    await stopAll(running);
  }
}

async function runCase(
  run: BenchRun,
  pgbench: string,
  key: string,
  job: PgbenchJob,
  { contender, endpoint }: Running,
  repeat: number,
): Promise<void> {
  await measure(run, key, contender, repeat, async (): Promise<Values> => {
    const cpu = await withCpu(endpoint, () => runPgbench(pgbench, run.folder, endpoint.login, job));
    const { tps, p50Ms, p99Ms, transactions } = cpu.result;
    return { tps, p50Ms, p99Ms, ...cpuValues(endpoint, cpu, transactions) };
  });
}

async function idleTls(run: BenchRun, own: KeyPairPem): Promise<void> {
  const key = addCase(run, { key: 'tls-idle', group: 'tls', title: `${IDLE_CLIENTS} idle clients with TLS` });
  for (const contender of run.mainContenders) {
    if (contender.kind === 'direct') continue;
    for (const { endpoint } of await startAll(run, [contender], 'trust', undefined, { tls: own })) {
      await measure(run, key, contender, 0, () => holdIdle(endpoint, IDLE_CLIENTS));
      await stopAll([{ contender, endpoint }]);
    }
  }
}
