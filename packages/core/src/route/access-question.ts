import { BUILTIN_WRITES } from '../sql/builtin-functions.js';
import { HOST_SETTINGS } from '../sql/function-access.js';
import { HOST_RELATION_PREFIXES, HOST_RELATIONS } from '../sql/host-relations.js';
import { quoteLiteral } from '../sql/quote-literal.js';

const FIRST_USER_OID = 16384;
/** Operators that ORDER BY, GROUP BY, DISTINCT, IN and joins use without spelling them out. */
const IMPLIED_OPERATORS = "('=', '<', '>', '<=', '>=', '<>')";

function nameArray(names: Iterable<string>): string {
  return quoteLiteral(`{${[...names].join(',')}}`);
}

/** In a view, a policy or a default: asked for what differs from host to host, or for what is computed. */
const HOST_SETTING = quoteLiteral(
  String.raw`current_setting\('(${[...HOST_SETTINGS].join('|')})'|current_setting\([^']`,
);

const HAS_HOST_PREFIX = HOST_RELATION_PREFIXES.map((prefix) => `starts_with(relname, '${prefix}')`).join(
  ' OR ',
);
/** VOLATILE only because two calls differ; in C, so that nobody passes off his own for them. */
const HARMLESS_OF_EXTENSIONS =
  "('uuid_generate_v1', 'uuid_generate_v1mc', 'uuid_generate_v4', 'gen_random_bytes', 'gen_random_uuid', 'gen_salt')";

const SERIALIZABLE = quoteLiteral('transactions are serializable by default');
const NO_WORD = quoteLiteral(String.raw`\W+`);

/**
 * What in a database makes a statement a write that looks like a read, as rows of three texts: kind, name, schema or
 * reason. Runs in the transaction of the question before it, under its search path.
 *
 * `bad` are functions that must run on the primary: VOLATILE ones but those known to be harmless, by themselves, by an argument's
 * default, as the machinery of an aggregate, or by what stands in the body of a STABLE one (a word there is taken for what it
 * names: too much is found, and goes to the primary). Dependencies on built-in functions and relations are not recorded
 * in pg_depend (they are pinned), so stored trees are searched for their numbers. That of a body is a column of 14 and later.
 *
 * Types are named by the rows of the question's snapshot: format_type() looks at the catalog as it is by then, and of one that is
 * dropped meanwhile says '???', which is another reason and would be told as one.
 */
