// ● per-frame path
import { UNKNOWN_SHARD } from '../shard/shard-of-value.js';
import { type CopyFrames, EVERY_LEG } from './copy-frames.js';
import type { CopyKey } from './copy-key.js';
import type { CopyLayout } from './copy-layout.js';
import type { FieldReader } from './field-reader.js';
import { RowCutter, UNPLACED } from './row-cutter.js';
import { hasTimeWord } from './time-word.js';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const DOT = 0x2e;
const BACKSLASH = 0x5c;
const NONE = -1;

// How lines end. The first one decides, and others must not end otherwise: an error to Postgres, which each shard would
// see of its own lines only.
const EOL_UNKNOWN = 0;
const EOL_NEWLINE = 1;
const EOL_RETURN = 2;
const EOL_BOTH = 3;

// What the next byte is.
const PLAIN = 0;
/** Behind a backslash (text). */
const ESCAPED = 1;
/** Behind a return that may be half of an end of line. */
const RETURNED = 2;
/** Within quotes (csv). */
const QUOTED = 3;
/** Within quotes, behind an escape that is no quote. */
const QUOTED_ESCAPE = 4;

// What is done with a field.
const ROLE_KEY = 1;
const ROLE_TIME = 2;

function stopsAt(...bytes: number[]): Uint8Array {
  const stops = new Uint8Array(256);
  for (const byte of bytes) if (byte !== NONE) stops[byte] = 1;
  return stops;
}
const EACH = new Uint8Array(256).fill(1);

/**
 * The formats text and csv: where Postgres's COPY sees the end of a field or line, so does this
 * (https://www.postgresql.org/docs/18/sql-copy.html).
 */
export class LineCutter extends RowCutter {
  private readonly isCsv: boolean;
  private readonly delimiter: number;
  private readonly quote: number;
  private readonly escape: number;
  private readonly key: CopyKey | null;
  private readonly reader: FieldReader;
  /** By field, up to the last one that must be seen before the row may go. */
  private readonly roles: Uint8Array;
  /** Bytes that mean something: before the row is placed, behind that, and within quotes. */
  private readonly fieldStops: Uint8Array;
  private readonly restStops: Uint8Array;
  private readonly quotedStops: Uint8Array;
  private stops: Uint8Array;
  private state = PLAIN;
  private eol = EOL_UNKNOWN;
  private field = 0;
  private fieldStart = 0;
  /** The field has backslashes or quotes in it. */
  private isMarked = false;
  private escapedAt = 0;
  /** Of the key, when it has been read and later fields are still to be seen. */
  private keyLeg = UNPLACED;
  private isHeader: boolean;
  private isEndMark = false;
  /** Ends of lines within quotes. */
  private innerLines = 0;

  constructor(frames: CopyFrames, layout: CopyLayout, key: CopyKey | null, reader: FieldReader) {
    super(frames);
    const { delimiter, quote, times } = layout;
    this.isCsv = layout.format === 'csv';
    this.delimiter = delimiter;
    this.quote = quote;
    this.escape = layout.escape;
    this.key = key;
    this.reader = reader;
    this.roles = new Uint8Array(Math.max(key?.index ?? NONE, ...times) + 1);
    for (const time of times) this.roles[time] |= ROLE_TIME;
    if (key !== null) this.roles[key.index] |= ROLE_KEY;
    const mark = this.isCsv ? quote : BACKSLASH;
    this.fieldStops = stopsAt(NEWLINE, RETURN, mark, delimiter);
    this.restStops = stopsAt(NEWLINE, RETURN, mark);
    this.quotedStops = stopsAt(NEWLINE, RETURN, quote, layout.escape);
    this.isHeader = layout.hasHeader;
    this.leg = this.isHeader ? EVERY_LEG : UNPLACED;
    this.stops = this.stopsOf(PLAIN);
  }

  private stopsOf(state: number): Uint8Array {
    if (state === PLAIN) return this.leg === UNPLACED ? this.fieldStops : this.restStops;
    return state === QUOTED ? this.quotedStops : EACH;
  }

  private enter(state: number): void {
    this.state = state;
    this.stops = this.stopsOf(state);
  }

  protected readOn(): void {
    const { bytes, inputEnd } = this.frames;
    let { at } = this;
    while (!this.isEnded) {
      const { stops } = this;
      while (at < inputEnd && stops[bytes[at]] === 0) at++;
      if (at === inputEnd) break;
      at = this.meet(bytes[at], at);
    }
    this.at = at;
  }

  /** A byte that means something. @returns where to go on: behind it, or, in another state, at it once more */
  private meet(byte: number, at: number): number {
    switch (this.state) {
      case ESCAPED:
        this.enter(PLAIN);
        if (byte === DOT) this.meetMark();
        return at + 1;
      case RETURNED:
        return this.meetReturned(byte, at);
      case QUOTED:
        return this.meetQuoted(byte, at);
      case QUOTED_ESCAPE:
        this.enter(QUOTED);
        return byte === this.escape || byte === this.quote ? at + 1 : at;
      default:
        return this.meetPlain(byte, at);
    }
  }

