import {
  ACCESS_SQL,
  AccessKnowledge,
  CATALOG_UNREAD,
  HARMLESS_FUNCTIONS,
  type PoolSnapshot,
  quoteLiteral,
  type RouteFacts,
  type SqlParser,
  type TenantFacts,
  TenantKnowledge,
  tenantQuestion,
} from '@pgdog-cluster/core';
import type { OwnExchange } from '../backend/own-exchange.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { definitionsChanged } from '../plan/definitions.js';
import { rowTexts } from '../wire/row-texts.js';
import type { WorkerContext } from '../worker-context.js';
import { PRINT_SQL, printOf } from './catalog-print.js';

/** How long an answer is believed: functions may be changed over connections that are not ours. */
const BELIEVED_MS = 30_000;
/** A question that failed or was lost is asked again. */
const RETRY_MS = 1000;
/** Names remembered; a database with more is believed nothing. */
const NAMES_MAX = 50_000;

/** As a literal that means the same under every standard_conforming_strings: a role may have it off by default. */
const pattern = quoteLiteral;

/** Settings by which Postgres reads the strings of a text: also for one transaction it is not for others. */
const READS =
  'datestyle|time ?zone|intervalstyle|standard_conforming_strings|timezone_abbreviations|lc_monetary';
/** Words of PL/pgSQL and SQL that change a session beyond its transaction. Local set_config() calls are taken out. */
const LOCAL_CALL = pattern(
  String.raw`set_config\s*\((?!\s*'(${READS})')[^()]*,\s*(true|'t(rue)?'|'on')\s*\)`,
);
const SESSION_WORDS = pattern(
  [
    String.raw`\m(set_config|setseed|pg_(try_)?advisory_lock(_shared)?|pg_settings|dblink_connect(_u)?)\M`,
    String.raw`\mset\s+local\s+(${READS})\M`,
    String.raw`\m(listen|temp|temporary|prepare|deallocate|discard)\M|\mpg_temp|\mload\s+'|\mwith\s+hold\M`,
    // A SET that starts a statement, not that of an UPDATE; behind a quote it may be run by EXECUTE.
    String.raw`(^|;|'|\$|\*/|--[^\n]*\n|\m(then|else|loop|begin)\M)\s*(set\s+(?!local\M|constraints\M)|reset\s)`,
  ].join('|'),
);
const RUNS_TEXT = pattern(String.raw`\mexecute\M`);
const ASKS_SEQUENCES = pattern(String.raw`\m(currval|lastval)\M`);
/** 'app.user' as an argument, or SET app.user. */
const NAME = '[a-z_][a-z0-9_$]*';
const CUSTOM_NAMES = pattern(
  String.raw`'(${NAME}(\.${NAME})+)'|\mset\s+(?:session\s+)?(${NAME}(\.${NAME})+)`,
);

/** The built-in functions among them, as they stand in the stored trees of views, defaults and policies. */
const STORED_CALLS =
  "(SELECT ':funcid (' || string_agg(oid::text, '|') || ') ' FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace " +
  "AND proname IN ('set_config', 'setseed', 'pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_try_advisory_lock', " +
  "'pg_try_advisory_lock_shared'))";
const FIRST_USER_OID = 16384;

/**
 * Rows of two texts. `code` is what users have written in a language we can read something out of, `doing` what may
 * change a session, by itself or by what it mentions, if only by running a text made elsewhere (then it is not certain).
 * Aggregates and functions whose arguments default to calls depend on others without a mention.
 * The search path is its own: a role's default, which any user may change for itself, or a temporary table named
 * pg_proc would have it read other catalogs, and believe of all clients' functions what one client likes.
 */
