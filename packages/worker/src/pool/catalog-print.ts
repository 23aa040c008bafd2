/** Temporary objects come and go with sessions, which keep their server connections as long. */
const LASTING = 'NOT IN (SELECT oid FROM temporary)';

/**
 * A print of all that the question about users' code looks at (CODE_SQL, ACCESS_SQL): while it is the same, so is the answer.
 * One row of three texts. It costs a tenth of a microsecond per row of these catalogs, where the question itself goes through the
 * source of every function, word by word.
 *
 * A row that is changed gets another xmin; what is updated in place (statistics, by VACUUM and ANALYZE) does not count. Of
 * dependencies each has its row in a catalog that is looked at. Roles, whose catalog not everybody may read, are there by name.
 */
export const PRINT_SQL = `SET LOCAL search_path = pg_catalog, pg_temp;
WITH temporary AS MATERIALIZED (SELECT oid FROM pg_class WHERE relpersistence = 't'), seen(place, oid, row) AS (
  SELECT 1, oid, xmin FROM pg_proc
  UNION ALL SELECT 2, oid, xmin FROM pg_class WHERE relpersistence <> 't'
  UNION ALL SELECT 3, oid, xmin FROM pg_namespace WHERE NOT starts_with(nspname, 'pg_temp_') AND NOT starts_with(nspname, 'pg_toast_temp_')
  UNION ALL SELECT 4, oid, xmin FROM pg_language
  UNION ALL SELECT 5, oid, xmin FROM pg_operator
  UNION ALL SELECT 6, oid, xmin FROM pg_cast
  UNION ALL SELECT 7, oid, xmin FROM pg_opfamily
  UNION ALL SELECT 8, oid, xmin FROM pg_amproc
  UNION ALL SELECT 9, aggfnoid::oid, xmin FROM pg_aggregate
  UNION ALL SELECT 10, oid, xmin FROM pg_event_trigger
  UNION ALL SELECT 11, oid, xmin FROM pg_policy
  UNION ALL SELECT 12, setrole, xmin FROM pg_db_role_setting
  UNION ALL SELECT 13, oid, xmin FROM pg_rewrite WHERE ev_class ${LASTING}
  UNION ALL SELECT 14, oid, xmin FROM pg_trigger WHERE tgrelid ${LASTING}
  UNION ALL SELECT 15, oid, xmin FROM pg_attrdef WHERE adrelid ${LASTING}
  UNION ALL SELECT 16, oid, xmin FROM pg_constraint WHERE conrelid ${LASTING}
  UNION ALL SELECT 17, inhrelid, xmin FROM pg_inherits WHERE inhrelid ${LASTING}
  UNION ALL SELECT 18, oid, xmin FROM pg_type WHERE typrelid = 0 AND typcategory <> 'A'
)
SELECT 'print', count(*) || ' ' || coalesce(sum(hash_array_extended(ARRAY[row], hashoidextended(oid, place))::numeric), 0),
  concat_ws(' ', (SELECT count(*) FROM pg_settings WHERE name = 'default_transaction_isolation'
      AND setting = 'serializable' AND source NOT IN ('user', 'database user', 'client', 'session')),
    (SELECT string_agg(quote_ident(rolname), ' ' ORDER BY rolname) FROM pg_db_role_setting JOIN pg_roles r ON r.oid = setrole))
FROM seen`;

/** What a row of a question says; null: it is not of the print. */
export function printOf([kind = '', rows = '', settings = '']: readonly string[]): string | null {
  return kind === 'print' ? `${rows} ${settings}` : null;
}
