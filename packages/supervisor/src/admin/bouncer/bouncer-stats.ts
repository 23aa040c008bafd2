import type { COUNTER_NAMES } from '@pgdog-cluster/core';
import type { AdminContext } from '../admin-context.js';
import { column, defineShow, type ShowColumn } from '../show.js';
import { counterIndex } from '../stats-window.js';

type CounterName = (typeof COUNTER_NAMES)[number];

interface BouncerStatistic {
  name: string;
  /** In avg_ columns, in STATS_TOTALS and in TOTALS, where they have other names. */
  averageName?: string;
  totalsName?: string;
  rowName?: string;
  /** null: not counted here. */
  counter: CounterName | null;
  /** Its average is per one of those; of the others per second. */
  per?: CounterName;
  meaning: string;
}

/** In PgBouncer's order. Times are microseconds. */
const STATISTICS: readonly BouncerStatistic[] = [
  {
    name: 'server_assignment_count',
    counter: 'serverAssignmentCount',
    meaning: 'Times a client was given a server connection.',
  },
  { name: 'xact_count', counter: 'xactCount', meaning: 'Transactions.' },
  { name: 'query_count', counter: 'queryCount', meaning: 'Queries.' },
  {
    name: 'received',
    averageName: 'recv',
    totalsName: 'bytes_received',
    rowName: 'client_bytes',
    counter: 'received',
    meaning: 'Bytes from clients.',
  },
  {
    name: 'sent',
    totalsName: 'bytes_sent',
    rowName: 'server_bytes',
    counter: 'sent',
    meaning: 'Bytes to clients.',
  },
  { name: 'xact_time', counter: 'xactTimeUs', per: 'xactCount', meaning: 'Time in transactions, us.' },
  { name: 'query_time', counter: 'queryTimeUs', per: 'queryCount', meaning: 'Time in queries, us.' },
  { name: 'wait_time', counter: 'waitTimeUs', meaning: 'Time clients waited for a server connection, us.' },
  {
    name: 'client_parse_count',
    rowName: 'ps_client_parse_count',
    counter: null,
    meaning: 'Always 0 in this version.',
  },
  {
    name: 'server_parse_count',
    rowName: 'ps_server_parse_count',
    counter: 'serverParseCount',
    meaning: 'Statements prepared on servers.',
  },
  { name: 'bind_count', rowName: 'ps_bind_count', counter: 'bindCount', meaning: 'Bind messages.' },
  {
    name: 'client_login_count',
    counter: 'authAttempts',
    meaning: 'Logins of clients, failed ones included.',
  },
];

interface BouncerStats {
  database: string;
  /** Counter rows, summed over the pools of the database: since start, and over the last period. */
  totals: readonly number[];
  grown: readonly number[];
  seconds: number;
}

function statsOf({ memory, config, window }: AdminContext): BouncerStats[] {
  const byDatabase = new Map<string, BouncerStats>();
  for (const { database, index } of config().pools) {
    const totals = memory.counters.sum(index);
    const { counters, seconds } = window.poolChange(index);
    const before = byDatabase.get(database);
    byDatabase.set(database, {
      database,
      totals: totals.map((value, cell) => value + (before?.totals[cell] ?? 0)),
      grown: counters.map((value, cell) => value + (before?.grown[cell] ?? 0)),
      seconds,
    });
  }
  return [...byDatabase.values()];
}

function totalOf({ counter }: BouncerStatistic, counters: readonly number[]): number {
  return counter === null ? 0 : Math.round(counters[counterIndex(counter)] ?? 0);
}

function averageOf(statistic: BouncerStatistic, { grown, seconds }: BouncerStats): number {
  const divisor = statistic.per === undefined ? seconds : (grown[counterIndex(statistic.per)] ?? 0);
  return divisor > 0 ? Math.round(totalOf(statistic, grown) / divisor) : 0;
}

const DATABASE: ShowColumn<BouncerStats> = column(
  'database',
  'text',
  'Name clients ask for.',
  (row) => row.database,
);

function totalColumns(nameOf: (statistic: BouncerStatistic) => string): ShowColumn<BouncerStats>[] {
  return STATISTICS.map((statistic) =>
    column(nameOf(statistic), 'numeric', statistic.meaning, (row) => totalOf(statistic, row.totals)),
  );
}

function averageColumns(nameOf: (statistic: BouncerStatistic) => string): ShowColumn<BouncerStats>[] {
  return STATISTICS.map((statistic) => {
    const meaning = statistic.per === undefined ? 'The same, per second.' : 'The same, us each.';
    return column(nameOf(statistic), 'numeric', meaning, (row) => averageOf(statistic, row));
  });
}

/** SHOW STATS of database pgbouncer. */
export const BOUNCER_STATS = defineShow<BouncerStats>({
  name: 'stats',
  privilege: 'admin',
  description: 'Totals since start and averages over the last stats_period, one row per database.',
  columns: [
    DATABASE,
    ...totalColumns(({ name }) => `total_${name}`),
    ...averageColumns(({ name, averageName }) => `avg_${averageName ?? name}`),
  ],
  rows: statsOf,
});

export const SHOW_STATS_TOTALS = defineShow<BouncerStats>({
  name: 'stats_totals',
  privilege: 'admin',
  description: 'Totals since start, one row per database.',
  columns: [DATABASE, ...totalColumns(({ name, totalsName }) => totalsName ?? name)],
  rows: statsOf,
});

/** PgBouncer has avg_ before the last four only. */
const WITH_PREFIX: ReadonlySet<string> = new Set(STATISTICS.slice(-4).map(({ name }) => name));

export const SHOW_STATS_AVERAGES = defineShow<BouncerStats>({
  name: 'stats_averages',
  privilege: 'admin',
  description: 'Averages over the last stats_period, one row per database.',
  columns: [
    DATABASE,
    ...averageColumns(({ name, totalsName }) =>
      WITH_PREFIX.has(name) ? `avg_${name}` : (totalsName ?? name),
    ),
  ],
  rows: statsOf,
});

function sumStats(stats: readonly BouncerStats[]): BouncerStats {
  const add = (key: 'totals' | 'grown') =>
    stats.reduce<number[]>((sum, row) => row[key].map((value, cell) => value + (sum[cell] ?? 0)), []);
  return { database: '', totals: add('totals'), grown: add('grown'), seconds: stats[0]?.seconds ?? 0 };
}

export const SHOW_TOTALS = defineShow<{ name: string; value: number }>({
  name: 'totals',
  privilege: 'admin',
  description: 'Totals since start and averages over the last stats_period, of everything.',
  columns: [
    column('name', 'text', 'total_ or avg_ and what is counted.', (row) => row.name),
    column(
      'value',
      'numeric',
      'Count, bytes or microseconds; averages per second or each.',
      (row) => row.value,
    ),
  ],
  rows(context) {
    const all = sumStats(statsOf(context));
    const nameOf = ({ name, rowName }: BouncerStatistic) => rowName ?? name;
    return [
      ...STATISTICS.map((one) => ({ name: `total_${nameOf(one)}`, value: totalOf(one, all.totals) })),
      ...STATISTICS.map((one) => ({ name: `avg_${nameOf(one)}`, value: averageOf(one, all) })),
    ];
  },
});
