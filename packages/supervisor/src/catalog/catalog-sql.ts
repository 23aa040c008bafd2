/**
 * What is asked of the catalogs of one shard: one text, one round trip, one snapshot. Everything is looked up in pg_catalog
 * and nowhere else, so that no table or function of a user stands in for one of the system's; and whatever is printed by the
 * server (views, defaults) names its schemas. From Postgres 12 on.
 */

/** User objects; those of the system have lower numbers. */
const FIRST_OID = 16_384;

const USER_SCHEMAS = `n.nspname <> 'information_schema' AND NOT starts_with(n.nspname::text, 'pg_')`;

const KINDS = `'r', 'p', 'v', 'm', 'f', 'S'`;

/** Byte order: C and POSIX of the system's library, and all of Postgres's own provider, which has no other. */
const BYTE_ORDERED = (provider: string, locale: string): string =>
  `CASE ${provider} WHEN 'b' THEN true WHEN 'c' THEN ${locale} IN ('C', 'POSIX') ELSE false END`;

/** C.UTF-8 and its like have no version: their order never changes (Postgres's pg_locale.c). */
const isOfCodePoints = (locale: string): string => `lower(${locale}) LIKE 'c.%'`;

/**
 * What an order by a collation depends on: shards of which it is not the same sort texts otherwise. NULL: it is not known, as no
 * version of the library is told (Postgres 12).
 */
const SORTING = (provider: string, locales: readonly string[], version: string): string =>
  `CASE WHEN ${version} IS NOT NULL THEN concat_ws('|', ${provider}, ${locales.join(', ')}, ${version}) END`;

/** Of the libraries that the system's collations and ICU's are of: from Postgres 15 on one could ask for the database's own. */
const LIBRARIES = `libraries AS MATERIALIZED (
    SELECT max(pg_collation_actual_version(l.oid) COLLATE "C") FILTER (WHERE l.collprovider = 'c') AS system,
      max(pg_collation_actual_version(l.oid) COLLATE "C") FILTER (WHERE l.collname = 'und-x-icu') AS icu
    FROM pg_collation l WHERE l.collprovider = 'c' OR l.collname = 'und-x-icu'
  )`;

