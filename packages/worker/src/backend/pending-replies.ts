// ● per-frame path
import type { QueryFigures } from '../plan/query-figures.js';

/**
 * What a server connection still owes, in order: one entry per frontend message that will be answered.
 * An entry is a kind (which message) or'ed with a disposition (what becomes of the answer), and optionally
 * an object: the statement concerned, or who is to be told.
 */

export const KIND_QUERY = 1;
export const KIND_SYNC = 2;
export const KIND_FUNCTION_CALL = 3;
export const KIND_PARSE = 4;
export const KIND_BIND = 5;
export const KIND_DESCRIBE = 6;
export const KIND_EXECUTE = 7;
export const KIND_CLOSE = 8;
/** CopyDone or CopyFail went by; not answered itself. See dropSyncsBeforeCopyEnd. */
export const KIND_COPY_END = 9;
export const KIND_MASK = 0x0f;

/** The answer goes to the client. */
export const FORWARD = 0x00;
/** The answer to a message of our own; `ref` may be an OwnExchange. */
export const SWALLOW = 0x10;
/** Nothing was sent: the answer is made by us when its turn comes. */
export const FAKE = 0x20;
/** The server will answer with an error of no interest; `ref` holds the ErrorResponse the client gets. */
export const REPLACE_ERROR = 0x30;
export const DISPOSITION_MASK = 0x30;

const CAPACITY_START = 16;

/** By code: 1 where a ReadyForQuery is owed to a client. */
const OWES_READY = new Uint8Array((DISPOSITION_MASK | KIND_MASK) + 1);
for (const kind of [KIND_QUERY, KIND_SYNC, KIND_FUNCTION_CALL]) {
  for (const disposition of [FORWARD, FAKE, REPLACE_ERROR]) OWES_READY[kind | disposition] = 1;
}

export class PendingReplies {
  private codes = new Uint8Array(CAPACITY_START);
  private refs: (object | null)[] = new Array(CAPACITY_START).fill(null);
  /** What the entry counts for in SHOW QUERIES, and when it was sent, us. */
  private figures: (QueryFigures | null)[] = new Array(CAPACITY_START).fill(null);
  private sent = new Float64Array(CAPACITY_START);
  /** Of an Execute that asks for a portion: rows at most. Of all others it says nothing. */
  private rowsMax = new Int32Array(CAPACITY_START);
  private first = 0;
  private count = 0;
  private readyCount = 0;

  get length(): number {
    return this.count;
  }

  /** Code of the entry whose answer comes next; 0 when nothing is owed. */
  head(): number {
    return this.count === 0 ? 0 : this.codes[this.first];
  }

  headRef(): object | null {
    return this.count === 0 ? null : this.refs[this.first];
  }

  headFigures(): QueryFigures | null {
    return this.count === 0 ? null : this.figures[this.first];
  }

  headSentUs(): number {
    return this.sent[this.first];
  }

  /**
   * The first that counts for something and was sent at a known time. A server tells of Parse and Bind when it has more to say:
   * they may stand before the Execute that it is at. Null: there is none.
   */
  underWay(): { readonly figures: QueryFigures; readonly sentUs: number } | null {
    for (let index = 0; index < this.count; index++) {
      const at = (this.first + index) & (this.codes.length - 1);
      const figures = this.figures[at];
      // exempt: of a client that goes while it waits
      if (figures !== null && this.sent[at] > 0) return { figures, sentUs: this.sent[at] };
    }
    return null;
  }

  /** Of an Execute that PortalSuspended answers: so many rows have come. */
  headRowsMax(): number {
    return this.rowsMax[this.first];
  }

  /** Of what was pushed last. */
  noteRowsMax(count: number): void {
    this.rowsMax[(this.first + this.count - 1) & (this.codes.length - 1)] = count;
  }

  push(code: number, ref: object | null, figures: QueryFigures | null = null, sentUs = 0): void {
    if (this.count === this.codes.length) this.grow();
    const at = (this.first + this.count) & (this.codes.length - 1);
    this.codes[at] = code;
    this.refs[at] = ref;
    this.figures[at] = figures;
    this.sent[at] = sentUs;
    this.count++;
    this.readyCount += OWES_READY[code];
  }

  pop(): void {
    this.readyCount -= OWES_READY[this.codes[this.first]];
    this.refs[this.first] = null;
    this.figures[this.first] = null;
    this.first = (this.first + 1) & (this.codes.length - 1);
    this.count--;
  }

