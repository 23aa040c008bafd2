import { findNul } from '../wire/cstring.js';

/** Verbs whose tags end with the number of rows; INSERT has an oid before it, which has been 0 for ever. */
const COUNTING = new Set(['SELECT', 'UPDATE', 'DELETE', 'INSERT 0', 'MERGE', 'COPY', 'FETCH', 'MOVE']);
/** Postgres counts in 64 bits. */
const COUNT_LIMIT = 1n << 64n;
const TAG_BYTES_MAX = 64;
const COUNT_DIGITS_MAX = 20;

/** One command tag made of those of several shards: counts add up, all else must be the same words. */
export class CompletionTag {
  #verb: string | null = null;
  /** null: tags of this verb have none. */
  #count: bigint | null = null;
  #hasFailed = false;

  /**
   * @param bytes bytes[start, end) is the body of a CommandComplete
   * @returns false when this tag and those before it do not make one
   */
  add(bytes: Uint8Array, start: number, end: number): boolean {
    const tag = readTag(bytes, start, end);
    if (tag === null) return this.#fail();
    const { verb, count } = splitTag(tag);
    if (this.#verb === null) {
      this.#verb = verb;
      this.#count = count;
    } else if (this.#verb !== verb || (this.#count === null) !== (count === null)) return this.#fail();
    else if (this.#count !== null && count !== null) this.#count += count;
    if (this.#count !== null && this.#count >= COUNT_LIMIT) return this.#fail();
    return !this.#hasFailed;
  }

  /** `INSERT 0 12`; null without any tag, and when tags do not make one. */
  text(): string | null {
    if (this.#hasFailed || this.#verb === null) return null;
    return this.#count === null ? this.#verb : `${this.#verb} ${this.#count}`;
  }

  #fail(): false {
    this.#hasFailed = true;
    return false;
  }
}

/** The tag without the NUL that ends it, or null. Tags are ASCII. */
function readTag(bytes: Uint8Array, start: number, end: number): string | null {
  if (start < 0 || end > bytes.length || end - start < 1 || end - start > TAG_BYTES_MAX) return null;
  if (findNul(bytes, start, end) !== end - 1) return null;
  let tag = '';
  for (let at = start; at < end - 1; at++) {
    if (bytes[at] > 0x7f) return null;
    tag += String.fromCharCode(bytes[at]);
  }
  return tag;
}

function splitTag(tag: string): { verb: string; count: bigint | null } {
  const space = tag.lastIndexOf(' ');
  const verb = space < 0 ? tag : tag.slice(0, space);
  const digits = tag.slice(space + 1);
  if (space < 0 || !COUNTING.has(verb) || !isCount(digits)) return { verb: tag, count: null };
  return { verb, count: BigInt(digits) };
}

function isCount(text: string): boolean {
  if (text.length < 1 || text.length > COUNT_DIGITS_MAX) return false;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x30 || unit > 0x39) return false;
  }
  return true;
}
