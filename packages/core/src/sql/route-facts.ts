/** What the routing of a statement needs to know of it: see docs/internals/plan-cache.md. */

/** read: may run on a replica. write: must run on the primary. neutral: what the session does decides. */
export type Access = 'read' | 'write' | 'neutral';

export interface RelationName {
  /** null: the search path tells. */
  readonly schema: string | null;
  readonly name: string;
}

/** What comments at the start or the end of a statement ask for. */
export interface Directive {
  readonly role: 'primary' | 'replica' | null;
  readonly shard: number | null;
  readonly shardingKey: string | null;
  /** What is wrong with them: the statement is refused with it. */
  readonly error: string | null;
}

/** What a statement says of the transaction it begins, or of the ones to come. */
export interface BeginFacts {
  /** null: not said. */
  readonly isReadOnly: boolean | null;
  readonly isSerializable: boolean;
  /** It says so of the transaction that is open: SET TRANSACTION. */
  readonly isOfThisOne?: true;
}

/**
 * Strings are folded as Postgres folds them, each once. A read is one only as far as the text tells: what users'
 * functions, operators and views do, the catalog knows (DatabaseCode.mayWrite).
 */
export interface RouteFacts {
  readonly access: Access;
  /** Why: 'INSERT', 'row lock (FOR UPDATE)', 'calls nextval()'… */
  readonly reason: string;
  /** Called, and of no built-in list: 'name' or 'schema.name'. */
  readonly functions: readonly string[];
  /** Built-in functions called without their schema: users may have made others of these names. */
  readonly builtins: readonly string[];
  /** Operators written out. */
  readonly operators: readonly string[];
  /** Of `t.x` and `(…).x`: the x, which may be a function of one argument. */
  readonly attributes: readonly string[];
  /** Tables and views; names of common table expressions are not among them. */
  readonly relations: readonly RelationName[];
  readonly begin: BeginFacts | null;
  /** EXECUTE reads as far as its text tells: what these statements do is to be found in what their PREPARE said. */
  readonly executes: readonly string[];
  readonly directive: Directive | null;
}

const NONE: readonly never[] = Object.freeze([]);

/** Facts of a statement that names nothing. */
export function bareRoute(access: Access, reason: string): RouteFacts {
  return {
    access,
    reason,
    functions: NONE,
    builtins: NONE,
    operators: NONE,
    attributes: NONE,
    relations: NONE,
    begin: null,
    executes: NONE,
    directive: null,
  };
}

/** Of texts without a certain reading. */
export const UNREAD_ROUTE: RouteFacts = Object.freeze(
  bareRoute('write', 'cannot be read: goes to the primary'),
);
/** Of texts that were looked at only as far as a database with one host needs. */
export const UNASKED_ROUTE: RouteFacts = Object.freeze(bareRoute('write', 'not looked at'));
const EMPTY_ROUTE: RouteFacts = Object.freeze(bareRoute('neutral', 'empty'));

function union(lists: readonly (readonly string[])[]): readonly string[] {
  const all = new Set(lists.flat());
  return all.size === 0 ? NONE : [...all];
}

/** SET TRANSACTION may follow BEGIN, and has the last word. */
function joinBegins(routes: readonly RouteFacts[]): BeginFacts | null {
  const begins = routes.flatMap(({ begin }) => (begin === null ? [] : [begin]));
  if (begins.length === 0) return null;
  return {
    isReadOnly: begins.findLast(({ isReadOnly }) => isReadOnly !== null)?.isReadOnly ?? null,
    isSerializable: begins.some(({ isSerializable }) => isSerializable),
  };
}

/** Facts of a text of several statements: one write makes all of it a write, one read the rest. */
export function joinRoutes(routes: readonly RouteFacts[]): RouteFacts {
  if (routes.length === 0) return EMPTY_ROUTE;
  if (routes.length === 1) return routes[0];
  const leading =
    routes.find(({ access }) => access === 'write') ??
    routes.find(({ access }) => access === 'read') ??
    routes[0];
  const relations = new Map(
    routes.flatMap((route) =>
      route.relations.map((relation) => [`${relation.schema ?? ''}\0${relation.name}`, relation]),
    ),
  );
  return {
    access: leading.access,
    reason: leading.reason,
    functions: union(routes.map((route) => route.functions)),
    builtins: union(routes.map((route) => route.builtins)),
    operators: union(routes.map((route) => route.operators)),
    attributes: union(routes.map((route) => route.attributes)),
    relations: [...relations.values()],
    begin: joinBegins(routes),
    executes: union(routes.map((route) => route.executes)),
    directive: null,
  };
}