  codeAt(index: number): number {
    return this.codes[(this.first + index) & (this.codes.length - 1)];
  }

  refAt(index: number): object | null {
    return this.refs[(this.first + index) & (this.codes.length - 1)];
  }

  /** How many ReadyForQuery are owed to a client. */
  get foreignReadyCount(): number {
    return this.readyCount;
  }

  /** Whether something is owed to a client, beside what we asked ourselves. */
  get hasForeign(): boolean {
    for (let index = 0; index < this.count; index++) {
      if ((this.codeAt(index) & DISPOSITION_MASK) !== SWALLOW) return true;
    }
    return false;
  }

  includesRef(ref: object | null): boolean {
    for (let index = 0; index < this.count; index++) if (this.refAt(index) === ref) return true;
    return false;
  }

  setCodeAt(index: number, code: number, ref: object | null): void {
    const at = (this.first + index) & (this.codes.length - 1);
    this.readyCount += OWES_READY[code] - OWES_READY[this.codes[at]];
    this.codes[at] = code;
    this.refs[at] = ref;
  }

  /** The entry at `source` as it is to `target`. */
  private move(target: number, source: number): void {
    const mask = this.codes.length - 1;
    const to = (this.first + target) & mask;
    const from = (this.first + source) & mask;
    this.codes[to] = this.codes[from];
    this.refs[to] = this.refs[from];
    this.figures[to] = this.figures[from];
    this.sent[to] = this.sent[from];
    this.rowsMax[to] = this.rowsMax[from];
  }

  private forget(index: number): void {
    const at = (this.first + index) & (this.codes.length - 1);
    this.codes[at] = 0;
    this.refs[at] = null;
    this.figures[at] = null;
  }

  clear(): void {
    while (this.count > 0) this.pop();
  }

  /**
   * The server entered COPY IN for the Query or Execute at the head: it reads on without answering the Sync messages
   * that were sent before the end of the copy (backend/commands/copyfromparse.c ignores them), so they
   * are struck out. Those behind a CopyDone or CopyFail stay.
   */
  dropSyncsBeforeCopyEnd(): void {
    let kept = 0;
    let isDropping = true;
    const total = this.count;
    for (let index = 0; index < total; index++) {
      const code = this.codeAt(index);
      const kind = code & KIND_MASK;
      // The server has never seen what we answer ourselves.
      const isSent = (code & DISPOSITION_MASK) !== FAKE;
      if (index > 0 && kind !== KIND_SYNC && isSent) isDropping = false;
      if (index > 0 && isDropping && isSent) {
        this.readyCount -= OWES_READY[code];
        continue;
      }
      this.move(kept, index);
      kept++;
    }
    for (let index = kept; index < total; index++) this.forget(index);
    this.count = kept;
  }

  /** COPY IN has begun. @returns whether its data have been sent ahead, to their end */
  copyBegan(): boolean {
    this.dropSyncsBeforeCopyEnd();
    return this.strikeCopyEnd();
  }

  /**
   * Whether the end of the copy that has just begun was sent already; its entry is struck out. What we answer ourselves may
   * stand before it: a Close, say, of which the server has never heard.
   */
  strikeCopyEnd(): boolean {
    let index = 1;
    while (index < this.count && (this.codeAt(index) & DISPOSITION_MASK) === FAKE) index++;
    if (index >= this.count || (this.codeAt(index) & KIND_MASK) !== KIND_COPY_END) return false;
    // Those before it move up, which makes the head's place free.
    const { readyCount } = this;
    for (; index > 0; index--) this.move(index, index - 1);
    this.pop();
    this.readyCount = readyCount;
    return true;
  }

  private grow(): void {
    const size = this.codes.length;
    const codes = new Uint8Array(size * 2);
    const refs: (object | null)[] = new Array(size * 2).fill(null);
    const figures: (QueryFigures | null)[] = new Array(size * 2).fill(null);
    const sent = new Float64Array(size * 2);
    const rowsMax = new Int32Array(size * 2);
    for (let index = 0; index < size; index++) {
      codes[index] = this.codeAt(index);
      const at = (this.first + index) & (size - 1);
      refs[index] = this.refs[at];
      figures[index] = this.figures[at];
      sent[index] = this.sent[at];
      rowsMax[index] = this.rowsMax[at];
    }
    this.codes = codes;
    this.refs = refs;
    this.figures = figures;
    this.sent = sent;
    this.rowsMax = rowsMax;
    this.first = 0;
  }
}
