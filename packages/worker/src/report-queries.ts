import { LATENCY_CELLS, type QueryReport } from '@pgdog-cluster/core';
import type { QueryFigures } from './plan/query-figures.js';
import type { QueryStats } from './plan/query-stats.js';

/** Shapes that a worker tells of at once: a few milliseconds. */
export const SHAPES_REPORTED_MAX = 1000;
/** What stands for the shapes beyond. */
export const OTHERS_TEXT = '(others)';

/**
 * For SHOW QUERIES and SHOW QUERY_CACHE: the shapes that took most time, a sum per database of those beyond, and what
 * has no shape. @param filter only shapes whose text has it, in lower case
 */
export function reportQueries(
  { queries, worker }: { queries: QueryStats; worker: number },
  filter: string,
): QueryReport[] {
  const chosen: QueryFigures[] = [];
  const sums: QueryFigures[] = [];
  for (const figures of queries.all()) {
    if (!figures.text.toLowerCase().includes(filter)) continue;
    if (figures.entry >= 0) chosen.push(figures);
    else if (figures.calls > 0 || figures.errors > 0 || figures.hits > 0) sums.push(figures);
  }
  if (chosen.length > SHAPES_REPORTED_MAX) chosen.sort((a, b) => b.totalUs - a.totalUs);
  const rows = chosen.slice(0, SHAPES_REPORTED_MAX).map((figures) => reportOf(worker, figures));
  rows.push(...sums.map((figures) => reportOf(worker, figures)));
  rows.push(...othersOf(worker, chosen.slice(SHAPES_REPORTED_MAX)));
  return rows;
}

function reportOf(worker: number, figures: QueryFigures): QueryReport {
  const { database, text, entry, access, hits, calls, multi, totalUs, maxUs, rows, errors, cells } = figures;
  const isShape = entry >= 0;
  const query = text;
  const pairs = cellPairs(cells);
  return {
    worker,
    database,
    query,
    isShape,
    access,
    hits,
    calls,
    multi,
    totalUs,
    maxUs,
    rows,
    errors,
    cells: pairs,
  };
}

/** Number and count of each that has counted. */
function cellPairs(cells: ArrayLike<number>): number[] {
  const pairs: number[] = [];
  for (let cell = 0; cell < cells.length; cell++) if (cells[cell] > 0) pairs.push(cell, cells[cell]);
  return pairs;
}

function othersOf(worker: number, figures: readonly QueryFigures[]): QueryReport[] {
  const sums = new Map<string, { row: QueryReport; cells: Float64Array }>();
  for (const one of figures) {
    const { database } = one;
    let sum = sums.get(database);
    if (sum === undefined) {
      const cells = new Float64Array(LATENCY_CELLS);
      const row = { worker, database, query: OTHERS_TEXT, isShape: false, access: null, cells: [] };
      sum = { row: { ...row, hits: 0, calls: 0, multi: 0, totalUs: 0, maxUs: 0, rows: 0, errors: 0 }, cells };
      sums.set(database, sum);
    }
    const { row, cells } = sum;
    row.hits += one.hits;
    row.calls += one.calls;
    row.multi += one.multi;
    row.totalUs += one.totalUs;
    row.maxUs = Math.max(row.maxUs, one.maxUs);
    row.rows += one.rows;
    row.errors += one.errors;
    const { cells: counts } = one;
    for (let cell = 0; cell < LATENCY_CELLS; cell++) cells[cell] += counts[cell];
  }
  return [...sums.values()].map(({ row, cells }) => ({ ...row, cells: cellPairs(cells) }));
}
