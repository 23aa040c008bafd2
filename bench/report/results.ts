/** What a run of the bench produces: plain data, written as JSON as it is and read by the report's writers. */
import { pairedDifference, pairedRatio, type Summary, summarise } from './statistics.js';

/** Every metric carries its unit in its name. `better` says in which direction; the title heads its table. */
export const METRICS = {
  rowsPerS: { title: 'rows per second', better: 'more', digits: 0 },
  tps: { title: 'transactions per second', better: 'more', digits: 0 },
  cpuUsPerQuery: { title: 'proxy CPU per query, us', better: 'less', digits: 2 },
  cpuUserUsPerQuery: { title: 'of it in user space, us', better: 'less', digits: 2 },
  cpuSystemUsPerQuery: { title: 'of it in the kernel, us', better: 'less', digits: 2 },
  p50Ms: { title: 'p50, ms', better: 'less', digits: 2 },
  p95Ms: { title: 'p95, ms', better: 'less', digits: 2 },
  p99Ms: { title: 'p99, ms', better: 'less', digits: 2 },
  maxMs: { title: 'slowest transaction, ms', better: 'less', digits: 1 },
  rssMb: { title: 'proxy RSS, MB', better: 'less', digits: 1 },
  mbPerS: { title: 'MB per second', better: 'more', digits: 0 },
  cpuMsPerMb: { title: 'proxy CPU per MB, ms', better: 'less', digits: 3 },
  idleLoginKb: { title: 'RSS per client after login, KB', better: 'less', digits: 2 },
  idleQueryKb: { title: 'RSS per client after one query, KB', better: 'less', digits: 2 },
  rssGrowthMb: { title: 'RSS growth, the caches being full, MB', better: 'less', digits: 2 },
  cacheMb: { title: 'cache of plans and figures, MB', better: 'less', digits: 3 },
  hitRate: { title: 'hit rate', better: 'more', digits: 5 },
  serverConnectionsMax: { title: 'server connections, highest sample', better: 'less', digits: 0 },
  calmP99Ms: { title: 'p99 of running clients before, ms', better: 'less', digits: 2 },
  stormP99Ms: { title: 'during the storm, ms', better: 'less', digits: 2 },
  stormRatio: { title: 'during, x before', better: 'less', digits: 2 },
  loginP99Ms: { title: 'p99 of the logins, ms', better: 'less', digits: 0 },
  oldestWaitMs: { title: 'oldest waiter, highest sample, ms', better: 'less', digits: 1 },
} as const satisfies Record<string, { title: string; better: 'more' | 'less'; digits: number }>;

export type Metric = keyof typeof METRICS;
export type Values = Partial<Record<Metric, number>>;

export interface CaseInfo {
  key: string;
  group: string;
  title: string;
}

export interface Measurement {
  caseKey: string;
  contender: string;
  repeat: number;
  values: Values;
}

export interface ContenderInfo {
  key: string;
  label: string;
  version: string;
  kind: 'direct' | 'ours' | 'pgbouncer' | 'other';
}

export interface Environment {
  date: string;
  command: string;
  kernel: string;
  cpu: string;
  coreCount: number;
  memoryMb: number;
  node: string;
  versions: Record<string, string>;
}

/** Something that was not measured, said with its reason; a report never leaves a column out in silence. */
export interface Skipped {
  what: string;
  why: string;
}

export interface Results {
  environment: Environment;
  settings: Record<string, string | number | boolean>;
  contenders: ContenderInfo[];
  cases: CaseInfo[];
  measurements: Measurement[];
  skipped: Skipped[];
}

/** Values of one metric by repeat; undefined where that repeat failed or was skipped. */
export function series(
  results: Results,
  caseKey: string,
  contender: string,
  metric: Metric,
): (number | undefined)[] {
  const values: (number | undefined)[] = [];
  for (const measurement of results.measurements) {
    if (measurement.caseKey !== caseKey || measurement.contender !== contender) continue;
    values[measurement.repeat] = measurement.values[metric];
  }
  // A sparse array would let forEach and friends jump over the failed repeats; make the holes explicit.
  return Array.from(values);
}

export function summaryOf(
  results: Results,
  caseKey: string,
  contender: string,
  metric: Metric,
): Summary | null {
  const present = series(results, caseKey, contender, metric).filter((value) => value !== undefined);
  return present.length === 0 ? null : summarise(present);
}

export function ratioOf(
  results: Results,
  caseKey: string,
  metric: Metric,
  contender: string,
  base: string,
): Summary | null {
  return pairedRatio(series(results, caseKey, contender, metric), series(results, caseKey, base, metric));
}

export function differenceOf(
  results: Results,
  caseKey: string,
  metric: Metric,
  contender: string,
  base: string,
): Summary | null {
  return pairedDifference(
    series(results, caseKey, contender, metric),
    series(results, caseKey, base, metric),
  );
}