const CODE_SQL = `SET LOCAL search_path = pg_catalog, pg_temp;
WITH RECURSIVE code AS MATERIALIZED (
  SELECT p.oid, p.proname, l.lanname,
    CASE WHEN p.prosrc = '' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END AS source
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  WHERE p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND p.prokind <> 'a' AND l.lanname NOT IN ('internal', 'c')
), own AS (
  SELECT oid, proname, source, lanname NOT IN ('sql', 'plpgsql')
    OR regexp_replace(source, ${LOCAL_CALL}, '', 'gi') ~* ${SESSION_WORDS} AS is_certain
  FROM code
), doing AS (
  SELECT oid, proname, is_certain FROM own WHERE is_certain OR source ~* ${RUNS_TEXT}
  UNION
  SELECT c.oid, c.proname, d.is_certain FROM doing d JOIN code c ON strpos(lower(c.source), lower(d.proname)) > 0
)
SELECT 'hidden', (
  EXISTS (SELECT FROM pg_trigger t JOIN doing d ON d.oid = t.tgfoid AND d.is_certain)
  OR EXISTS (SELECT FROM pg_event_trigger t JOIN doing d ON d.oid = t.evtfoid AND d.is_certain)
  OR EXISTS (SELECT FROM pg_depend u JOIN doing d ON d.oid = u.refobjid AND d.is_certain
    WHERE u.refclassid = 'pg_proc'::regclass AND u.classid <> 'pg_proc'::regclass)
  OR EXISTS (SELECT FROM pg_rewrite WHERE oid >= ${FIRST_USER_OID} AND ev_action::text ~ ${STORED_CALLS})
  OR EXISTS (SELECT FROM pg_attrdef WHERE adbin::text ~ ${STORED_CALLS})
  OR EXISTS (SELECT FROM pg_constraint WHERE conbin::text ~ ${STORED_CALLS})
  OR EXISTS (SELECT FROM pg_policy WHERE concat(polqual, polwithcheck) ~ ${STORED_CALLS})
)::text
UNION ALL SELECT 'sequences', (
  EXISTS (SELECT FROM code WHERE source ~* ${ASKS_SEQUENCES})
  OR EXISTS (SELECT FROM pg_attrdef WHERE adbin::text ~ ':funcid (1575|2559) '))::text
UNION ALL SELECT CASE WHEN is_certain THEN 'doing' ELSE 'running' END, proname FROM doing
UNION ALL SELECT 'running', p.proname FROM doing d
  JOIN pg_depend u ON u.refobjid = d.oid AND u.refclassid = 'pg_proc'::regclass AND u.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = u.objid
UNION ALL SELECT DISTINCT 'setting', lower(coalesce(m[1], m[3])) FROM code, regexp_matches(source, ${CUSTOM_NAMES}, 'gi') AS m
UNION ALL SELECT DISTINCT 'quiet', proname FROM pg_proc
  WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
UNION ALL SELECT 'end', ''`;

/**
 * What users' code in a database may do to a session, or write, without a statement that says so: asked of the
 * server's catalogs when a connection is made, and again from time to time. One for all pools of a database. The cheap
 * rule for statements that call a function (foreseen-effects.ts) rests on it, and so does what replicas are given.
 */
export class DatabaseCode {
  /** The server connection that is asked just now, or was last. */
  askedOn: ServerConnection | null = null;
  private askedMs = -1;
  /** When somebody changed the catalog through us last. */
  private changedMs = Number.NEGATIVE_INFINITY;
  /** It has not been asked since. */
  private isForgotten = false;
  /** Counts changes: an answer to a question from before one tells of a catalog that is no more. */
  private changes = 0;
  private isComplete = false;
  private quiet: ReadonlySet<string> = new Set();
  private access: AccessKnowledge | null = null;
  /** Believed until another answer comes: what is not in it counts as a tenant's. */
  private tenants: TenantKnowledge | null = null;
  private refusals = new WeakMap<TenantFacts, string | null>();
  /** A question is under way, or was lost. */
  private isAsking = false;
  /** The last question asked for it. */
  private asksAccess = false;
  /** Of the catalogs when they were read last, by shard. */
  private readonly prints = new Map<number, string>();
  /** Of plans, for as long as `access` holds. */
  private verdicts = new WeakMap<RouteFacts, string | null>();
  /** Told last of why no statement is for replicas. */
  private toldNothing: string | null = null;
  /** It is so from now on, for this reason, or not any more (null). */
  onNothingForReplicas: (why: string | null) => void = () => undefined;
  /** Somebody has changed definitions past this worker. */
  onChanged: () => void = () => undefined;
  /** The next question asks for what mayWrite() needs, too: a database with one host does without. */
  wantsAccess = false;
  /** [multi_tenant] of this database; null: nothing is checked. */
  tenantColumn: string | null = null;
  /** Triggers, views, defaults, policies, operators or casts run such code: any statement may. */
  isHidden = false;
  /** Some code asks for currval() or lastval(). */
  readsSequences = false;
  /** Custom settings that some function mentions; pg_settings does not list those. */
  settingNames: readonly string[] = [];

