import {
  CLIENT_UTF8,
  decodeText,
  hashShape,
  hashText,
  hashWords,
  NO_SCOPE,
  PLAIN_DEPENDENT_PLAN,
  PLAIN_PLAN,
  planSize,
  readExecuteHead,
  readShape,
  readShapePlan,
  readSqlBytes,
  readTextPlan,
  SHAPE_BACKSLASH,
  SHAPE_BYTES_MAX,
  SHAPE_DIRECTIVE,
  SHAPE_DOTTED,
  SHAPE_HIGH,
  SHAPE_READ,
  SHAPE_ROWS,
  type ShardScope,
  type SqlParser,
  type SqlPlan,
  shape,
  TEXT_ASCII,
  TEXT_LATIN1,
  TEXT_UNCERTAIN,
  textEncoding,
  UNKNOWN_EFFECT,
  UNREAD_PLAN,
  UNREAD_ROUTE,
  withDirective,
  withMentions,
} from '@pgdog-cluster/core';
import { isWide } from '../session/parameter-set.js';
import { RecentShapes } from './recent-shapes.js';
import { ENTRY_BYTES, ShapeTable } from './shape-table.js';

/** An entry's slots here: a reference and a number. */
const ENTRY_SIZE = ENTRY_BYTES + 16;
/**
 * Longer texts are not read where no keys of shards must be found in them: reading takes a few nanoseconds a byte, all in
 * one turn, and everybody else of the worker waits. Nor are those without a shape looked through for harmless statements.
 */
export const READ_BYTES_MAX = 1024 * 1024;

/** Kinds of hashes: the low bits hold the encoding. */
const KIND_BACKSLASH = 4;
const KIND_TEXT = 8;

/** Stands for a shape whose texts have a plan each: SET, PREPARE, DDL, what the grammar refuses. */
const BY_TEXT: SqlPlan = Object.freeze({ ...UNREAD_PLAN });

export interface PlanCounts {
  hits: number;
  misses: number;
  evictions: number;
}

/** @param query a shape, without literals; empty: there are some. @param text as the client has sent it; null: it is at hand no more */
export type SlowReadSink = (query: string, text: Uint8Array | null, bytes: number, tookUs: number) => void;

/**
 * Plans by shape (core/sql/shape.ts), and by text where literals matter, the least recently used thrown out first.
 *
 * Neither shapes nor texts are kept: their keyed hashes of 128 bits are, so that an entry takes ENTRY_SIZE and its plan, by
 * estimate. A million texts of one shape take one entry. When the room is used up, a shape that was never seen
 * before is read and forgotten: a flood of them pushes out nothing.
 */
export class PlanCache {
  readonly counts: PlanCounts = { hits: 0, misses: 0, evictions: 0 };
  /** Reading that takes as long is told. Infinity: never. */
  slowReadUs = Number.POSITIVE_INFINITY;
  onSlowRead: SlowReadSink = () => undefined;
  readonly #parser: SqlParser;
  #entriesMax: number;
  readonly #bytesMax: number;
  readonly #table = new ShapeTable();
  /** By entry. */
  readonly #plans: (SqlPlan | null)[] = [];
  readonly #sizes: number[] = [];
  readonly #recent = new RecentShapes();
  #bytes = 0;
  /**
   * Some database of this worker has several hosts: every plan must say where its statement may run. The short cut
   * for harmless texts, which says nothing of that, is not taken then.
   */
  givesRoutes: boolean;
  #tenantColumn: string | null = null;

  /** @param bytesMax of all entries with their plans */
  constructor(parser: SqlParser, entriesMax: number, bytesMax: number, givesRoutes = false) {
    this.givesRoutes = givesRoutes;
    this.#parser = parser;
    this.#entriesMax = entriesMax;
    this.#bytesMax = bytesMax;
  }

  /** Another limit: what is beyond it goes as others come. */
  set entriesMax(count: number) {
    this.#entriesMax = count;
  }

