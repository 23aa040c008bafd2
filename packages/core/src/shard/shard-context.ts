import type { CopyLayout } from '../copy/copy-layout.js';
import { isSqlNode, nodeOf, type SqlNode, type SqlValue } from '../sql/sql-node.js';
import type { SqlParser } from '../sql/sql-parser.js';
import { type KeyFamily, type KeyInfo, keyOfRelation } from './key-family.js';
import { KEY_NODES_MAX, KeyGraph } from './key-graph.js';
import type { LiteralPlaces } from './key-source.js';
import type { CatalogRelation, FoundRelation, RelationLookup } from './shard-catalog.js';
import type { KeyPin, KeySource } from './shard-reading.js';
import type { ShardingSnapshot } from './sharding-snapshot.js';

export interface ReadTerms {
  readonly lookup: RelationLookup;
  /** Views' texts are parsed with it. */
  readonly parser: SqlParser;
  readonly sharding: ShardingSnapshot;
  /** null: a reading of one text, with its values; else of a shape, with places. */
  readonly literals: LiteralPlaces | null;
  /** The text itself, of one SELECT, where it may be rewritten for the shards. */
  readonly text?: Uint8Array;
  /** Of a function or operator that is none of Postgres's own: `name` or `schema.name`. */
  readonly isImmutable: (name: string) => boolean;
  /** Sequences give each shard numbers of its own, by the operator's word: then nextval() may run on any. */
  readonly hasShardSequences?: boolean;
  /** Read as if no subquery left out rows by an OFFSET that is a parameter: Prisma writes one that is 0. */
  readonly takesOffsetsForZero?: true;
  /** PREPARE says of which types its parameters are, which is not looked at. */
  readonly hasDeclaredTypes?: boolean;
}

export interface Refusal {
  readonly reason: string;
  readonly remedy: string;
}

/** The sharding key that an UPDATE sets, and to what. */
export interface MovedKey {
  readonly relation: CatalogRelation;
  readonly info: KeyInfo;
  /** null: each row has a value of its own. */
  readonly source: KeySource | null;
}

/** Queries, views and common table expressions read for one statement, each as often as it is referred to. */
const LEVELS_MAX = 400;

/** Ends of the names of families, of arrays too. */
const TIMES: readonly string[] = ['date', 'timestamp', 'timestamptz'];

export const CHOOSE_SHARD = 'choose a shard with SET pgdog.shard';

/** Reason and remedy. Of its key the shards may say the same, and the configuration something else. */
function differenceOf(name: string, text: string): [reason: string, remedy: string] {
  if (!text.startsWith('its sharding key'))
    return [`the shards do not agree about "${name}": ${text}`, 'make them alike'];
  return [
    `"${name}" is not what its rule says: ${text}`,
    'correct its rule in [[sharded_tables]] (column, data_type), or the table',
  ];
}

/** By [[sharded_schemas]]. */
export function isOnOneShard({ schemas }: ShardingSnapshot, schema: string): boolean {
  const rule = schemas.find(({ name }) => name === schema) ?? schemas.find(({ name }) => name === null);
  return rule !== undefined && !rule.isOnAll;
}

/** What is found while one statement is read. */
export class ShardContext {
  /** It calls information_schema._pg_expandarray(), whose rows have the fields x and n. */
  expandsArray = false;
  /** Something depends on a literal that a shape does not have: a position in GROUP BY; a time, which may be 'now'. */
  hasHiddenPosition = false;
  hasHiddenTime = false;
  /** Such a time in a condition, which copies of a table must see alike. */
  hasHiddenBound = false;
  readonly terms: ReadTerms;
  readonly graph: KeyGraph;
  /** Of the text that is being read: a view's has its values. */
  literals: LiteralPlaces | null;
  /** Of queries in queries. */
  depth = 0;
  /** Depth of views; names without a schema mean something else in them. */
  viewDepth = 0;
  refusal: Refusal | null = null;
  /** Refused, unless values that are marked as made by the proxy are its own. */
  unlessMade: Refusal | null = null;
  /** Why several shards together would not give the answer. */
  spreadRefusal: Refusal | null = null;
  /** What must meet in one place; null: nothing. */
  first: string | null = null;
  /** It asks for what shards have different numbers for, or by such numbers. */
  asksNumbers = false;
  /** What differs from one copy of an omnisharded table to the other. */
  volatile: string | null = null;
  /** Of the time and the server, which each shard would see differently; in conditions it says how far to look, and is left alone. */
  clock: string | null = null;
  /** It tells when its transaction began, in a condition or not: of a transaction over several shards each has a time of its own. */
  time: string | null = null;
  /** What depends on the order of rows, which copies of a table need not have in common. */
  unordered: string | null = null;
  /** Immutable, and perhaps an aggregate. */
  userFunction: string | null = null;
  /** What one shard has alone, and which. */
  readonly ownShards = new Map<string, number>();
  /** The statement is an UPDATE that changes one row at most. */
  isOneRow = false;
  /** The statement as a whole, where it is an UPDATE: what stands within another one cannot move rows. */
  topUpdate: SqlNode | null = null;
  /** It sets the sharding key, and the new value is known. */
  move: MovedKey | null = null;
  /** Tables written. */
  readonly omniWrites: string[] = [];
  readonly shardedWrites: string[] = [];
  /** An omnisharded or unknown thing whose rows are locked. */
  omniLock: string | null = null;
  readonly unknown = new Set<string>();
  /** COPY FROM and INSERT of several rows, which may go to a shard each. */
  isSplitInsert = false;
  /** Of such an INSERT: its rows stand in so many arrays; 0: in VALUES. */
  rowArrays = 0;
  /** COPY FROM into a sharded table: how its rows are placed. */
  copy: CopyLayout | null = null;
  /** Numbers of parameters that are the OFFSET of a subquery without LIMIT, from 1. */
  readonly offsets = new Set<number>();
  #levels = 0;
  readonly #uses = new Map<number, { total: number; readonly families: Map<string, number> }>();
  readonly #used = new Set<SqlNode>();
  /** Numbers of parameters that are times: 'now' is one. */
  readonly timeParameters = new Set<number>();

