import { LATENCY_CELLS, latencyQuantileUs, type QueryReport } from '@pgdog-cluster/core';

/** Statements of one shape on one database, over all workers. */
export interface MergedQuery extends Omit<QueryReport, 'worker' | 'cells'> {
  workers: number;
  p99Us: number;
}

/** What SHOW QUERIES and SHOW QUERY_CACHE were asked for beyond their name. */
export interface ShowQuestion {
  /** Lower case; '' = every row. */
  filter: string;
  /** Null: as the table's own. */
  limit: number | null;
}

export const WHOLE_SHOW: ShowQuestion = { filter: '', limit: null };

interface Sum extends MergedQuery {
  cells: Float64Array;
  seen: Set<number>;
}

function emptySum({ database, query, isShape }: QueryReport): Sum {
  return {
    database,
    query,
    isShape,
    access: null,
    hits: 0,
    calls: 0,
    multi: 0,
    totalUs: 0,
    maxUs: 0,
    rows: 0,
    errors: 0,
    workers: 0,
    p99Us: 0,
    cells: new Float64Array(LATENCY_CELLS),
    seen: new Set(),
  };
}

/** Workers know a shape by a key of their own: what they tell of it is put together by its text. */
export function mergeQueries(reports: readonly QueryReport[], isByDatabase: boolean): MergedQuery[] {
  const sums = new Map<string, Sum>();
  for (const report of reports) {
    const key = isByDatabase ? JSON.stringify([report.database, report.query]) : report.query;
    const sum = sums.get(key) ?? emptySum(report);
    sums.set(key, sum);
    sum.access ??= report.access;
    sum.hits += report.hits;
    sum.calls += report.calls;
    sum.multi += report.multi;
    sum.totalUs += report.totalUs;
    sum.maxUs = Math.max(sum.maxUs, report.maxUs);
    sum.rows += report.rows;
    sum.errors += report.errors;
    sum.seen.add(report.worker);
    sum.workers = sum.seen.size;
    for (let i = 0; i < report.cells.length; i += 2) sum.cells[report.cells[i]] += report.cells[i + 1];
  }
  for (const sum of sums.values()) sum.p99Us = latencyQuantileUs(sum.cells, 0.99, sum.maxUs);
  return [...sums.values()];
}
