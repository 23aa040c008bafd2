import type { QueryReport } from '@pgdog-cluster/core';
import { type MergedQuery, mergeQueries } from './merged-queries.js';
import { column, defineShow } from './show.js';

/** Rows without LIMIT. */
export const QUERIES_SHOWN = 100;

export const SHOW_QUERIES = defineShow<MergedQuery>({
  name: 'queries',
  privilege: 'admin',
  description: `Statements by shape, those that took most time first: SHOW QUERIES ['part of the text'] [LIMIT n] (${QUERIES_SHOWN}).`,
  takesFilter: true,
  columns: [
    column('database', 'text', 'Database, as clients name it.', (row) => row.database),
    column(
      'query',
      'text',
      'The statements with literals as $n; (evicted), (not read), (others): sums over further ones.',
      (row) => row.query,
    ),
    column(
      'route',
      'text',
      'read, write or neutral; NULL: nobody asks, the database has one host.',
      (row) => row.access,
    ),
    column('calls', 'numeric', 'How often they ran.', (row) => row.calls),
    column('errors', 'numeric', 'Errors, those of Parse and Bind included.', (row) => row.errors),
    column('rows', 'numeric', 'Rows returned or changed.', (row) => row.rows),
    column('total_time', 'numeric', 'Time in them, ms.', (row) => row.totalUs / 1000),
    column('avg_time', 'numeric', 'Time of one, ms.', (row) =>
      row.calls === 0 ? 0 : row.totalUs / row.calls / 1000,
    ),
    column(
      'p99_time',
      'numeric',
      '99 of 100 took no longer, ms; off by a quarter at most.',
      (row) => row.p99Us / 1000,
    ),
    column('max_time', 'numeric', 'The longest, ms.', (row) => row.maxUs / 1000),
    column('workers', 'numeric', 'Workers that ran them.', (row) => row.workers),
  ],
  async rows({ reportQueries }, _, { filter, limit }) {
    const rows = mergeQueries(await reportQueries(filter), true);
    rows.sort((a, b) => b.totalUs - a.totalUs);
    return rows.slice(0, limit ?? QUERIES_SHOWN);
  },
});

function shapesOf(reports: readonly QueryReport[]): QueryReport[] {
  return reports.filter(({ isShape }) => isShape);
}

export const SHOW_QUERY_CACHE = defineShow<MergedQuery>({
  name: 'query_cache',
  privilege: 'admin',
  description: "Shapes of statements that workers know: SHOW QUERY_CACHE ['part of the text'] [LIMIT n].",
  takesFilter: true,
  columns: [
    column('query', 'text', 'A statement with literals as $n.', (row) => row.query),
    column('hits', 'numeric', 'Texts that came when the shape was known.', (row) => row.hits),
    column('direct', 'numeric', 'Executions on one shard.', (row) => row.calls - row.multi),
    column('multi', 'numeric', 'Executions on several shards.', (row) => row.multi),
    column('route', 'text', 'read, write or neutral; NULL: nobody asked.', (row) => row.access),
    column('workers', 'numeric', 'Workers that know it.', (row) => row.workers),
  ],
  async rows({ reportQueries }, _, { filter, limit }) {
    const rows = mergeQueries(shapesOf(await reportQueries(filter)), false);
    rows.sort((a, b) => b.hits - a.hits);
    return limit === null ? rows : rows.slice(0, limit);
  },
});
