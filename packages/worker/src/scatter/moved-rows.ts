import { PgDogError, type RoutedMove, type ShardFunction } from '@pgdog-cluster/core';

const HEADER_BYTES = 5;
const COUNT_BYTES = 2;
const SIZE_BYTES = 4;
/** Kept until all shards have given theirs: a client's rows must not fill the worker. */
const ROWS_MAX = 100_000;
const BYTES_MAX = 64 * 1024 * 1024;
const NULL_KEY = 'null';

/** Where rows go that have a key each. */
export interface RowRoutes extends RoutedMove {
  readonly rule: ShardFunction;
  /** Texts that are not ASCII are not stored as they come. */
  readonly isForeign: boolean;
  readonly isText: boolean;
}

interface MovedRow {
  readonly shard: number;
  /** Its count of columns and their values, as a DataRow and a Bind have them. */
  readonly body: Uint8Array;
}

/** Rows that have left their shards, as they are to be. */
export class MovedRows {
  /** Where all go, or where each goes. */
  private readonly target: number | RowRoutes;
  private readonly columnCount: number;
  private rows: MovedRow[] = [];
  private bytes = 0;
  private next = 0;
  /** Of rows with keys of their own: those that they had, and those that they get. */
  private readonly before = new Set<string>();
  private readonly after = new Set<string>();

  constructor(target: number | RowRoutes, columnCount: number) {
    this.target = target;
    this.columnCount = columnCount;
  }

  get count(): number {
    return this.rows.length;
  }

  /** frame[start, end) is a DataRow. @returns why it cannot be kept; null: it is */
  keep(frame: Uint8Array, start: number, end: number): PgDogError | null {
    this.bytes += end - start;
    if (this.rows.length === ROWS_MAX || this.bytes > BYTES_MAX) {
      const text = `an UPDATE moves more than ${ROWS_MAX} rows, or ${BYTES_MAX / 1024 / 1024} MB of them, to other shards`;
      return new PgDogError('moved_rows_limit', text);
    }
    const body = frame.slice(start + HEADER_BYTES, end);
    const { target } = this;
    if (typeof target !== 'number') return this.route(target, body);
    if (!hasCount(body, this.columnCount)) return unlike();
    this.rows.push({ shard: target, body });
    return null;
  }

  private route(routes: RowRoutes, body: Uint8Array): PgDogError | null {
    const ends = hasCount(body, this.columnCount + 1) ? valueEnds(body) : null;
    if (ends === null) return unlike();
    const [start, end] = [startOf(ends, routes.keyColumn), ends[routes.keyColumn]];
    const shard = shardOf(routes, body, start, end);
    if (shard < 0) {
      const text = 'a value that the sharding key of some row is set to leads to no shard';
      return new PgDogError('cross_shard', text, { hint: 'Give it as a constant or a parameter.' });
    }
    this.before.add(keyText(body, startOf(ends, this.columnCount), ends[this.columnCount]));
    this.after.add(keyText(body, start, end));
    const kept = body.slice(0, ends[this.columnCount - 1]);
    kept[0] = this.columnCount >> 8;
    kept[1] = this.columnCount & 0xff;
    this.rows.push({ shard, body: kept });
    return null;
  }

  /** All have left. @returns why they cannot arrive */
  close(): PgDogError | null {
    const { target } = this;
    if (typeof target === 'number') return null;
    this.rows.sort((a, b) => a.shard - b.shard);
    const isMet = [...this.after].some((key) => this.before.has(key));
    if (!isMet || !target.hasUniques || this.rows.length < 2) return null;
    const text =
      'rows get sharding keys that others of the same UPDATE have: whether a unique constraint holds depends on their order';
    return new PgDogError('cross_shard', text, {
      hint: 'Update them in several statements, or to other keys.',
    });
  }

  /** Some that go to one shard, of about this many bytes; null: there are no more. */
  take(bytesMax: number): { shard: number; bodies: Uint8Array[] } | null {
    const [first] = this.rows.slice(this.next, this.next + 1);
    if (first === undefined) return null;
    const bodies: Uint8Array[] = [];
    let bytes = 0;
    for (let row = first; row?.shard === first.shard && bytes < bytesMax; row = this.rows[this.next]) {
      bodies.push(row.body);
      bytes += row.body.length;
      this.next++;
    }
    return { shard: first.shard, bodies };
  }
}

function hasCount(body: Uint8Array, count: number): boolean {
  return body.length >= COUNT_BYTES && ((body[0] << 8) | body[1]) === count;
}

/** Of each value, its length word before it; null: it is none. */
function valueEnds(body: Uint8Array): number[] | null {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const ends: number[] = [];
  let at = COUNT_BYTES;
  while (at + SIZE_BYTES <= body.length) {
    at += SIZE_BYTES + Math.max(0, view.getInt32(at));
    ends.push(at);
  }
  return at === body.length && hasCount(body, ends.length) ? ends : null;
}

const startOf = (ends: readonly number[], column: number): number =>
  column === 0 ? COUNT_BYTES : ends[column - 1];

const isNull = (body: Uint8Array, start: number): boolean => body[start] === 0xff;

function shardOf(
  { rule, isText, isForeign }: RowRoutes,
  body: Uint8Array,
  start: number,
  end: number,
): number {
  if (isNull(body, start)) return rule.ofNull;
  const value = start + SIZE_BYTES;
  const isUnsure = isText && isForeign && body.subarray(value, end).some((byte) => byte >= 0x80);
  return isUnsure ? -1 : rule.ofBinary(body, value, end);
}

/** Equal for keys that are equal. */
function keyText(body: Uint8Array, start: number, end: number): string {
  return isNull(body, start) ? NULL_KEY : Buffer.from(body.subarray(start + SIZE_BYTES, end)).toString('hex');
}

export function unlike(): PgDogError {
  return new PgDogError('internal', 'shards have answered otherwise than rows can be moved by');
}