  /**
   * @param isPrimary whether the connection at hand leads to the primary: others may not have replayed yet what was
   * just changed, and are asked only when the primary has not been for long
   */
  isDue(nowMs: number, isPrimary: boolean): boolean {
    // Whoever got a connection meanwhile would be refused tables that are nobody's.
    if (this.isTenantUnread) return this.isAsking || nowMs - this.askedMs > RETRY_MS;
    if (!isPrimary && nowMs - this.changedMs < BELIEVED_MS) return false;
    if (this.isForgotten) return true;
    if (this.askedMs < 0 || (this.wantsAccess && !this.asksAccess)) return true;
    if (this.wantsAccess && this.access === null) return nowMs - this.askedMs > RETRY_MS;
    return nowMs - this.askedMs > (isPrimary ? BELIEVED_MS : 2 * BELIEVED_MS);
  }

  private get isTenantUnread(): boolean {
    return this.tenantColumn !== null && this.tenants?.isComplete !== true;
  }

  /** Somebody has just changed it. */
  forget(nowMs: number): void {
    this.changes++;
    this.changedMs = nowMs;
    this.isForgotten = true;
    this.isComplete = false;
    this.access = null;
    this.prints.clear();
  }

  /**
   * Why a statement must run on the primary, as far as its text and the catalog tell; null: it may run on a replica. Of
   * a neutral one: what its arguments call. What is not known yet may write.
   */
  mayWrite(route: RouteFacts): string | null {
    if (route.access === 'write') return route.reason;
    this.wantsAccess = true;
    if (this.access === null) return CATALOG_UNREAD;
    let verdict = this.verdicts.get(route);
    if (verdict === undefined) {
      verdict = this.access.whyWrite(route);
      this.verdicts.set(route, verdict);
    }
    return verdict;
  }

  /** Why nothing that a role of the server asks may run on a replica. */
  whyPrimaryOnly(role: string): string | null {
    return this.access?.whyPrimaryOnly(role) ?? null;
  }

  /** Why a statement may reach rows of several tenants; null: it does not, as far as its text and the catalog tell. */
  tenantRefusal(facts: TenantFacts, parser: SqlParser): string | null {
    if (this.tenantColumn === null) return null;
    this.tenants ??= new TenantKnowledge(this.tenantColumn);
    let refusal = this.refusals.get(facts);
    if (refusal === undefined) {
      refusal = this.tenants.refusal(facts, parser);
      this.refusals.set(facts, refusal);
    }
    return refusal;
  }

  /** Whether functions of these names leave the session alone, as far as their sources tell. */
  areQuiet(names: readonly string[]): boolean {
    return this.isComplete && names.every((name) => this.quiet.has(name));
  }

  /** For a server connection of a shard with default settings. */
  question(nowMs: number, shard = 0): OwnExchange {
    this.askedMs = nowMs;
    this.isAsking = true;
    this.isForgotten = false;
    const print = this.prints.get(shard);
    const isKnown = this.isComplete && (!this.wantsAccess || this.access !== null);
    // What a tenant's column is in has no print.
    const mayCheck = print !== undefined && isKnown && this.tenantColumn === null;
    return mayCheck ? this.check(shard, print) : this.fullQuestion(shard);
  }

  /** Whether what is known is still so. It is believed meanwhile, and if not, asked for at once. */
  private check(shard: number, known: string): OwnExchange {
    const { changes } = this;
    let print: string | null = null;
    return {
      sql: PRINT_SQL,
      onRow: (bytes, start, end) => {
        print = printOf(rowTexts(bytes, start, end));
      },
      onError() {},
      onDone: () => {
        this.isAsking = false;
        if (changes !== this.changes || print === known) return;
        this.prints.delete(shard);
        this.askedMs = -1;
        this.onChanged();
      },
    };
  }

  private fullQuestion(shard: number): OwnExchange {
    // Until it is answered, and where it is not: any statement may do anything.
    if (!this.isComplete) this.isHidden = true;
    const answer = new CodeAnswer();
    const access = this.wantsAccess ? new AccessKnowledge() : null;
    this.asksAccess = access !== null;
    const { changes, tenantColumn } = this;
    const tenants = tenantColumn === null ? null : new TenantKnowledge(tenantColumn);
    let hasFailed = false;
    const former = this.prints.get(shard);
    let print: string | null = null;
    return {
      // The print comes first: what changes in between is seen the next time.
      sql:
        `${PRINT_SQL};\n${CODE_SQL}` +
        (access === null ? '' : ACCESS_SQL) +
        (tenantColumn === null ? '' : tenantQuestion(tenantColumn)),
      onRow: (bytes, start, end) => {
        if (print === null) print = printOf(rowTexts(bytes, start, end));
        else if (!answer.hasEnded) answer.take(bytes, start, end);
        else {
          const row = rowTexts(bytes, start, end);
          access?.take(row);
          tenants?.take(row);
        }
      },
      onError: () => {
        hasFailed = true;
      },
      onDone: () => {
        this.isAsking = false;
        if (changes !== this.changes) return;
        if (former !== undefined && print !== null && print !== former) this.onChanged();
        if (answer.isComplete) this.believe(answer);
        else if (!hasFailed) this.isHidden = false;
        if (access !== null) this.believeAccess(access);
        if (tenants?.isComplete === true) this.believeTenants(tenants);
        const isWhole = this.isComplete && (access === null || this.access === access);
        if (answer.isComplete && isWhole && print !== null) this.prints.set(shard, print);
      },
    };
  }

