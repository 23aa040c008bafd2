/**
 * The chaos run: clients that do all a driver may do and vanish at any moment, each checking that it has, as far
 * as it can see, a server of its own. The seed decides what each client does; what it meets depends on timing.
 */
import { readdirSync } from 'node:fs';
import { Chance } from './chance.js';
import type { RunLedger } from './chaos-session.js';
import { runLife, someActions } from './client-life.js';
import { inspectServers, ServerWatch } from './server-watch.js';

export interface RandomisedOptions {
  host?: string;
  port: number;
  user: string;
  password: string;
  database: string;
  seed: number;
  /** Lives in all; with `seconds` they go on until the time is over instead. */
  clients?: number;
  seconds?: number;
  /** Lives at a time. */
  concurrency: number;
  /** Longest life. */
  actionsMax?: number;
  /** Server connections allowed at once. */
  poolSize: number;
  /** The server itself. */
  direct: { host: string; port: number };
  /** Rows of a command on the admin database. */
  adminQuery?: (sql: string) => Promise<Record<string, string>[]>;
  /** Process whose descriptors are counted. */
  pid?: number;
  /** Names of actions to choose from, to narrow a failure down; by default half of all, anew every ROUND lives. */
  only?: readonly string[];
  /** Called about once a second by long runs. */
  onProgress?: (report: ChaosReport) => void;
}

export interface ChaosReport {
  seed: number;
  lives: number;
  operations: number;
  elapsedMs: number;
  /** How often each action was done to its end. */
  actions: Record<string, number>;
  failures: { client: string; message: string; history: string[] }[];
  connectionsMax: number;
  samples: number;
  excesses: string[];
  descriptorsBefore: number;
  descriptorsAfter: number;
}

const FAILURES_MAX = 20;
/** Columns of SHOW POOLS; nothing may have come out of step with what was asked, at any time. */
const ZERO_AT_THE_END = ['cl_waiting', 'sv_active', 'sv_idle_xact', 'maxwait', 'maxwait_us', 'out_of_sync'];
/** Lives that share one choice of actions. */
const ROUND = 100;
const SETTLE_TIMEOUT_MS = 10_000;

function countDescriptors(pid: number | undefined): number {
  return pid === undefined ? 0 : readdirSync(`/proc/${pid}/fd`).length;
}

export async function runRandomisedClients(options: RandomisedOptions): Promise<ChaosReport> {
  const { host = '127.0.0.1', port, user, password, database } = options;
  const target = { host, port, user, password, database };
  const direct = { ...target, ...options.direct };
  const report: ChaosReport = {
    seed: options.seed,
    lives: 0,
    operations: 0,
    elapsedMs: 0,
    actions: {},
    failures: [],
    connectionsMax: 0,
    samples: 0,
    excesses: [],
    descriptorsBefore: 0,
    descriptorsAfter: 0,
  };
  const watch = await ServerWatch.open(direct, options.poolSize);
  try {
    await watch.prepareSchema();
    const fresh = await watch.freshSettings();
    // Every server connection opened once, so that descriptors can be compared.
    noteAll(report, 'before', await inspectServers(target, options.poolSize, fresh));
    report.descriptorsBefore = await steadyDescriptors(options.pid);
    const ledger: RunLedger = { committed: new Set(), absent: new Set(), otherKeys: [] };
    watch.start();
    await runLives(options, report, await watch.defaults(), ledger);
    noteAll(report, 'after', await watch.settle(SETTLE_TIMEOUT_MS));
    noteAll(report, 'rows', await watch.checkRows(ledger.committed, ledger.absent));
    noteAll(report, 'left behind', await inspectServers(target, options.poolSize, fresh));
    noteAll(report, 'counters', await checkCounters(options));
    await watch.stop();
    report.descriptorsAfter = await steadyDescriptors(options.pid, report.descriptorsBefore);
    if (report.descriptorsAfter > report.descriptorsBefore)
      noteAll(report, 'descriptors', [
        `${report.descriptorsBefore} before, ${report.descriptorsAfter} after`,
      ]);
  } finally {
    await watch.stop();
    await watch.end();
  }
  report.connectionsMax = watch.connectionsMax;
  report.samples = watch.samples;
  report.excesses = watch.excesses;
  noteAll(
    report,
    'limit',
    watch.excesses.map((what) => `more than ${options.poolSize} server connections: ${what}`),
  );
  return report;
}

function noteAll(report: ChaosReport, client: string, messages: string[]): void {
  for (const message of messages) report.failures.push({ client, message, history: [] });
}

/** Lives one after the other in each of `concurrency` lanes. */
async function runLives(
  options: RandomisedOptions,
  report: ChaosReport,
  defaults: Parameters<typeof runLife>[0]['defaults'],
  ledger: RunLedger,
): Promise<void> {
  const { host = '127.0.0.1', port, user, password, database, seed } = options;
  const root = new Chance(seed);
  const counts = new Map<string, number>();
  const startMs = performance.now();
  const endMs = options.seconds === undefined ? Number.POSITIVE_INFINITY : startMs + options.seconds * 1000;
  const clients = options.seconds === undefined ? (options.clients ?? 100) : Number.POSITIVE_INFINITY;
  let started = 0;
  let reportedMs = startMs;
  const lane = async (): Promise<void> => {
    while (started < clients && performance.now() < endMs && report.failures.length < FAILURES_MAX) {
      const index = started++;
      const id = `k_${seed % 1000}_${index}`;
      const target = { host, port, user, password, database };
      const { actionsMax = 24 } = options;
      const only = options.only ?? someActions(root.fork(-1 - Math.floor(index / ROUND)));
      const chance = root.fork(index);
      const life = await runLife({ target, id, chance, defaults, ledger, actionsMax, only, counts });
      report.lives += 1;
      report.operations += life.operations;
      if (life.failure !== null)
        report.failures.push({ client: id, message: life.failure, history: life.history });
      if (options.onProgress !== undefined && performance.now() - reportedMs > 1000) {
        reportedMs = performance.now();
        report.elapsedMs = reportedMs - startMs;
        options.onProgress(report);
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, lane));
  report.elapsedMs = performance.now() - startMs;
  report.actions = Object.fromEntries([...counts].sort());
}

/** Waits until the proxy has closed what it still has to. */
async function steadyDescriptors(pid: number | undefined, atMost = -1): Promise<number> {
  let last = countDescriptors(pid);
  for (let round = 0; round < 30; round++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = countDescriptors(pid);
    if (now === last && (atMost < 0 || now <= atMost)) return now;
    last = now;
  }
  return last;
}

/** SHOW POOLS and SHOW CLIENTS with nobody there. */
async function checkCounters({ adminQuery, database }: RandomisedOptions): Promise<string[]> {
  if (adminQuery === undefined) return [];
  let problems: string[] = [];
  for (let round = 0; round < 30; round++) {
    problems = [];
    const pools = (await adminQuery('SHOW POOLS')).filter((row) => row['database'] === database);
    if (pools.length === 0) problems.push('SHOW POOLS does not name the pool');
    for (const row of pools)
      for (const name of ZERO_AT_THE_END)
        if (name in row && Number(row[name]) !== 0) problems.push(`SHOW POOLS: ${name} is ${row[name]}`);
    const clients = (await adminQuery('SHOW CLIENTS')).filter((row) => row['database'] === database);
    if (clients.length > 0)
      problems.push(`SHOW CLIENTS has ${clients.length} rows: ${JSON.stringify(clients[0])}`);
    if (problems.length === 0) return [];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return problems;
}