/** The database's own: whether by bytes, and what else its order depends on. */
const DATABASE_SORT = `own AS MATERIALIZED (
    SELECT ${BYTE_ORDERED(`coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')`, 'd.datcollate')} AS is_byte_ordered,
      ${SORTING(
        `coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')`,
        [
          'd.datcollate',
          'd.datctype',
          `to_jsonb(d) ->> 'datlocale'`,
          `to_jsonb(d) ->> 'daticulocale'`,
          `to_jsonb(d) ->> 'daticurules'`,
        ],
        `CASE WHEN to_jsonb(d) ->> 'datlocprovider' = 'i' THEN b.icu
          WHEN ${isOfCodePoints('d.datcollate')} THEN 'code points' ELSE b.system END`,
      )} AS sorting
    FROM pg_database d CROSS JOIN libraries b WHERE d.datname = current_database()
  )`;

/** Before the search path is set: what a session has that says nothing. */
const SEARCH_PATH = `SELECT s.reset_val, s.source FROM pg_catalog.pg_settings s
  WHERE s.name OPERATOR(pg_catalog.=) 'search_path'`;

const FACTS = `WITH ${LIBRARIES}, ${DATABASE_SORT}
  SELECT current_setting('max_prepared_transactions'), current_setting('server_encoding'), pg_is_in_recovery(),
    CASE WHEN own.is_byte_ordered THEN 'bytes' ELSE own.sorting END FROM own`;

const SCHEMAS = `SELECT n.nspname FROM pg_namespace n WHERE ${USER_SCHEMAS} ORDER BY n.nspname::text COLLATE "C"`;

/** Of those that are there for a table, too. Of an enum its labels, in their order. */
const TYPES = `SELECT t.oid::text, n.nspname, t.typname, CASE WHEN t.typtype = 'e' THEN (SELECT
      json_agg(e.enumlabel ORDER BY e.enumsortorder)::text FROM pg_enum e WHERE e.enumtypid = t.oid) END
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= ${FIRST_OID} AND ${USER_SCHEMAS}`;

const RELATIONS = `SELECT c.oid::text, n.nspname, c.relname, c.relkind, c.relrowsecurity,
    c.relhastriggers AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
    EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
    CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN (${KINDS}) AND c.relpersistence <> 't' AND ${USER_SCHEMAS}
  ORDER BY n.nspname::text COLLATE "C", c.relname::text COLLATE "C"`;

/** Of a domain its base type, that of a domain over a domain included. */
/** Postgres 18 has constraints that new rows are held against, and not those that are there. */
const IS_NOT_NULL = `a.attnotnull AND (a.attrelid, a.attnum) NOT IN (SELECT v.conrelid, k.attnum
      FROM pg_constraint v CROSS JOIN unnest(v.conkey) k(attnum) WHERE v.contype = 'n' AND NOT v.convalidated)`;

const COLUMNS = `WITH RECURSIVE bases(domain, base, typmod, is_not_null) AS (
    SELECT t.oid, t.typbasetype, t.typtypmod, t.typnotnull FROM pg_type t WHERE t.typtype = 'd'
    UNION ALL
    SELECT b.domain, t.typbasetype, CASE WHEN b.typmod = -1 THEN t.typtypmod ELSE b.typmod END, b.is_not_null OR t.typnotnull
    FROM bases b JOIN pg_type t ON t.oid = b.base WHERE t.typtype = 'd'
  ), domains AS (
    SELECT b.* FROM bases b JOIN pg_type t ON t.oid = b.base WHERE t.typtype <> 'd'
  ), ${LIBRARIES}, ${DATABASE_SORT}, sorts AS MATERIALIZED (
    SELECT l.oid, l.collprovider, l.collcollate, l.collisdeterministic, concat_ws('.', quote_ident(n.nspname), quote_ident(l.collname)) AS name,
      CASE WHEN l.collprovider <> 'd' THEN ${SORTING(
        'l.collprovider',
        [
          'l.collcollate',
          'l.collctype',
          `to_jsonb(l) ->> 'colllocale'`,
          `to_jsonb(l) ->> 'colliculocale'`,
          `to_jsonb(l) ->> 'collicurules'`,
        ],
        `CASE WHEN l.collprovider = 'c' AND ${isOfCodePoints('l.collcollate')} THEN 'code points'
          ELSE pg_collation_actual_version(l.oid) END`,
      )} END AS sorting
    FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
    WHERE l.oid IN (SELECT a.attcollation FROM pg_attribute a WHERE a.attrelid >= ${FIRST_OID})
  )
  SELECT a.attrelid::text, a.attname, tn.nspname, t.typname, coalesce(d.typmod, a.atttypmod), d.domain IS NOT NULL,
    ${IS_NOT_NULL} OR coalesce(d.is_not_null, false),
    CASE WHEN a.attcollation = 0 THEN true WHEN l.collprovider = 'd' THEN own.is_byte_ordered
      ELSE ${BYTE_ORDERED('l.collprovider', 'l.collcollate')} END,
    coalesce(l.collisdeterministic, true), pg_get_expr(e.adbin, e.adrelid), a.attidentity::text || a.attgenerated::text,
    l.name, CASE WHEN l.collprovider = 'd' THEN own.sorting ELSE l.sorting END
  FROM pg_attribute a CROSS JOIN own
    JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN (${KINDS}) AND c.relpersistence <> 't'
    LEFT JOIN domains d ON d.domain = a.atttypid
    JOIN pg_type t ON t.oid = coalesce(d.base, a.atttypid)
    JOIN pg_namespace tn ON tn.oid = t.typnamespace
    LEFT JOIN sorts l ON l.oid = a.attcollation
    LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
  WHERE a.attrelid >= ${FIRST_OID} AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attrelid, a.attnum`;

const PARENTS = `SELECT i.inhrelid::text, n.nspname, c.relname
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f') ORDER BY i.inhrelid, i.inhseqno`;

const namesOf = (relation: string, numbers: string): string =>
  `(SELECT json_agg(a.attname ORDER BY k.place)::text FROM unnest(${numbers}) WITH ORDINALITY k(number, place)
    JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.number)`;

/**
 * Of its keys those whose equality is that of the type: by an operator class of Postgres's own or by =, and by a collation that
 * takes only equal bytes for equal. Of its columns also those of its expressions and of its condition, which pg_depend knows,
 * but for a row as a whole: that is attribute 0.
 */
const UNIQUES = `SELECT i.indrelid::text, x.relname, i.indisprimary,
    coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
    (SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')::text
      FROM unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[]) WITH ORDINALITY k(number, opclass, sorting, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
        JOIN pg_opclass o ON o.oid = k.opclass JOIN pg_namespace n ON n.oid = o.opcnamespace
        LEFT JOIN pg_collation l ON l.oid = k.sorting
      WHERE k.place <= i.indnkeyatts AND coalesce(l.collisdeterministic, true)
        AND CASE WHEN i.indisexclusion THEN EXISTS (SELECT FROM pg_constraint c JOIN pg_operator p ON p.oid = c.conexclop[k.place]
            WHERE c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND p.oprname = '='
              AND p.oprnamespace = 'pg_catalog'::regnamespace)
          ELSE n.nspname = 'pg_catalog' END),
    (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')::text FROM pg_attribute a
      WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped
        AND (a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
          OR (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND EXISTS (SELECT FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
              AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum)
          OR concat(i.indexprs, i.indpred) LIKE '%:varattno 0 %'))
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid >= ${FIRST_OID} AND (i.indisunique OR i.indisexclusion) AND i.indisvalid`;

/** ON DELETE SET NULL (…): a column of pg_constraint that Postgres has from 15 on. */
const SET_ON_DELETE = `CASE WHEN c.confdeltype IN ('n', 'd') THEN (SELECT json_agg(a.attname ORDER BY a.attnum)::text FROM pg_attribute a
    WHERE a.attrelid = c.conrelid AND to_jsonb(c) -> 'confdelsetcols' @> to_jsonb(a.attnum)) END`;