  private believeAccess(access: AccessKnowledge): void {
    this.access = access.isComplete ? access : null;
    this.verdicts = new WeakMap();
    const { whyNothing } = access;
    if (!access.hasEnded || whyNothing === this.toldNothing) return;
    this.toldNothing = whyNothing;
    this.onNothingForReplicas(whyNothing);
  }

  private believeTenants(tenants: TenantKnowledge): void {
    this.tenants = tenants;
    this.refusals = new WeakMap();
  }

  private believe(answer: CodeAnswer): void {
    const { quiet, doing } = answer;
    for (const name of [...doing, ...answer.running]) quiet.delete(name);
    this.quiet = quiet;
    this.settingNames = [...answer.settings];
    // A user's function by the name of a built-in one that is taken for harmless.
    this.isHidden = answer.isHidden || [...doing].some((name) => HARMLESS_FUNCTIONS.has(name));
    this.readsSequences = answer.readsSequences;
    this.isComplete = true;
  }
}

const codes = new WeakMap<WorkerContext, Map<string, DatabaseCode>>();

/** All pools of one database share what its catalog says, whoever asks for it and whichever host is asked. */
export function codeOf(context: WorkerContext, snapshot: PoolSnapshot): DatabaseCode {
  const { database, serverDatabase, user } = snapshot;
  let known = codes.get(context);
  if (known === undefined) {
    known = new Map();
    codes.set(context, known);
  }
  const key = `${database}\0${serverDatabase}`;
  let code = known.get(key);
  if (code === undefined) {
    code = new DatabaseCode();
    code.onNothingForReplicas = (why) => tellOfReplicas(context, database, why);
    code.onChanged = () => definitionsChanged({ context, pool: { snapshot } });
    known.set(key, code);
  }
  if (context.directory.cluster(database, user)?.isRouted === true) code.wantsAccess = true;
  code.tenantColumn = context.directory.database(database)?.tenantColumn ?? null;
  return code;
}

/** Nobody would find out by himself why replicas have nothing to do: nothing fails. */
function tellOfReplicas(context: WorkerContext, database: string, why: string | null): void {
  const fields = { database, worker: context.worker, ...(why === null ? {} : { reason: why }) };
  if (why === null)
    context.log('info', 'reads_not_split', `reads of ${database} go to replicas again`, fields);
  else context.log('warn', 'reads_not_split', `no statement of ${database} is for replicas: ${why}`, fields);
}

/** A pool has gone: databases come and go, and what was read of one goes with its last pool. */
export function forgetCode(context: WorkerContext, code: DatabaseCode): void {
  for (const pool of context.pools.values()) if (pool.code === code) return;
  for (const [key, known] of codes.get(context) ?? []) {
    if (known !== code) continue;
    codes.get(context)?.delete(key);
    return;
  }
}

class CodeAnswer {
  readonly doing = new Set<string>();
  /** Not certainly. */
  readonly running = new Set<string>();
  readonly quiet = new Set<string>();
  readonly settings = new Set<string>();
  isHidden = false;
  readsSequences = false;
  isComplete = false;
  hasEnded = false;
  private count = 0;

  take(bytes: Uint8Array, start: number, end: number): void {
    const [kind = '', name = ''] = rowTexts(bytes, start, end);
    if (kind === 'hidden') this.isHidden = name === 'true';
    else if (kind === 'sequences') this.readsSequences = name === 'true';
    else if (kind === 'end') {
      this.hasEnded = true;
      this.isComplete = this.count <= NAMES_MAX;
    } else if (++this.count <= NAMES_MAX) {
      if (kind === 'doing') this.doing.add(name);
      else if (kind === 'running') this.running.add(name);
      else if (kind === 'quiet') this.quiet.add(name);
      else if (kind === 'setting') this.settings.add(name);
    }
  }
}
