// ● per-frame path
import {
  CLIENT_UTF8,
  hashShape,
  hashWords,
  NO_SCOPE,
  readParse,
  readShape,
  SHAPE_HIGH,
  SHAPE_KEPT,
  SHAPE_READ,
  shape,
  shapeText,
  UNASKED_ROUTE,
} from '@pgdog-cluster/core';
import { readingOf } from '../route/prepared-route.js';
import { KnownTexts } from './known-texts.js';
import type { PlanCache } from './plan-cache.js';
import type { PreparedStatement } from './prepared-statements.js';
import { FIGURES_BYTES, FigureSlots, QueryFigures } from './query-figures.js';
import { RecentShapes } from './recent-shapes.js';
import { ENTRY_BYTES, ShapeTable } from './shape-table.js';

/** Shapes with figures, over all databases of a worker: 4 to 10 MB. */
export const SHAPES_MAX = 5000;
/** What stands for them in SHOW QUERIES. No text of a client's is like them: they are no SQL. */
export const EVICTED_TEXT = '(evicted)';
export const UNREAD_TEXT = '(not read)';
/**
 * Reading a shape costs 2 ns a byte. Texts of more than LONG_BYTES that are not known share LONG_BYTES_PER_CHECK, which
 * are given anew some 20 times a second: 0.2 % of the worker's time. The longest are never read for this.
 */
const LONG_BYTES = 1024;
export const LONG_BYTES_PER_CHECK = 64 * 1024;
const TEXT_BYTES_MAX = 256 * 1024;
const HEADER_BYTES = 5;
/** Object, hash, string header, references. */
const OBJECT_BYTES = 256;
/** Spreads the numbers of databases over a word of the hash. */
const SPREAD = 0x9e3779b1 | 0;

interface DatabaseQueries {
  /** Part of the key of its shapes. */
  number: number;
  evicted: QueryFigures;
  /** Too long, or nothing a server accepts. */
  unread: QueryFigures;
}

/**
 * What ran, by shape and database, whether its plan was asked for or not. The least recently used goes first, and its
 * figures into a sum per database, so that totals stay true.
 */
export class QueryStats {
  /** Of texts: those whose shape was known, those whose shape was not, shapes thrown out for others. */
  readonly counts = { hits: 0, misses: 0, evictions: 0 };
  readonly #plans: PlanCache;
  readonly #slots = new FigureSlots();
  readonly #table = new ShapeTable();
  readonly #recent = new RecentShapes();
  readonly #texts = new KnownTexts();
  /** By entry of the table. */
  readonly #figures: (QueryFigures | null)[] = [];
  readonly #databases = new Map<string, DatabaseQueries>();
  #lastName = '';
  #last: DatabaseQueries | null = null;
  #entriesMax: number;
  #bytes = 0;
  #longBytesLeft = LONG_BYTES_PER_CHECK;

  constructor(plans: PlanCache, entriesMax = SHAPES_MAX) {
    this.#plans = plans;
    this.#entriesMax = entriesMax;
  }

  /** Another limit; what is beyond it goes as others come. */
  set entriesMax(count: number) {
    this.#entriesMax = Math.min(count, SHAPES_MAX);
  }

  get entryCount(): number {
    return this.#table.count;
  }

  get bytes(): number {
    return this.#bytes + this.#texts.bytes;
  }

  /** Long texts may be read again. */
  refill(): void {
    this.#longBytesLeft = Math.min(LONG_BYTES_PER_CHECK, this.#longBytesLeft + LONG_BYTES_PER_CHECK);
  }