/** Not those that Postgres keeps for each partition of the table pointed to. */
const FOREIGN_KEYS = `SELECT c.conrelid::text, ${namesOf('c.conrelid', 'c.conkey')}, n.nspname, r.relname,
    ${namesOf('c.confrelid', 'c.confkey')}, c.confdeltype::text, c.confupdtype::text, ${SET_ON_DELETE}
  FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
    LEFT JOIN pg_constraint p ON p.oid = c.conparentid
  WHERE c.contype = 'f' AND (p.oid IS NULL OR p.conrelid <> c.conrelid)`;

/**
 * All of a name in a schema together: whether each is immutable, and a digest of what they are. Types are named as the search
 * path has them, hence with their schemas.
 */
const FUNCTIONS = `SELECT n.nspname, p.proname, bool_and(p.provolatile = 'i' AND p.prokind = 'f'),
    md5(string_agg(concat_ws('|', pg_get_function_identity_arguments(p.oid), format_type(p.prorettype, NULL), p.prosrc, p.probin,
      p.provolatile, l.lanname), ',' ORDER BY pg_get_function_identity_arguments(p.oid)::text COLLATE "C"))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE ${USER_SCHEMAS} GROUP BY n.nspname, p.proname ORDER BY n.nspname::text COLLATE "C", p.proname::text COLLATE "C"`;

const ROLE_SETTINGS = `SELECT coalesce(r.rolname::text, ''), s.setdatabase <> 0, substr(c.setting, ${'search_path='.length + 1})
  FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c(setting) LEFT JOIN pg_roles r ON r.oid = s.setrole
  WHERE starts_with(c.setting, 'search_path=') AND (s.setrole = 0 OR r.oid IS NOT NULL)
    AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))`;

/** Questions in the order of their answers in `CATALOG_SQL`; statements without rows stand between. */
export const CATALOG_ANSWERS = [
  'begin',
  'searchPath',
  'set',
  'setTimeout',
  'facts',
  'schemas',
  'types',
  'relations',
  'columns',
  'parents',
  'uniques',
  'foreignKeys',
  'functions',
  'roleSettings',
  'commit',
] as const;

export type CatalogAnswer = (typeof CATALOG_ANSWERS)[number];

const TEXTS: Record<CatalogAnswer, string> = {
  begin: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
  searchPath: SEARCH_PATH,
  set: 'SET LOCAL search_path = pg_catalog, pg_temp',
  // Whatever the role has: ours is the client's.
  setTimeout: 'SET LOCAL statement_timeout = 0',
  facts: FACTS,
  schemas: SCHEMAS,
  types: TYPES,
  relations: RELATIONS,
  columns: COLUMNS,
  parents: PARENTS,
  uniques: UNIQUES,
  foreignKeys: FOREIGN_KEYS,
  functions: FUNCTIONS,
  roleSettings: ROLE_SETTINGS,
  commit: 'COMMIT',
};

export const CATALOG_SQL: string = CATALOG_ANSWERS.map((answer) => TEXTS[answer]).join(';\n');

const OWN = (alias: string): string =>
  `${alias}.oid >= ${FIRST_OID} AND ${alias}.relkind IN (${KINDS}) AND ${alias}.relpersistence <> 't'`;

/** Rows of user relations, those of temporary tables left out: these come and go all the time. */
const rowsOf = (catalog: string, relation: string): string =>
  `${catalog} x JOIN pg_class c ON c.oid = x.${relation} WHERE ${OWN('c')}`;

const MARKED: readonly string[] = [
  `pg_class x WHERE ${OWN('x')}`,
  rowsOf('pg_attribute', 'attrelid'),
  rowsOf('pg_attrdef', 'adrelid'),
  rowsOf('pg_index', 'indrelid'),
  rowsOf('pg_constraint', 'conrelid'),
  rowsOf('pg_inherits', 'inhrelid'),
  rowsOf('pg_trigger', 'tgrelid'),
  rowsOf('pg_rewrite', 'ev_class'),
  `pg_type x WHERE x.oid >= ${FIRST_OID} AND x.typnamespace NOT IN (SELECT n.oid FROM pg_namespace n
      WHERE starts_with(n.nspname::text, 'pg_temp_'))`,
  'pg_enum x',
  `pg_proc x WHERE x.oid >= ${FIRST_OID}`,
  'pg_collation x',
  'pg_namespace x',
];

/** A change gives a row the number of a later transaction, or adds or removes one: then the sum or the count is another. */
const MARKS = MARKED.map((rows) => `(SELECT concat(count(*), ':', sum(x.xmin::text::bigint)) FROM ${rows})`);

/** As long as the answer is the same, so are the answers to CATALOG_SQL. Costs a hundredth of those. */
export const MARK_SQL: string = [
  TEXTS.begin,
  SEARCH_PATH,
  TEXTS.set,
  TEXTS.setTimeout,
  FACTS,
  ROLE_SETTINGS,
  `SELECT ${MARKS.join(',\n    ')}`,
  TEXTS.commit,
].join(';\n');