export const ACCESS_SQL = `;
WITH RECURSIVE builtin AS MATERIALIZED (
  SELECT oid, proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
    AND proname = ANY (${nameArray(BUILTIN_WRITES)}::name[]) AND proname <> 'current_setting'
), host_view AS MATERIALIZED (
  SELECT oid, relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace
    AND relkind = 'v' AND (relname = ANY (${nameArray(HOST_RELATIONS)}::name[]) OR ${HAS_HOST_PREFIX})
), trees AS (
  SELECT ':(func|aggfn|winfn)(id|oid) (' || (SELECT string_agg(oid::text, '|') FROM builtin) || ') |:relid (' ||
    (SELECT string_agg(oid::text, '|') FROM host_view) || ') |{ROWMARKCLAUSE ' AS pattern,
    ':funcid (' || (SELECT string_agg(oid::text, '|') FROM pg_proc WHERE proname = 'current_setting'
      AND pronamespace = 'pg_catalog'::regnamespace) || ') ' AS asks_setting
), word AS MATERIALIZED (
  SELECT DISTINCT p.oid, w.name FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang,
    unnest(string_to_array(regexp_replace(lower(p.prosrc), ${NO_WORD}, ' ', 'g'), ' ')) AS w(name)
  WHERE p.oid >= ${FIRST_USER_OID} AND p.provolatile <> 'v' AND p.prokind <> 'a' AND l.lanname NOT IN ('internal', 'c') AND w.name <> ''
), own AS MATERIALIZED (
  SELECT p.oid, p.proname, p.prokind, p.pronargs - p.pronargdefaults AS least, p.pronargs,
    p.proargtypes[0] AS first, p.proargdefaults IS NOT NULL OR p.prosrc = '' AS has_tree, (p.provolatile = 'v' AND p.prokind <> 'a' AND NOT (
      p.proname IN ${HARMLESS_OF_EXTENSIONS} AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')))
      OR coalesce(p.proargdefaults::text ~ (SELECT pattern FROM trees), false)
      OR CASE WHEN p.prosrc = '' THEN coalesce(to_jsonb(p) ->> 'prosqlbody' ~ (SELECT pattern FROM trees), false) ELSE false END
      OR p.oid IN (SELECT w.oid FROM word w JOIN builtin b ON b.proname = w.name UNION ALL
        SELECT w.oid FROM word w JOIN host_view h ON h.relname = w.name) AS is_bad
  FROM pg_proc p
  WHERE (p.pronamespace <> 'pg_catalog'::regnamespace OR p.oid >= ${FIRST_USER_OID}) AND p.prokind <> 'p'
    AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
), rules AS MATERIALIZED (
  SELECT 'pg_rewrite'::regclass AS class, r.oid, r.ev_class AS holder, r.ev_action::text AS tree
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  WHERE r.ev_type = '1' AND c.relkind = 'v' AND c.oid >= ${FIRST_USER_OID}
  UNION ALL
  SELECT 'pg_policy'::regclass, p.oid, p.polrelid, p.polqual::text
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid AND c.relrowsecurity
  WHERE p.polqual IS NOT NULL AND p.polcmd IN ('r', '*')
), edges(class, oid, of_class, of_oid) AS MATERIALIZED (
  SELECT 'pg_class'::regclass, r.holder, d.refclassid, d.refobjid
  FROM rules r JOIN pg_depend d ON d.classid = r.class AND d.objid = r.oid WHERE d.refobjid <> r.holder
  UNION SELECT 'pg_class'::regclass, inhparent, 'pg_class'::regclass, inhrelid FROM pg_inherits
  UNION SELECT 'pg_operator'::regclass, o.oid, 'pg_proc'::regclass, o.oprcode FROM pg_operator o JOIN own f ON f.oid = o.oprcode
  UNION SELECT 'pg_proc'::regclass, a.aggfnoid, 'pg_proc'::regclass, f.oid FROM pg_aggregate a, unnest(ARRAY[a.aggtransfn,
    a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) AS f(oid)
  UNION SELECT 'pg_proc'::regclass, o.oid, d.refclassid, d.refobjid
  FROM own o JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = o.oid WHERE o.has_tree
  UNION SELECT 'pg_proc'::regclass, w.oid, 'pg_proc'::regclass, o.oid FROM word w JOIN own o ON lower(o.proname) = w.name
  UNION SELECT 'pg_proc'::regclass, w.oid, 'pg_class'::regclass, c.oid
  FROM word w JOIN pg_class c ON lower(c.relname) = w.name WHERE c.oid >= ${FIRST_USER_OID}
), reached(class, oid) AS (
  SELECT 'pg_proc'::regclass, oid FROM own WHERE is_bad
  UNION ALL
  SELECT 'pg_class'::regclass, oid FROM pg_class
  WHERE relkind IN ('f', 'S') OR (relpersistence = 'u' AND relkind IN ('r', 'p', 'm'))
  UNION ALL
  SELECT 'pg_class'::regclass, holder FROM rules, trees WHERE tree ~ pattern
  UNION ALL
  SELECT 'pg_class'::regclass, holder FROM rules, trees WHERE tree ~ asks_setting AND CASE WHEN class = 'pg_rewrite'::regclass
    THEN pg_get_viewdef(holder) ELSE (SELECT pg_get_expr(polqual, polrelid) FROM pg_policy p WHERE p.oid = rules.oid)
  END ~* ${HOST_SETTING}
  UNION
  SELECT e.class, e.oid FROM reached r JOIN edges e ON e.of_class = r.class AND e.of_oid = r.oid
), bad AS MATERIALIZED (
  SELECT oid FROM reached WHERE class = 'pg_proc'::regclass
), operators AS MATERIALIZED (
  SELECT o.oid, o.oprname FROM pg_operator o JOIN bad b ON b.oid = o.oprcode
), types(oid, name) AS (
  SELECT t.oid, CASE WHEN t.oid < ${FIRST_USER_OID} THEN format_type(t.oid, NULL)
    ELSE quote_ident(n.nspname) || '.' || quote_ident(t.typname) END
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
)
SELECT 'relation', c.relname::text, n.nspname::text
FROM reached m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE m.class = 'pg_class'::regclass AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
UNION ALL
SELECT CASE WHEN bool_or(b.oid IS NOT NULL) THEN 'bad' ELSE 'good' END, o.proname::text, ''
FROM own o LEFT JOIN bad b ON b.oid = o.oid GROUP BY o.proname
UNION ALL
SELECT DISTINCT 'attribute', o.proname::text, '' FROM own o JOIN bad b ON b.oid = o.oid JOIN pg_type t ON t.oid = o.first
WHERE o.pronargs > 0 AND o.least <= 1 AND t.typtype IN ('c', 'p', 'd')
UNION ALL
SELECT DISTINCT CASE WHEN oprname IN ${IMPLIED_OPERATORS} THEN 'hidden' ELSE 'operator' END, oprname::text,
  'the operator ' || oprname || ' may be VOLATILE' FROM operators
UNION ALL
SELECT 'hidden', '', 'the cast from ' || s.name || ' to ' || t.name || ' is VOLATILE'
FROM pg_cast c JOIN bad b ON b.oid = c.castfunc JOIN types s ON s.oid = castsource JOIN types t ON t.oid = casttarget
UNION ALL
SELECT 'hidden', '', 'the check of the domain ' || t.name || ' is VOLATILE'
FROM trees, pg_constraint k JOIN types t ON t.oid = k.contypid WHERE (k.conbin::text ~ pattern OR EXISTS (SELECT FROM pg_depend d JOIN bad b
  ON b.oid = d.refobjid WHERE d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass))
UNION ALL
SELECT 'hidden', '', 'a function of the operator family ' || f.opfname || ' is VOLATILE'
FROM pg_amproc m JOIN bad b ON b.oid = m.amproc::oid JOIN pg_opfamily f ON f.oid = m.amprocfamily
UNION ALL
SELECT CASE WHEN setrole = 0 THEN 'hidden' ELSE 'serializable' END, coalesce(r.rolname::text, ''), ${SERIALIZABLE}
FROM pg_db_role_setting LEFT JOIN pg_roles r ON r.oid = setrole WHERE 'default_transaction_isolation=serializable' = ANY (setconfig)
  AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
UNION ALL
SELECT 'hidden', '', ${SERIALIZABLE} FROM pg_settings WHERE name = 'default_transaction_isolation' AND setting = 'serializable'
  AND source NOT IN ('user', 'database user', 'client', 'session')
UNION ALL SELECT 'accessEnd', '', ''`;
