import { DATABASE_COLLATION } from '../shard/shard-catalog.js';
import type { MergePlan } from '../shard/shard-reading.js';
import { INCOMPARABLE, type ValueOrder } from './byte-order.js';
import type { Progress } from './row-sort.js';

/** Of a text beside its bytes: its entry in a map, and its number. */
const ENTRY_BYTES = 120;
/** Their question is made and sent in one turn of the loop: some 50 ms at most. */
const TEXTS_MAX = 200_000;
const DIGITS_MAX = 16 * 1024 * 1024;
const COMMA = 0x2c;
const ZERO = 0x30;

/** Texts of one collation, which is deterministic: of different bytes one is before the other. */
class Texts {
  readonly collation: string;
  /** By bytes: the place of the text, once Postgres has told. */
  readonly #places = new Map<string, number>();
  /** By number, from 0 on: the text's bytes, and the same in hexadecimal digits. */
  readonly #keys: string[] = [];
  readonly #digits: string[] = [];
  digitCount = 0;
  #answer = '';
  #at = 0;
  #placedCount = 0;

  constructor(collation: string) {
    this.collation = collation;
  }

  note(bytes: Uint8Array, start: number, end: number): void {
    const key = keyOf(bytes, start, end);
    if (this.#places.has(key)) return;
    this.#places.set(key, UNPLACED);
    this.#keys.push(key);
    this.#digits.push(Buffer.from(key, 'latin1').toString('hex'));
    this.digitCount += 2 * key.length;
  }

  get count(): number {
    return this.#keys.length;
  }

  get usedBytes(): number {
    return ENTRY_BYTES * this.count + 1.5 * this.digitCount;
  }

  /** Of fewer nothing is to be asked. */
  get isAsked(): boolean {
    return this.count > 1;
  }

  /** Numbers of the texts in their order, from 1 on. Texts are sent as digits: no encoding, no quoting is between. */
  get question(): string {
    return (
      "SELECT pg_catalog.string_agg(t.number::pg_catalog.text, ',' ORDER BY pg_catalog.convert_from(" +
      "pg_catalog.decode(t.digits, 'hex'), pg_catalog.getdatabaseencoding()) " +
      `COLLATE ${this.collation}) FROM pg_catalog.unnest(pg_catalog.string_to_array('${this.#digits.join(',')}', ',')) ` +
      'WITH ORDINALITY AS t (digits, number)'
    );
  }

  begin(answer: string): void {
    this.#answer = answer;
    this.#at = 0;
    this.#placedCount = 0;
  }

  /** Reads on in the answer. @returns how many texts it has read of `budget`, or -1: it is no answer */
  step(budget: number): number {
    const text = this.#answer;
    let read = 0;
    for (; read < budget && this.#placedCount < this.count; read++) {
      let number = 0;
      const from = this.#at;
      for (; this.#at < text.length && text.charCodeAt(this.#at) !== COMMA; this.#at++) {
        const digit = text.charCodeAt(this.#at) - ZERO;
        if (digit < 0 || digit > 9 || number > this.count) return -1;
        number = number * 10 + digit;
      }
      if (this.#at === from || number < 1 || number > this.count) return -1;
      const key = this.#keys[number - 1];
      if (this.#places.get(key) !== UNPLACED) return -1;
      this.#places.set(key, this.#placedCount++);
      this.#at++;
    }
    // One behind the last number, where a comma would have been.
    return this.#placedCount === this.count && this.#at !== text.length + 1 ? -1 : read;
  }

  get isPlaced(): boolean {
    return this.#placedCount === this.count;
  }

  /** Of texts that have been noted. */
  readonly order: ValueOrder = (a, aStart, aEnd, b, bStart, bEnd) => {
    const one = this.#places.get(keyOf(a, aStart, aEnd));
    const other = this.#places.get(keyOf(b, bStart, bEnd));
    return one === undefined || other === undefined ? INCOMPARABLE : Math.sign(one - other);
  };
}

/** Of a text that Postgres has not put in order: the only one, then. */
const UNPLACED = -1;

function keyOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

/**
 * The order of texts by collations, which Postgres alone has: all of an answer's are noted, one server puts them in order, and
 * they are compared by their places.
 *
 *   note() … question() → its one row → begin(), step() until it is done → order()
 */
export class TextRanking {
  readonly #texts = new Map<string, Texts>();

  /** Whether rows are sorted by such texts. */
  static isNeeded({ sort }: Pick<MergePlan, 'sort'>): boolean {
    return sort.some(({ collation }) => collation !== undefined);
  }

  of(collation: string): Pick<Texts, 'note' | 'order'> {
    const known = this.#texts.get(collation);
    if (known !== undefined) return known;
    const made = new Texts(collation);
    this.#texts.set(collation, made);
    return made;
  }

  get usedBytes(): number {
    let used = 0;
    for (const texts of this.#texts.values()) used += texts.usedBytes;
    return used;
  }

  get #asked(): Texts[] {
    return [...this.#texts.values()].filter(({ isAsked }) => isAsked);
  }

  /** They are too many to be asked for. */
  get isFull(): boolean {
    let [count, digitCount] = [0, 0];
    for (const texts of this.#texts.values()) {
      count += texts.count;
      digitCount += texts.digitCount;
    }
    return count > TEXTS_MAX || digitCount > DIGITS_MAX;
  }

  /** SQL, of one row with a value per collation; null: there is nothing to ask. */
  question(): string | null {
    const questions = this.#asked.map(({ question }) => `(${question})`);
    return questions.length === 0 ? null : `SELECT ${questions.join(', ')}`;
  }

  /** A question that is read as any other. */
  static sample(): string {
    const ranking = new TextRanking();
    for (const byte of [0x61, 0x62]) ranking.of(DATABASE_COLLATION).note(Uint8Array.of(byte), 0, 1);
    return ranking.question() ?? '';
  }

  /** @returns false: it is no answer to the question */
  begin(values: readonly (string | null)[]): boolean {
    const asked = this.#asked;
    if (values.length !== asked.length || values.includes(null)) return false;
    for (const [i, texts] of asked.entries()) texts.begin(values[i] ?? '');
    return true;
  }

  /** @param budget texts whose places are read: other sessions of the worker wait for each call */
  step(budget: number): Exclude<Progress, 'asks'> {
    let left = budget;
    for (const texts of this.#asked) {
      if (texts.isPlaced) continue;
      const read = texts.step(left);
      if (read < 0) return 'failed';
      left -= read;
      if (!texts.isPlaced) return 'more';
    }
    return 'done';
  }
}
