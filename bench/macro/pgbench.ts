/** Running pgbench and reading what it says: its summary and the latencies of its transaction logs. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { percentile } from '../report/statistics.js';
import { runToEnd } from './child.js';
import type { Login } from './endpoint.js';

export interface PgbenchSummary {
  transactions: number;
  tps: number;
  failed: number;
}

export interface PgbenchRun extends PgbenchSummary {
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface PgbenchJob {
  clients: number;
  seconds: number;
  /** Command-line arguments that make the workload: -S, -C, -M extended... */
  args: string[];
  /** Share of transactions logged, 0..1; below 1 keeps pgbench's own CPU out of the measurement. */
  samplingRate: number;
}

/** Reads the summary that pgbench 9.6 to 18 print. Throws where a figure is missing: half a result is none. */
export function parseSummary(text: string): PgbenchSummary {
  const transactions = /number of transactions actually processed: (\d+)/.exec(text);
  const tps = /^tps = ([0-9.]+)/m.exec(text);
  if (transactions === null || tps === null) throw new Error(`not a pgbench summary: ${text.slice(-300)}`);
  const failed = /number of failed transactions: (\d+)/.exec(text);
  return { transactions: Number(transactions[1]), tps: Number(tps[1]), failed: Number(failed?.[1] ?? 0) };
}

/** Latencies in microseconds of one transaction log: third column (client, number, latency, script, s, us). */
export function parseLog(text: string): number[] {
  const latencies: number[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const latency = Number(line.split(' ')[2]);
    // "failed" and "skipped" stand in this column for transactions that have no latency.
    if (Number.isFinite(latency)) latencies.push(latency);
  }
  return latencies;
}

function readLogs(folder: string, prefix: string): Float64Array {
  const all: number[] = [];
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix)) continue;
    for (const latency of parseLog(readFileSync(join(folder, name), 'latin1'))) all.push(latency);
    rmSync(join(folder, name));
  }
  return Float64Array.from(all).sort();
}

let runNumber = 0;

export async function runPgbench(
  pgbench: string,
  folder: string,
  login: Login,
  job: PgbenchJob,
): Promise<PgbenchRun> {
  const prefix = `run${runNumber++}.`;
  // Two threads at most: pgbench shares the machine with what it measures.
  const threads = Math.min(2, job.clients);
  const args = [
    '-n',
    '-h',
    login.host,
    '-p',
    String(login.port),
    '-U',
    login.user,
    '-c',
    String(job.clients),
  ];
  args.push('-j', String(threads), '-T', String(job.seconds), '-l', `--log-prefix=${join(folder, prefix)}`);
  if (job.samplingRate < 1) args.push(`--sampling-rate=${job.samplingRate}`);
  args.push(...job.args, login.database);
  const sslMode = login.hasTls === true ? 'require' : 'disable';
  const env = { ...process.env, PGPASSWORD: login.password, PGSSLMODE: sslMode, PGGSSENCMODE: 'disable' };
  const output = await runToEnd(pgbench, args, { env, timeoutMs: job.seconds * 1000 + 60_000 });
  const latencies = readLogs(folder, prefix);
  // Code 2 means that clients were aborted: the rest ran on, with less load than the table would claim.
  if (output.code !== 0) throw new Error(`pgbench exit code ${output.code}: ${lastLines(output.stderr)}`);
  const summary = parseSummary(output.stdout);
  if (summary.failed > 0) throw new Error(`pgbench: ${summary.failed} transactions failed`);
  const at = (percent: number): number =>
    latencies.length === 0 ? Number.NaN : percentile(latencies, percent) / 1000;
  return { ...summary, p50Ms: at(50), p95Ms: at(95), p99Ms: at(99), maxMs: at(100) };
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' | ');
}

/** Makes pgbench's tables: scale 10 is a million accounts, 150 MB. */
export async function initialise(pgbench: string, login: Login, scale: number): Promise<void> {
  const args = [
    '-i',
    '-q',
    '-s',
    String(scale),
    '-h',
    login.host,
    '-p',
    String(login.port),
    '-U',
    login.user,
  ];
  const env = { ...process.env, PGPASSWORD: login.password, PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' };
  const output = await runToEnd(pgbench, [...args, login.database], { env, timeoutMs: 120_000 });
  if (output.code !== 0) throw new Error(`pgbench -i: ${lastLines(output.stderr)}`);
}
