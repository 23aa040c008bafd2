// ● per-frame path
import { isUtf8 } from 'node:buffer';
import { UNKNOWN_SHARD } from './shard-of-value.js';

/** A key as it is compared: integers as numbers, all others as their bytes, one character each. */
export type LookupKey = bigint | string;

/** After that a mapping that has been changed past us counts. RELOAD is sooner. */
const FRESH_MS = 600_000;
/** Of a key that has no shard yet, or could not be looked up. */
const BRIEF_MS = 1_000;
/** Longer ones are not asked for. */
const KEY_BYTES_MAX = 1024;
/** Of one answer beside its key, about. */
const ANSWER_BYTES = 150;
/** Asked for at once, at the most. */
export const MISSING_KEYS_MAX = 500;

interface LookupAnswer {
  /** UNKNOWN_SHARD: none. */
  readonly shard: number;
  /** Why it could not be found out; '' = it could. */
  readonly problem: string;
  readonly untilMs: number;
  readonly bytes: number;
  /** Since it was last a candidate for leaving. */
  isUsed: boolean;
}

/** A key that statements wait for. */
interface HeldKey {
  statementCount: number;
  answer: LookupAnswer | null;
}

/** What the last choice of a shard has come to beside its result. */
export const lookupOutcome = {
  /** To be asked for; then the choice is to be made again. */
  missing: [] as { readonly lookups: KeyLookups; readonly key: LookupKey }[],
  /** A key has no shard, by the query's word. */
  isUnmapped: false,
  /** A key could not be looked up. */
  problem: '',
};

/** Before a choice. */
export function beginLookups(): void {
  if (lookupOutcome.missing.length > 0) lookupOutcome.missing = [];
  lookupOutcome.isUnmapped = false;
  lookupOutcome.problem = '';
}

/** After a choice: it is to be made again when answers have come. None can help where a key could not be looked up. */
export function awaitsKeys(): boolean {
  return lookupOutcome.missing.length > 0 && lookupOutcome.problem === '';
}

/** Shards of keys that only a query knows (`lookup_query`): what it has said so far, within bounds. One per rule. */
export class KeyLookups {
  readonly rule: number;
  private readonly clock: { readonly nowMs: number };
  private readonly bytesMax: number;
  private readonly answers = new Map<LookupKey, LookupAnswer>();
  private bytes = 0;
  /** Beside what is remembered: a statement of many keys must come to its end, whatever there is room for. */
  private readonly held = new Map<LookupKey, HeldKey>();

  constructor(rule: number, bytesMax: number, clock: { readonly nowMs: number }) {
    this.rule = rule;
    this.bytesMax = bytesMax;
    this.clock = clock;
  }

  get size(): number {
    return this.answers.size;
  }

  /**
   * @param isText of a text type, which is asked for as text
   * @returns a shard or UNKNOWN_SHARD, of which `lookupOutcome` says more
   */
  find(key: LookupKey, isText = false): number {
    const answer = this.known(key);
    if (answer === null) {
      if (typeof key === 'string' && key.length > KEY_BYTES_MAX) {
        lookupOutcome.problem = `a key of ${key.length} bytes is too long to be looked up (${KEY_BYTES_MAX})`;
        return UNKNOWN_SHARD;
      }
      // Texts that are none would be asked for as another key: whoever waits for this one would wait for ever.
      if (isText && typeof key === 'string' && !isUtf8(Buffer.from(key, 'latin1'))) return UNKNOWN_SHARD;
      // exempt: a key that is not known yet
      if (lookupOutcome.missing.length < MISSING_KEYS_MAX) lookupOutcome.missing.push({ lookups: this, key });
      return UNKNOWN_SHARD;
    }
    answer.isUsed = true;
    if (answer.problem !== '') lookupOutcome.problem = answer.problem;
    else if (answer.shard === UNKNOWN_SHARD) lookupOutcome.isUnmapped = true;
    return answer.shard;
  }

  private known(key: LookupKey): LookupAnswer | null {
    const answer = this.answers.get(key);
    if (answer !== undefined && answer.untilMs > this.clock.nowMs) return answer;
    return this.held.get(key)?.answer ?? null;
  }

  /** A statement waits for it: its answer counts until that lets go of it, however long it waits for others. */
  hold(key: LookupKey): void {
    const held = this.held.get(key);
    if (held === undefined) this.held.set(key, { statementCount: 1, answer: null });
    else held.statementCount++;
  }

  letGo(key: LookupKey): void {
    const held = this.held.get(key);
    if (held !== undefined && --held.statementCount === 0) this.held.delete(key);
  }

  /** @param shard null: the query gives no row. `problem`: why it could not be asked; '' = it could */
  take(key: LookupKey, shard: number | null, problem: string): void {
    this.drop(key);
    const isFound = shard !== null && problem === '';
    const bytes = ANSWER_BYTES + (typeof key === 'string' ? key.length : 0);
    this.bytes += bytes;
    const answer: LookupAnswer = {
      shard: isFound ? shard : UNKNOWN_SHARD,
      problem,
      untilMs: this.clock.nowMs + (isFound ? FRESH_MS : BRIEF_MS),
      bytes,
      isUsed: false,
    };
    this.answers.set(key, answer);
    const held = this.held.get(key);
    if (held !== undefined) held.answer = answer;
    while (this.bytes > this.bytesMax && this.answers.size > 1) this.makeRoom();
  }

  clear(): void {
    this.answers.clear();
    this.bytes = 0;
    for (const held of this.held.values()) held.answer = null;
  }

  /** The oldest goes, unless it has been used since it was last looked at. */
  private makeRoom(): void {
    const [first] = this.answers;
    const [key, answer] = first;
    if (!answer.isUsed) {
      this.drop(key);
      return;
    }
    answer.isUsed = false;
    this.answers.delete(key);
    this.answers.set(key, answer);
  }

  private drop(key: LookupKey): void {
    const known = this.answers.get(key);
    if (known === undefined) return;
    this.bytes -= known.bytes;
    this.answers.delete(key);
  }
}