  /** Plans say which tables they leave unrestricted by this column; null: none is asked for. */
  set tenantColumn(column: string | null) {
    if (column === this.#tenantColumn) return;
    this.#tenantColumn = column;
    this.clear();
  }

  /** What is in use stays valid: plans are never changed. */
  clear(): void {
    while (this.#table.count > 0) this.#remove(this.#table.oldest);
  }

  get entryCount(): number {
    return this.#table.count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The plan of bytes[start, end), a text without its closing NUL. Never throws; the plan is shared and must
   * not be changed. For a database with one host, a caller asks isPlainSql first.
   * @param client one of CLIENT_…: how whose text it is has it read
   * @param bytesMax a longer text is not read: UNREAD_PLAN
   */
  lookup(
    bytes: Uint8Array,
    start: number,
    end: number,
    scope: ShardScope = NO_SCOPE,
    client = CLIENT_UTF8,
    bytesMax = READ_BYTES_MAX,
  ): SqlPlan {
    if (end - start > bytesMax) {
      this.counts.misses++;
      return UNREAD_PLAN;
    }
    const status = readShape(bytes, start, end);
    if (status !== SHAPE_READ) return this.#readOdd(bytes, start, end, client);
    const { flags } = shape;
    const encoding = (flags & SHAPE_HIGH) === 0 ? TEXT_ASCII : textEncoding(bytes, start, end, client);
    let plan = UNREAD_PLAN;
    if (encoding === TEXT_UNCERTAIN) {
      if (scope === NO_SCOPE) plan = readExecuteHead(bytes, start, end);
    } else {
      const kind = encoding | ((flags & SHAPE_BACKSLASH) === 0 ? 0 : KIND_BACKSLASH);
      // Each row of a sharded table may be on another shard.
      const isByText = scope !== NO_SCOPE && (flags & SHAPE_ROWS) !== 0;
      plan = isByText ? BY_TEXT : this.#ofShape(kind, scope);
      if (plan === BY_TEXT) plan = this.#ofText(bytes, start, end, kind, scope);
      else if ((flags & SHAPE_DOTTED) !== 0 && (plan.flags & UNKNOWN_EFFECT) !== 0) {
        plan = withMentions(plan, bytes, start, end);
      }
    }
    if ((flags & SHAPE_DIRECTIVE) === 0 || !this.givesRoutes) return plan;
    return directed(plan, encoding, bytes, start, end);
  }

  /** The plan of this one text, where what its shape has does not say all; UNREAD_PLAN: it cannot be read. */
  lookupText(bytes: Uint8Array, start: number, end: number, scope: ShardScope, client: number): SqlPlan {
    if (readShape(bytes, start, end) !== SHAPE_READ) return UNREAD_PLAN;
    const encoding = (shape.flags & SHAPE_HIGH) === 0 ? TEXT_ASCII : textEncoding(bytes, start, end, client);
    if (encoding === TEXT_UNCERTAIN) return UNREAD_PLAN;
    const kind = encoding | ((shape.flags & SHAPE_BACKSLASH) === 0 ? 0 : KIND_BACKSLASH);
    return this.#ofText(bytes, start, end, kind, scope);
  }

  #ofShape(kind: number, scope: ShardScope): SqlPlan {
    hashShape(kind, scope.id);
    const found = this.#find();
    if (found !== null) return found;
    const text = shape.bytes.subarray(0, shape.length);
    const hasBackslash = (kind & KIND_BACKSLASH) !== 0;
    const plan =
      // exempt: of a shape that is new
      this.#timed(text, true, !hasBackslash, () =>
        readShapePlan(
          text,
          kind & 3,
          hasBackslash,
          this.#parser,
          this.givesRoutes,
          this.#tenantColumn,
          scope,
        ),
      ) ?? BY_TEXT;
    this.#keep(plan);
    return plan;
  }

  #ofText(bytes: Uint8Array, start: number, end: number, kind: number, scope: ShardScope): SqlPlan {
    const isShort = end - start <= SHAPE_BYTES_MAX;
    if (isShort) {
      hashText(bytes, start, end, kind | KIND_TEXT, scope.id);
      const found = this.#find();
      if (found !== null) return found;
    }
    const text = bytes.subarray(start, end);
    // exempt: of a text that is new
    const plan = this.#timed(text, false, false, () =>
      readTextPlan(text, kind & 3, (kind & KIND_BACKSLASH) !== 0, this.#parser, this.#tenantColumn, scope),
    );
    if (isShort) this.#keep(plan);
    return plan;
  }

