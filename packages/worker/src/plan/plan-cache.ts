import {
  PLAIN_BACKSLASH_PLAN,
  PLAIN_PLAN,
  readSqlBytes,
  type SqlParser,
  type SqlPlan,
  UNREAD_PLAN,
} from '@pgdog-cluster/core';

interface Entry {
  hash: number;
  text: Buffer;
  plan: SqlPlan;
  /** Next entry whose text has the same hash. */
  next: Entry | null;
  /** Neighbours by time of last use. */
  newer: Entry | null;
  older: Entry | null;
}

/** Texts of one hash kept at a time: who finds colliding texts on purpose slows nobody's look-ups. */
const CHAIN_MAX = 4;
/** Above this length a call into Node's memcmp costs less than a loop. */
const NATIVE_COMPARE_BYTES = 128;
/** Plain texts are remembered only when they come a second time within about this many others. */
const RECENT_SLOTS = 4096;

/**
 * Plans by exact text, the least recently used thrown out first, bounded in entries and in bytes of text.
 *
 * Texts that the lexer finds plain are cheap to read again and, with literals in them, mostly never come
 * back: they are stored only on their second appearance, so that a hundred thousand of them neither push out
 * the plans that cost a parse nor make garbage.
 */
export class PlanCache {
  readonly #parser: SqlParser;
  readonly #entriesMax: number;
  readonly #textBytesMax: number;
  readonly #byHash = new Map<number, Entry>();
  /** Hash of the last plain text seen per slot. */
  readonly #recent = new Int32Array(RECENT_SLOTS);
  #newest: Entry | null = null;
  #oldest: Entry | null = null;
  #entryCount = 0;
  #textBytes = 0;

  /**
   * Some database of this worker has several hosts: every plan must say where its statement may run. The short cut
   * for harmless texts, which says nothing of that, is not taken then.
   */
  givesRoutes: boolean;

  /** @param textBytesMax sum of the texts' lengths; the plans made of them take about the same again */
  constructor(parser: SqlParser, entriesMax: number, textBytesMax: number, givesRoutes = false) {
    this.givesRoutes = givesRoutes;
    this.#parser = parser;
    this.#entriesMax = entriesMax;
    this.#textBytesMax = textBytesMax;
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  get textBytes(): number {
    return this.#textBytes;
  }

  /**
   * The plan of bytes[start, end), a text without its closing NUL. Never throws; the plan is shared and must
   * not be changed. A caller asks isPlainSql first.
   */
  lookup(bytes: Uint8Array, start: number, end: number): SqlPlan {
    const hash = hashOf(bytes, start, end);
    const found = this.#find(hash, bytes, start, end);
    if (found !== null && this.givesRoutes && isPlain(found.plan)) this.#remove(found);
    else if (found !== null) {
      this.#use(found);
      return found.plan;
    }
    const plan = readSqlBytes(bytes, start, end, this.#parser, this.givesRoutes);
    if (this.#isWorthKeeping(plan, hash, end - start)) {
      // Not slice(), which on a Buffer makes a view of memory that will soon hold something else.
      this.#add(hash, Buffer.from(new Uint8Array(bytes.subarray(start, end)).buffer), plan);
    }
    return plan;
  }

  #find(hash: number, bytes: Uint8Array, start: number, end: number): Entry | null {
    const length = end - start;
    for (let entry = this.#byHash.get(hash) ?? null; entry !== null; entry = entry.next) {
      if (entry.text.length === length && isEqual(entry.text, bytes, start, end)) return entry;
    }
    return null;
  }

  #isWorthKeeping(plan: SqlPlan, hash: number, length: number): boolean {
    // One text may take an eighth of the room; longer ones are read each time.
    if (length * 8 > this.#textBytesMax || this.#entriesMax < 1) return false;
    // Cheap to find again, and the parser may have failed for the moment only.
    if (plan === UNREAD_PLAN) return false;
    if (!isPlain(plan)) return true;
    const slot = hash & (RECENT_SLOTS - 1);
    if (this.#recent[slot] === hash) return true;
    this.#recent[slot] = hash;
    return false;
  }

  #add(hash: number, text: Buffer, plan: SqlPlan): void {
    const head = this.#byHash.get(hash) ?? null;
    this.#trimChain(head);
    const entry: Entry = { hash, text, plan, next: this.#byHash.get(hash) ?? null, newer: null, older: null };
    this.#byHash.set(hash, entry);
    this.#entryCount++;
    this.#textBytes += text.length;
    this.#pushNewest(entry);
    while (this.#entryCount > this.#entriesMax || this.#textBytes > this.#textBytesMax) {
      this.#remove(this.#oldest!);
    }
  }

  /** Makes room for one more text of the same hash. */
  #trimChain(head: Entry | null): void {
    let count = 0;
    let last: Entry | null = null;
    for (let entry = head; entry !== null; entry = entry.next) {
      count++;
      last = entry;
    }
    if (last !== null && count >= CHAIN_MAX) this.#remove(last);
  }

  #use(entry: Entry): void {
    if (entry === this.#newest) return;
    this.#unlink(entry);
    this.#pushNewest(entry);
  }

  #pushNewest(entry: Entry): void {
    entry.newer = null;
    entry.older = this.#newest;
    if (this.#newest !== null) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
  }

  #unlink(entry: Entry): void {
    if (entry.newer === null) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    if (entry.older === null) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
  }

  #remove(entry: Entry): void {
    this.#unlink(entry);
    this.#entryCount--;
    this.#textBytes -= entry.text.length;
    const head = this.#byHash.get(entry.hash)!;
    if (head === entry) {
      if (entry.next === null) this.#byHash.delete(entry.hash);
      else this.#byHash.set(entry.hash, entry.next);
      return;
    }
    let before = head;
    while (before.next !== entry) before = before.next!;
    before.next = entry.next;
  }
}

function isPlain(plan: SqlPlan): boolean {
  return plan === PLAIN_PLAN || plan === PLAIN_BACKSLASH_PLAN;
}

function isEqual(text: Buffer, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length > NATIVE_COMPARE_BYTES) return text.compare(bytes, start, end) === 0;
  for (let i = 0; i < text.length; i++) if (text[i] !== bytes[start + i]) return false;
  return true;
}

/** Only spreads, equality is decided by the bytes. Four bytes a step: a multiplication's latency is the cost. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  for (const last = end - 3; at < last; at += 4) {
    const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  return hash ^ (hash >>> 13);
}
