/** Command line of the bench. A typo must not become a twenty-minute run of the wrong thing: unknown words are refused. */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

export const GROUPS = [
  'throughput',
  'reconnect',
  'idle',
  'transfer',
  'texts',
  'small-pool',
  'pipeline',
  'tls',
  'storm',
  'routing',
  'sharding',
  'copy',
] as const;
export type Group = (typeof GROUPS)[number];

export interface Options {
  isQuick: boolean;
  groups: readonly Group[];
  repeatCount: number;
  /** Worker counts of pgdog-cluster, the one the verdict is about first. */
  workerCounts: readonly number[];
  /** Seconds of one pgbench run. */
  seconds: number;
  outFolder: string;
  name: string;
}

export class UsageError extends Error {}

export const USAGE = `usage: npm run bench -- [options]
  --quick              about 3 minutes: fewer contenders, clients and repeats
  --only NAME,...      only these groups: ${GROUPS.join(', ')}
  --repeats N          alternating repeats (default 3, quick 2)
  --seconds N          length of one pgbench run (default 5, quick 2)
  --workers N,...      worker counts of pgdog-cluster (default: the cores, and 1)
  --out DIR            where the report goes (default bench/results)
  --name NAME          file name of the report (default latest)
environment:
  BENCH_PG_URL         a server to use instead of an embedded one; its pgbench tables are made anew
  PGBOUNCER            path of a further PgBouncer to measure beside the one on PATH`;

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`--${name} ${text}: a whole number above 0 is wanted`);
  return value;
}

function parseGroups(text: string): readonly Group[] {
  return text.split(',').map((word) => {
    const group = GROUPS.find((name) => name === word.trim());
    if (group === undefined) throw new UsageError(`--only ${word}: not one of ${GROUPS.join(', ')}`);
    return group;
  });
}

export function parseOptions(argv: readonly string[], defaultOutFolder: string): Options {
  const values = readArguments(argv);
  const isQuick = values.quick === true;
  const cores = Math.max(1, Math.min(cpus().length, 8));
  // One worker alone is measured too in a full run: it shows what each further thread costs.
  const workers = isQuick ? [cores] : cores === 1 ? [1] : [cores, 1];
  return {
    isQuick,
    groups: values.only === undefined ? GROUPS : parseGroups(values.only),
    repeatCount: values.repeats === undefined ? (isQuick ? 2 : 3) : positive('repeats', values.repeats),
    seconds: values.seconds === undefined ? (isQuick ? 2 : 5) : positive('seconds', values.seconds),
    workerCounts:
      values.workers === undefined
        ? workers
        : values.workers.split(',').map((text) => positive('workers', text)),
    outFolder: values.out ?? defaultOutFolder,
    name: values.name ?? 'latest',
  };
}

function readArguments(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    const options = {
      quick: { type: 'boolean' },
      only: text,
      repeats: text,
      seconds: text,
      workers: text,
    } as const;
    return parseArgs({ args: [...argv], options: { ...options, out: text, name: text } }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