  /** Of the text bytes[start, end), which is about to run. @param isRouted its plan says where it may run. @param client one of CLIENT_… */
  of(
    database: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    isRouted: boolean,
    client = CLIENT_UTF8,
  ): QueryFigures {
    const known = this.#texts.find(database, bytes, start, end);
    if (known !== null) return this.#hit(known);
    const queries = this.#of(database);
    if (!this.#mayRead(end - start) || readShape(bytes, start, end) !== SHAPE_READ) return queries.unread;
    const isAscii = (shape.flags & SHAPE_HIGH) === 0;
    const isExact = (shape.flags & SHAPE_KEPT) !== 0;
    // The text of a shape says less where strings may end elsewhere.
    hashShape(shape.flags & 3);
    hashWords[3] ^= Math.imul(queries.number, SPREAD);
    const entry = this.#table.find(hashWords);
    const figures =
      entry < 0
        ? this.#miss(queries, database, bytes, start, end, isAscii, isRouted, client)
        : this.#hit(this.#figures[entry]!);
    if (figures.entry >= 0) this.#texts.keep(bytes, start, end, figures, isExact);
    return figures;
  }

  /** Of a prepared statement, found when it was prepared: again only when its shape has been thrown out since. */
  ofPrepared(database: string, statement: PreparedStatement, isRouted: boolean): QueryFigures {
    const known = statement.figures;
    const isKnown = known !== null && known.database === database;
    if (isKnown && known !== this.#of(database).evicted) {
      if (known.entry < 0) statement.figures = this.current(known);
      else this.#table.use(known.entry);
      return statement.figures!;
    }
    if (this.#entriesMax < 1) return this.#of(database).evicted;
    const { frame } = statement;
    const fields = statement.isSqlLevel ? null : readParse(frame, HEADER_BYTES, frame.length);
    statement.figures =
      fields === null
        ? this.#of(database).unread
        : this.of(database, frame, fields.textStart, fields.textEnd, isRouted, readingOf(statement.encoding));
    return statement.figures;
  }

  /** What is to be counted for in place of `figures`, whose shape may have been thrown out: it is taken in again. */
  current(figures: QueryFigures): QueryFigures {
    const { entry, hash, database, text, access } = figures;
    if (entry >= 0) this.#table.use(entry);
    if (entry >= 0 || hash === null || this.#entriesMax < 1) return figures;
    const again = this.#table.find(hash);
    if (again >= 0) return this.#figures[again]!;
    const made = this.#add(database, text, hash);
    made.access = access;
    return made;
  }

  /** Of what is not read at all: a text that streams. */
  unread(database: string): QueryFigures {
    return this.#of(database).unread;
  }

  /** Everything that has counted something, the sums of the databases last. */
  *all(): Generator<QueryFigures> {
    for (const figures of this.#figures) if (figures !== null) yield figures;
    for (const { evicted, unread } of this.#databases.values()) {
      yield unread;
      yield evicted;
    }
  }

  /** Forgets everything. Whoever holds figures may go on counting. */
  clear(): void {
    while (this.#table.count > 0) this.#evictOldest();
    this.#texts.clear();
    for (const { evicted, unread } of this.#databases.values()) {
      evicted.reset();
      unread.reset();
    }
  }

  #mayRead(size: number): boolean {
    if (size <= LONG_BYTES) return true;
    if (size > TEXT_BYTES_MAX || this.#longBytesLeft <= 0) return false;
    this.#longBytesLeft -= size;
    return true;
  }

  #of(database: string): DatabaseQueries {
    if (this.#last !== null && this.#lastName === database) return this.#last;
    let found = this.#databases.get(database);
    if (found === undefined) {
      found = {
        number: this.#databases.size,
        evicted: new QueryFigures(this.#slots, database, EVICTED_TEXT),
        unread: new QueryFigures(this.#slots, database, UNREAD_TEXT),
      };
      this.#databases.set(database, found);
    }
    this.#lastName = database;
    this.#last = found;
    return found;
  }

  #hit(figures: QueryFigures): QueryFigures {
    this.#table.use(figures.entry);
    this.counts.hits++;
    figures.hit();
    return figures;
  }

  /** Under `hashWords`. A flood of shapes that never come back pushes out nothing, and its texts are not made. */
  #miss(
    { evicted }: DatabaseQueries,
    database: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    isAscii: boolean,
    isRouted: boolean,
    client: number,
  ): QueryFigures {
    this.counts.misses++;
    if (this.#entriesMax < 1) return evicted;
    if (this.#table.count >= this.#entriesMax && !this.#recent.hasSeen(hashWords)) return evicted;
    const made = this.#add(database, shapeText(bytes, start, end, isAscii, client), hashWords.slice());
    if (isRouted) {
      const { route } = this.#plans.lookup(bytes, start, end, NO_SCOPE, client);
      if (route !== UNASKED_ROUTE) made.access = route.access;
    }
    return made;
  }

  #add(database: string, text: string, hash: Int32Array): QueryFigures {
    while (this.#table.count >= this.#entriesMax) {
      this.#evictOldest();
      this.counts.evictions++;
    }
    const entry = this.#table.add(hash);
    const made = new QueryFigures(this.#slots, database, text, entry, hash);
    this.#figures[entry] = made;
    this.#bytes += sizeOf(made);
    return made;
  }

  #evictOldest(): void {
    const { oldest } = this.#table;
    const figures = this.#figures[oldest]!;
    this.#table.remove(oldest);
    this.#figures[oldest] = null;
    this.#bytes -= sizeOf(figures);
    figures.foldInto(this.#of(figures.database).evicted);
  }
}

function sizeOf({ text }: QueryFigures): number {
  return ENTRY_BYTES + FIGURES_BYTES + OBJECT_BYTES + text.length;
}
