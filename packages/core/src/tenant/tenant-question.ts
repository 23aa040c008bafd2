import { quoteLiteral } from '../sql/quote-literal.js';

const FIRST_USER_OID = 16384;
/** Samples of other people's rows. */
const STATISTICS =
  "('pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs', 'pg_statistic', 'pg_statistic_ext_data')";

/**
 * Which relations have the tenant's column, as rows of four texts: kind, name, schema, and a view's definition. Runs in
 * the transaction of the question before it, under its search path, so definitions qualify every name.
 */
export function tenantQuestion(column: string): string {
  return `;
WITH RECURSIVE owning AS MATERIALIZED (
  SELECT attrelid AS oid FROM pg_attribute WHERE attname = ${quoteLiteral(column)} AND attnum > 0 AND NOT attisdropped
), above(oid) AS (
  SELECT inhparent FROM pg_inherits JOIN owning ON owning.oid = inhrelid
  UNION
  SELECT i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid
)
SELECT CASE
    WHEN c.oid < ${FIRST_USER_OID} THEN CASE WHEN c.relname IN ${STATISTICS} THEN 'tenantHidden' ELSE 'tenantFree' END
    WHEN c.relkind IN ('v', 'm') THEN CASE WHEN h.oid IS NULL THEN 'tenantViewWithout' ELSE 'tenantView' END
    WHEN h.oid IS NOT NULL THEN 'tenantTable'
    WHEN EXISTS (SELECT FROM above a WHERE a.oid = c.oid) THEN 'tenantHidden'
    ELSE 'tenantFree' END,
  c.relname::text, n.nspname::text,
  CASE WHEN c.relkind IN ('v', 'm') AND c.oid >= ${FIRST_USER_OID} THEN pg_get_viewdef(c.oid) ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN owning h ON h.oid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT starts_with(n.nspname, 'pg_t')
UNION ALL SELECT 'tenantEnd', '', '', ''`;
}