  /**
   * What stands in a shape is told where the plan is that of all its texts, and it is certain where strings end: else values may
   * stand in it. @param isShape `text` is a shape
   */
  #timed<T>(text: Uint8Array, isShape: boolean, isCertain: boolean, read: () => T): T {
    if (this.slowReadUs === Number.POSITIVE_INFINITY) return read();
    const startMs = performance.now();
    const plan = read();
    const tookUs = (performance.now() - startMs) * 1000;
    if (tookUs < this.slowReadUs) return plan;
    const isTold = isShape && isCertain && plan !== null && plan !== UNREAD_PLAN;
    this.onSlowRead(
      isTold ? decodeText(text, 0, text.length) : '',
      isShape ? null : text,
      text.length,
      tookUs,
    );
    return plan;
  }

  /** Of `hashWords`. */
  #find(): SqlPlan | null {
    const entry = this.#table.find(hashWords);
    if (entry < 0) return null;
    const plan = this.#plans[entry];
    if (this.givesRoutes && (plan === PLAIN_PLAN || plan === PLAIN_DEPENDENT_PLAN)) {
      this.#remove(entry);
      return null;
    }
    this.#table.use(entry);
    if (plan !== BY_TEXT) this.counts.hits++;
    return plan;
  }

  /** Under `hashWords`. */
  #keep(plan: SqlPlan): void {
    if (plan !== BY_TEXT) this.counts.misses++;
    // Cheap to find again, and the parser may have failed for the moment only.
    if (plan === UNREAD_PLAN || this.#entriesMax < 1) return;
    const size = ENTRY_SIZE + planSize(plan);
    // One plan may take an eighth of the room; larger ones are made each time.
    if (size * 8 > this.#bytesMax) return;
    const isFull = this.#table.count >= this.#entriesMax || this.#bytes + size > this.#bytesMax;
    if (isFull && !this.#recent.hasSeen(hashWords)) return;
    while (this.#table.count >= this.#entriesMax || this.#bytes + size > this.#bytesMax) {
      this.#remove(this.#table.oldest);
      this.counts.evictions++;
    }
    const entry = this.#table.add(hashWords);
    this.#plans[entry] = plan;
    this.#sizes[entry] = size;
    this.#bytes += size;
  }

  #remove(entry: number): void {
    this.#table.remove(entry);
    this.#bytes -= this.#sizes[entry];
    this.#plans[entry] = null;
  }

  /** What no server accepts, and what is too long for the parser even without its lists. */
  #readOdd(bytes: Uint8Array, start: number, end: number, client: number): SqlPlan {
    this.counts.misses++;
    if (end - start > READ_BYTES_MAX) return UNREAD_PLAN;
    const plan = readSqlBytes(bytes, start, end, this.#parser, false, null, client);
    if (!this.givesRoutes) return plan;
    const encoding = textEncoding(bytes, start, end, client);
    // Harmless or not: where it may run is not known, and directives may stand in it.
    return directed({ ...plan, route: UNREAD_ROUTE }, encoding, bytes, start, end);
  }
}

/** Where comments begin and end is as uncertain as the rest: only those count that stand ahead of all that is. */
function directed(plan: SqlPlan, encoding: number, bytes: Uint8Array, start: number, end: number): SqlPlan {
  if (encoding === TEXT_LATIN1) return inAscii(withDirective(plan, bytes, start, end));
  if (encoding !== TEXT_UNCERTAIN) return withDirective(plan, bytes, start, end);
  let high = start;
  while (high < end && bytes[high] < 0x80) high++;
  return withDirective(plan, bytes, start, high);
}

/** Of a key in another encoding than UTF-8 it is not known which one it is for the server. */
function inAscii(plan: SqlPlan): SqlPlan {
  const { directive } = plan.route;
  if (directive === null || directive.shardingKey === null || !isWide(directive.shardingKey)) return plan;
  const error = 'pgdog_sharding_key must be ASCII where client_encoding is not UTF8';
  return { ...plan, route: { ...plan.route, directive: { ...directive, shardingKey: null, error } } };
}