  constructor(terms: ReadTerms) {
    this.terms = terms;
    this.literals = terms.literals;
    this.graph = new KeyGraph(terms.sharding);
  }

  refuse(reason: string, remedy: string = CHOOSE_SHARD): void {
    this.refusal ??= { reason, remedy };
  }

  refuseSpread(reason: string, remedy = 'give the sharding key a value, or leave that out'): void {
    this.spreadRefusal ??= { reason, remedy };
  }

  /** At each query: false when there are too many. */
  enter(): boolean {
    if (++this.#levels <= LEVELS_MAX && this.graph.size <= KEY_NODES_MAX) return true;
    this.refuse('the statement has too many subqueries');
    return false;
  }

  find(relation: SqlNode): FoundRelation {
    const schema = typeof relation.schemaname === 'string' ? relation.schemaname : null;
    const name = typeof relation.relname === 'string' ? relation.relname : '';
    const found = this.terms.lookup.find(schema, name);
    if (this.viewDepth > 0 && schema === null && found.kind !== 'system') {
      this.refuse(`a view names "${name}" without its schema`);
    }
    if (found.kind === 'unknown') {
      this.unknown.add(schema === null ? name : `${schema}.${name}`);
      this.refuse(`the relation "${name}" is not known`, 'wait until the catalog has been read again');
    } else if (found.kind === 'relation') {
      const { shard, schema: own } = found.relation;
      if (shard !== undefined) this.ownShards.set(`${own}.${name}`, shard);
      else if (isOnOneShard(this.terms.sharding, own)) this.refuse(`the schema of "${name}" is on one shard`);
    } else if (found.kind === 'different') {
      this.refuse(...differenceOf(name, found.text));
    }
    return found;
  }

  /** null, with a refusal, when the table has none that can be used. */
  key(relation: CatalogRelation): KeyInfo | null {
    const key = keyOfRelation(relation, this.terms.sharding);
    if (typeof key !== 'string') return key;
    this.refuse(key, 'shard the table by a column of another type');
    return null;
  }

  /** Every parameter of a statement: what is not found again by useParameter() is of a type that we do not know. */
  countParameters(root: SqlValue): void {
    const stack: SqlValue[] = [root];
    while (stack.length > 0) {
      const value = stack.pop();
      if (Array.isArray(value)) for (const item of value) stack.push(item);
      else if (isSqlNode(value)) {
        const number = nodeOf(value, 'ParamRef')?.number;
        if (typeof number === 'number') this.#use(number).total++;
        for (const key in value) stack.push(value[key]);
      }
    }
  }

  /** @param family of the type that Postgres gives it where it stands; 'array:…' for an array */
  useParameter(node: SqlNode | undefined, family: KeyFamily | `array:${KeyFamily}` | null): void {
    const reference = nodeOf(node, 'ParamRef');
    if (reference === undefined || family === null || this.#used.has(reference)) return;
    this.#used.add(reference);
    if (TIMES.some((time) => family.endsWith(time))) this.noteTimeParameter(node);
    const { families } = this.#use(typeof reference.number === 'number' ? reference.number : 0);
    families.set(family, (families.get(family) ?? 0) + 1);
  }

  noteTimeParameter(node: SqlNode | undefined): void {
    const number = nodeOf(node, 'ParamRef')?.number;
    if (typeof number === 'number') this.timeParameters.add(number);
  }

  /** Whether its parameters can only be of the key's family, unless a client declares another. */
  isCertain({ sources }: KeyPin, { family }: KeyInfo): boolean {
    return sources.every((source) => {
      if (source.kind !== 'parameter' && source.kind !== 'parameterArray') return true;
      const use = this.#use(source.number);
      const name = source.kind === 'parameter' ? family : `array:${family}`;
      return use.families.get(name) === use.total && this.terms.hasDeclaredTypes !== true;
    });
  }

  #use(number: number): { total: number; readonly families: Map<string, number> } {
    const known = this.#uses.get(number);
    if (known !== undefined) return known;
    const use = { total: 0, families: new Map<string, number>() };
    this.#uses.set(number, use);
    return use;
  }
}
