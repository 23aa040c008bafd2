/** One run of the bench: what is measured, what came out so far, and the steps every workload is made of. */
import type { Options } from '../options.js';
import type { CaseInfo, Results, Values } from '../report/results.js';
import { isCleaningUp } from './clean-up.js';
import type { ClientAuth, Contender, Endpoint, Login, Setup } from './endpoint.js';
import type { PostgresServer } from './postgres-server.js';
import { cpuTime, rssKb } from './proc.js';
import type { Program } from './programs.js';

export interface BenchRun {
  options: Options;
  server: PostgresServer;
  pgbench: Program | null;
  /** Temporary folder for transaction logs. */
  folder: string;
  /** In the order in which a repeat takes them. */
  contenders: readonly Contender[];
  /** Those that every workload measures; the rest (other worker counts, several PgBouncers) only where it matters. */
  mainContenders: readonly Contender[];
  results: Results;
}

export interface Running {
  contender: Contender;
  endpoint: Endpoint;
}

export const POOL_SIZE = 20;

export function say(text: string): void {
  console.log(text);
}

export function skip(run: BenchRun, what: string, why: string): void {
  if (isCleaningUp()) return;
  // A contender that died fails in each repeat for the same reason: once is enough.
  if (run.results.skipped.some((known) => known.what === what)) return;
  run.results.skipped.push({ what, why });
  say(`  skipped: ${what}: ${why.split('\n')[0]}`);
}

export function addCase(run: BenchRun, info: CaseInfo): string {
  run.results.cases.push(info);
  return info.key;
}

/** Contenders made for one workload only are added here, or the report would not know their labels. */
export function addContender(run: BenchRun, contender: Contender): void {
  const { key, label, version, kind } = contender;
  if (run.results.contenders.some((known) => known.key === key)) return;
  run.results.contenders.push({ key, label, version, kind });
}

/** Starts all of them; one that does not start is left out, with its reason in the report. */
export async function startAll(
  run: BenchRun,
  contenders: readonly Contender[],
  auth: ClientAuth,
  poolSize = POOL_SIZE,
  further: Partial<Setup> = {},
): Promise<Running[]> {
  const started: Running[] = [];
  for (const contender of contenders) {
    try {
      started.push({ contender, endpoint: await contender.start({ auth, poolSize, ...further }) });
    } catch (error) {
      skip(run, `${contender.label} (${auth})`, errorText(error));
    }
  }
  return started;
}

export async function stopAll(running: readonly Running[]): Promise<void> {
  await Promise.all(running.map((one) => one.endpoint.stop()));
}

/**
 * One measurement: failures become a line of the report, never a number. What failed once is not tried in the further
 * repeats of the case: a contender that hangs costs a time-out each time, and the run should end.
 */
export async function measure(
  run: BenchRun,
  caseKey: string,
  contender: Contender,
  repeat: number,
  work: () => Promise<Values>,
): Promise<void> {
  const what = `${caseKey}: ${contender.label}`;
  if (run.results.skipped.some((known) => known.what === what)) return;
  try {
    const values = finiteOnly(await work());
    run.results.measurements.push({ caseKey, contender: contender.key, repeat, values });
    say(`  ${caseKey} #${repeat + 1} ${contender.label}: ${describe(values)}`);
  } catch (error) {
    skip(run, what, errorText(error));
  }
}

/** NaN (nothing to take a percentile of) would turn into null in JSON; such a value is left out instead. */
function finiteOnly(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isFinite(value)));
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function describe(values: Values): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(values)) {
    parts.push(`${name} ${Number(value).toPrecision(4)}`);
  }
  return parts.join(', ');
}

/** CPU that the contender's processes used while `work` ran, and what work returned. */
export async function withCpu<T>(
  endpoint: Endpoint,
  work: () => Promise<T>,
): Promise<{ result: T; userUs: number; systemUs: number }> {
  const before = cpuTime(endpoint.pids);
  const result = await work();
  const after = cpuTime(endpoint.pids);
  return { result, userUs: after.userUs - before.userUs, systemUs: after.systemUs - before.systemUs };
}

/** The three CPU metrics, or none for a contender without processes of its own. */
export function cpuValues(
  endpoint: Endpoint,
  cpu: { userUs: number; systemUs: number },
  queryCount: number,
): Values {
  if (endpoint.pids.length === 0 || queryCount === 0) return {};
  return {
    cpuUsPerQuery: (cpu.userUs + cpu.systemUs) / queryCount,
    cpuUserUsPerQuery: cpu.userUs / queryCount,
    cpuSystemUsPerQuery: cpu.systemUs / queryCount,
    rssMb: rssKb(endpoint.pids) / 1024,
  };
}

/** "Direct" with its own user: the one that needs no password in trust workloads. */
export function direct(server: PostgresServer): Contender {
  const loginFor = (auth: ClientAuth): Login => (auth === 'trust' && server.trusted) || server.pooled;
  return {
    key: 'direct',
    label: 'direct',
    version: server.version,
    kind: 'direct',
    hasPreparedStatements: true,
    start: async (setup) => ({ login: loginFor(setup.auth), pids: [], admin: null, stop: async () => {} }),
  };
}
