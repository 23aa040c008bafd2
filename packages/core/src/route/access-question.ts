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

/**
 * What in a database makes a statement a write that looks like a read, as rows of three texts: kind, name, schema or
 * reason. Runs in the transaction of the question before it, under its search path.
 *
 * `bad` are functions that must run on the primary: VOLATILE ones but those known to be harmless, by themselves, by an argument's
 * default, or as the machinery of an aggregate. Dependencies on built-in functions and relations are not recorded
 * in pg_depend (they are pinned), so stored trees are searched for their numbers.
 */
export const ACCESS_SQL = `;
WITH RECURSIVE builtin AS MATERIALIZED (
  SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
    AND proname = ANY (${nameArray(BUILTIN_WRITES)}::name[]) AND proname <> 'current_setting'
), trees AS (
  SELECT ':(func|aggfn|winfn)(id|oid) (' || (SELECT string_agg(oid::text, '|') FROM builtin) || ') |:relid (' ||
    (SELECT string_agg(oid::text, '|') FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace
      AND relkind = 'v' AND (relname = ANY (${nameArray(HOST_RELATIONS)}::name[]) OR ${HAS_HOST_PREFIX})) || ') ' AS pattern,
    ':funcid (' || (SELECT string_agg(oid::text, '|') FROM pg_proc WHERE proname = 'current_setting'
      AND pronamespace = 'pg_catalog'::regnamespace) || ') ' AS asks_setting
), own AS MATERIALIZED (
  SELECT p.oid, p.proname, p.prokind, p.pronargs - p.pronargdefaults AS least, p.pronargs,
    p.proargtypes[0] AS first, (p.provolatile = 'v' AND p.prokind <> 'a' AND NOT (
      p.proname IN ${HARMLESS_OF_EXTENSIONS} AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')))
      OR coalesce(p.proargdefaults::text ~ (SELECT pattern FROM trees), false) AS is_bad
  FROM pg_proc p
  WHERE (p.pronamespace <> 'pg_catalog'::regnamespace OR p.oid >= ${FIRST_USER_OID}) AND p.prokind <> 'p'
    AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
), bad(oid) AS (
  SELECT oid FROM own WHERE is_bad
  UNION
  SELECT CASE WHEN a.aggfnoid IS NULL THEN u.objid ELSE a.aggfnoid::oid END
  FROM bad b
  LEFT JOIN pg_aggregate a ON b.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
  LEFT JOIN pg_depend u ON u.refclassid = 'pg_proc'::regclass AND u.refobjid = b.oid AND u.classid = 'pg_proc'::regclass
    AND EXISTS (SELECT FROM pg_proc p WHERE p.oid = u.objid AND p.proargdefaults IS NOT NULL)
  WHERE a.aggfnoid IS NOT NULL OR u.objid IS NOT NULL
), operators AS MATERIALIZED (
  SELECT o.oid, o.oprname FROM pg_operator o JOIN bad b ON b.oid = o.oprcode
), rules AS MATERIALIZED (
  SELECT 'pg_rewrite'::regclass AS class, r.oid, r.ev_class AS holder, r.ev_action::text AS tree
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  WHERE r.ev_type = '1' AND c.relkind = 'v' AND c.oid >= ${FIRST_USER_OID}
  UNION ALL
  SELECT 'pg_policy'::regclass, p.oid, p.polrelid, p.polqual::text
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid AND c.relrowsecurity
  WHERE p.polqual IS NOT NULL AND p.polcmd IN ('r', '*')
), used AS MATERIALIZED (
  SELECT r.holder, d.refclassid AS class, d.refobjid AS oid
  FROM rules r JOIN pg_depend d ON d.classid = r.class AND d.objid = r.oid
), marked(oid) AS (
  SELECT oid FROM pg_class
  WHERE relkind IN ('f', 'S') OR (relpersistence = 'u' AND relkind IN ('r', 'p', 'm'))
  UNION
  SELECT holder FROM rules, trees WHERE tree ~ pattern
  UNION
  SELECT holder FROM rules, trees WHERE tree ~ asks_setting AND CASE WHEN class = 'pg_rewrite'::regclass
    THEN pg_get_viewdef(holder) ELSE (SELECT pg_get_expr(polqual, polrelid) FROM pg_policy p WHERE p.oid = rules.oid)
  END ~* ${HOST_SETTING}
  UNION
  SELECT u.holder FROM used u JOIN bad b ON b.oid = u.oid WHERE u.class = 'pg_proc'::regclass
  UNION
  SELECT u.holder FROM used u JOIN operators o ON o.oid = u.oid WHERE u.class = 'pg_operator'::regclass
), reached(oid) AS (
  SELECT oid FROM marked
  UNION
  SELECT e.holder FROM reached m JOIN (
    SELECT holder, oid FROM used WHERE class = 'pg_class'::regclass AND holder <> oid
    UNION ALL SELECT inhparent, inhrelid FROM pg_inherits
  ) e ON e.oid = m.oid
)
SELECT 'relation', c.relname::text, n.nspname::text
FROM reached m JOIN pg_class c ON c.oid = m.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
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
SELECT 'hidden', '', 'the cast from ' || format_type(castsource, NULL) || ' to ' || format_type(casttarget, NULL) || ' is VOLATILE'
FROM pg_cast c JOIN bad b ON b.oid = c.castfunc
UNION ALL
SELECT 'hidden', '', 'the check of the domain ' || format_type(k.contypid, NULL) || ' is VOLATILE'
FROM pg_constraint k, trees WHERE k.contypid <> 0 AND (k.conbin::text ~ pattern OR EXISTS (SELECT FROM pg_depend d JOIN bad b
  ON b.oid = d.refobjid WHERE d.classid = 'pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_proc'::regclass))
UNION ALL
SELECT 'hidden', '', 'a function of the operator family ' || f.opfname || ' is VOLATILE'
FROM pg_amproc m JOIN bad b ON b.oid = m.amproc::oid JOIN pg_opfamily f ON f.oid = m.amprocfamily
UNION ALL SELECT 'accessEnd', '', ''`;