  private meetPlain(byte: number, at: number): number {
    if (byte === NEWLINE || byte === RETURN) return this.meetEnd(byte, at);
    if (byte === this.delimiter && this.leg === UNPLACED) {
      this.endField(at);
      this.field++;
      this.fieldStart = at + 1;
      return at + 1;
    }
    this.isMarked = true;
    this.escapedAt = at;
    this.enter(this.isCsv ? QUOTED : ESCAPED);
    return at + 1;
  }

  private meetQuoted(byte: number, at: number): number {
    if (byte === this.quote) this.enter(PLAIN);
    else if (byte === this.escape) this.enter(QUOTED_ESCAPE);
    else if (byte === (this.eol === EOL_RETURN || this.eol === EOL_BOTH ? RETURN : NEWLINE))
      this.innerLines++;
    return at + 1;
  }

  private meetEnd(byte: number, at: number): number {
    const { eol } = this;
    const isAllowed = byte === NEWLINE ? eol === EOL_UNKNOWN || eol === EOL_NEWLINE : eol !== EOL_NEWLINE;
    if (!isAllowed) {
      this.failEnd(byte);
      return at;
    }
    this.endLastField(at);
    if (byte === RETURN && eol !== EOL_RETURN) {
      this.enter(RETURNED);
      return at + 1;
    }
    if (byte === NEWLINE) this.eol = EOL_NEWLINE;
    this.endLine(at + 1);
    return at + 1;
  }

  private meetReturned(byte: number, at: number): number {
    if (byte === NEWLINE) {
      this.eol = EOL_BOTH;
      this.endLine(at + 1);
      return at + 1;
    }
    if (this.eol === EOL_BOTH) this.failEnd(RETURN);
    else {
      this.eol = EOL_RETURN;
      this.endLine(at);
    }
    return at;
  }

  private failEnd(byte: number): void {
    const name = byte === NEWLINE ? 'newline' : 'carriage return';
    const text = `${this.isCsv ? 'unquoted' : 'literal'} ${name} found in data`;
    this.fail({ kind: 'malformed', text, line: this.line });
  }

  /** A line of \. alone is the end of the data. Anywhere else it depends on the server's version what it means. */
  private meetMark(): void {
    const isAlone = this.escapedAt === this.rowStart && (this.leg === UNPLACED || this.isHeader);
    if (!isAlone) {
      this.suspect('an end-of-copy marker is not alone on its line');
      return;
    }
    this.isEndMark = true;
    this.leg = EVERY_LEG;
    this.enter(PLAIN);
  }

  private endField(at: number): void {
    const { roles, field, fieldStart } = this;
    const role = roles[field];
    const { bytes } = this.frames;
    if ((role & ROLE_KEY) !== 0 && this.key !== null) {
      const leg = this.key.ofText(bytes, fieldStart, at, this.isMarked);
      if (leg === UNKNOWN_SHARD) this.suspect(this.key.reason);
      this.keyLeg = leg === UNKNOWN_SHARD ? 0 : leg;
    }
    if ((role & ROLE_TIME) !== 0 && this.isTimeWord(bytes, fieldStart, at)) {
      this.suspect('a time is written as a word, which is another on each shard');
    }
    this.isMarked = false;
    if (field !== roles.length - 1) return;
    this.leg = this.key === null ? EVERY_LEG : this.keyLeg;
    this.enter(this.state);
  }

  private isTimeWord(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.isMarked) return hasTimeWord(bytes, start, end);
    const size = this.reader.read(bytes, start, end);
    return hasTimeWord(this.reader.bytes, 0, size);
  }

  /** At the end of a line's content. */
  private endLastField(at: number): void {
    if (this.leg !== UNPLACED) return;
    const { bytes } = this.frames;
    const isMark = at - this.rowStart === 2 && bytes[at - 2] === BACKSLASH && bytes[at - 1] === DOT;
    // The end of the data before Postgres 18, a value from there on.
    if (this.isCsv && isMark) this.suspect('a line of \\. alone has two meanings');
    this.endField(at);
    if (this.leg !== UNPLACED) return;
    if (this.key !== null && this.keyLeg === UNPLACED) this.suspect('a row ends before its sharding key');
    this.leg = this.key === null ? EVERY_LEG : Math.max(0, this.keyLeg);
  }

  private endLine(end: number): void {
    this.endRow(end);
    if (this.isEndMark || this.problem !== null) this.isEnded = true;
    this.line += 1 + this.innerLines;
    this.innerLines = 0;
    this.isHeader = false;
    this.field = 0;
    this.fieldStart = end;
    this.isMarked = false;
    this.keyLeg = UNPLACED;
    this.enter(PLAIN);
  }

  /** The last line need not have an end. */
  protected finish(): void {
    const { at } = this;
    if (this.state === RETURNED) {
      if (this.eol === EOL_BOTH) this.failEnd(RETURN);
      else this.endLine(at);
      return;
    }
    if (this.leg === UNPLACED && this.rowStart === at) return;
    this.endLastField(at);
    this.endRow(at);
  }

  protected shifted(by: number): void {
    this.fieldStart -= by;
    this.escapedAt -= by;
  }
}
