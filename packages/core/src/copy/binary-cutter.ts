// ● per-frame path
import { UNKNOWN_SHARD } from '../shard/shard-of-value.js';
import { readLength } from '../wire/message-type.js';
import { type CopyFrames, EVERY_LEG } from './copy-frames.js';
import type { CopyKey } from './copy-key.js';
import { RowCutter, UNPLACED } from './row-cutter.js';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const EXTENSION_LENGTH_AT = SIGNATURE.length + 4;
const HEAD_BYTES = EXTENSION_LENGTH_AT + 4;
const TRAILER = -1;
const IS_NULL = -1;

// What comes next.
const HEAD = 0;
const EXTENSION = 1;
const COUNT = 2;
const LENGTH = 3;
const VALUE = 4;
/** Behind the trailer nothing should come. */
const TAIL = 5;

/** The binary format: https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-BINARY */
export class BinaryCutter extends RowCutter {
  private readonly key: CopyKey;
  private readonly columnCount: number;
  private state = HEAD;
  private field = 0;
  /** Of the header's extension, or of a value, to come. */
  private left = 0;

  constructor(frames: CopyFrames, columnCount: number, key: CopyKey) {
    super(frames);
    this.columnCount = columnCount;
    this.key = key;
  }

  protected readOn(): void {
    let isMore = true;
    while (isMore && !this.isEnded) isMore = this.step();
  }

  private get available(): number {
    return this.frames.inputEnd - this.at;
  }

  private word(at: number): number {
    // Signed.
    return readLength(this.frames.bytes, at) | 0;
  }

  /** @returns false: more must be there first */
  private step(): boolean {
    switch (this.state) {
      case HEAD:
        return this.readHead();
      case EXTENSION:
        if (this.skip()) this.endPart(COUNT);
        return this.state !== EXTENSION;
      case COUNT:
        return this.readCount();
      case LENGTH:
        return this.readLength();
      case VALUE:
        return this.readValue();
      default:
        this.at = this.frames.inputEnd;
        return false;
    }
  }

  private readHead(): boolean {
    if (this.available < HEAD_BYTES) return false;
    const { bytes } = this.frames;
    const isSigned = SIGNATURE.every((byte, i) => bytes[this.at + i] === byte);
    this.left = this.word(this.at + EXTENSION_LENGTH_AT);
    this.leg = EVERY_LEG;
    this.at += HEAD_BYTES;
    this.state = EXTENSION;
    if (!isSigned || this.left < 0) this.stop('the header of the data cannot be read');
    return true;
  }

  private readCount(): boolean {
    if (this.available < 2) return false;
    const { bytes } = this.frames;
    // Signed.
    const count = (((bytes[this.at] << 8) | bytes[this.at + 1]) << 16) >> 16;
    this.at += 2;
    if (count === TRAILER) {
      this.leg = EVERY_LEG;
      this.state = TAIL;
    } else if (count !== this.columnCount) {
      this.stop(`a row has ${count} fields instead of ${this.columnCount}`);
    } else {
      this.field = 0;
      this.state = LENGTH;
    }
    return true;
  }

  private readLength(): boolean {
    if (this.available < 4) return false;
    const length = this.word(this.at);
    this.at += 4;
    if (length < IS_NULL) {
      this.stop('a field has an impossible length');
      return true;
    }
    if (length === IS_NULL) {
      if (this.field === this.key.index) this.place(this.key.ofNull());
      this.endField();
    } else {
      this.left = length;
      this.state = VALUE;
    }
    return true;
  }

  private readValue(): boolean {
    if (this.field === this.key.index) {
      if (this.available < this.left) return false;
      const start = this.at;
      this.at += this.left;
      this.left = 0;
      this.place(this.key.ofBinary(this.frames.bytes, start, this.at));
    } else if (!this.skip()) return false;
    this.endField();
    return true;
  }

  /** @returns whether all of it has been there */
  private skip(): boolean {
    const size = Math.min(this.left, this.available);
    this.at += size;
    this.left -= size;
    return this.left === 0;
  }

  private place(shard: number): void {
    if (shard === UNKNOWN_SHARD) this.suspect(this.key.reason);
    this.leg = Math.max(0, shard);
  }

  private endField(): void {
    this.state = LENGTH;
    if (++this.field < this.columnCount) return;
    this.endPart(COUNT);
    this.line++;
    if (this.problem !== null) this.isEnded = true;
  }

  private endPart(state: number): void {
    this.endRow(this.at);
    this.state = state;
  }

  /** What comes cannot be followed: some shard gets it and says so. */
  private stop(text: string): void {
    this.suspect(text);
    if (this.leg === UNPLACED) this.leg = 0;
    this.endRow(this.at);
    this.isEnded = true;
  }

  protected finish(): void {
    if (this.state === COUNT && this.available === 0) return;
    if (this.state === TAIL) return;
    const isHead = this.state === HEAD || this.state === EXTENSION;
    this.at = this.frames.inputEnd;
    if (this.leg === UNPLACED) this.leg = isHead ? EVERY_LEG : 0;
    if (!isHead) this.suspect('the data end in the middle of a row');
    this.endRow(this.at);
  }

  protected shifted(): void {}
}
