// ● per-frame path
import { assert } from '../base/assert.js';
import type { KeyBuffer } from './key-buffer.js';

/** put(): the key is new, and the limit does not allow it; or too many keys have one hash. */
export const TABLE_FULL = -1;

/** Start, hash, and slots of which at most half are taken, after a doubling a quarter. */
const ENTRY_BYTES = 24;
/**
 * Longest chain of taken slots. With a table half full even ten million keys that have nothing to do with each other make
 * chains of about a hundred; keys that were made to meet must not hold up the worker.
 */
const CHAIN_MAX = 2048;
const LIMIT_MAX = 0x7fff_ffff;

/**
 * A set of keys, numbered from 0 in the order they came. Keys stand one after another in one buffer; open addressing.
 *
 *   #starts[entry] <= key < #starts[entry + 1];  #slots[hash & mask …] = entry + 1, 0: free
 */
export class KeyTable {
  readonly #limitBytes: number;
  #bytes = new Uint8Array(4096);
  #length = 0;
  #count = 0;
  #starts = new Int32Array(64);
  #hashes = new Int32Array(64);
  #slots = new Int32Array(128);
  /** Was the key of the last put() a new one? */
  isNew = false;

  constructor(limitBytes: number) {
    assert(limitBytes > 0 && limitBytes <= LIMIT_MAX, 'a set of keys has a limit below 2 GB');
    this.#limitBytes = limitBytes;
  }

  get count(): number {
    return this.#count;
  }

  /** What the limit is about. */
  get usedBytes(): number {
    return this.#length + this.#count * ENTRY_BYTES;
  }

  /** Where keys are: keyStart(entry) to keyStart(entry + 1). Another buffer after the next put(). */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  keyStart(entry: number): number {
    return this.#starts[entry];
  }

  /** The key's number, old or new; TABLE_FULL. */
  put(key: KeyBuffer): number {
    const hash = hashOf(key.bytes, key.length);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    let chain = 0;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      if (++chain > CHAIN_MAX) return TABLE_FULL;
      const entry = this.#slots[slot] - 1;
      if (this.#hashes[entry] === hash && this.#isKey(entry, key)) {
        this.isNew = false;
        return entry;
      }
    }
    this.isNew = true;
    if (this.usedBytes + key.length + ENTRY_BYTES > this.#limitBytes) return TABLE_FULL;
    return this.#add(key, hash, slot);
  }

  #isKey(entry: number, key: KeyBuffer): boolean {
    const start = this.#starts[entry];
    if (this.#starts[entry + 1] - start !== key.length) return false;
    for (let index = 0; index < key.length; index++) {
      if (this.#bytes[start + index] !== key.bytes[index]) return false;
    }
    return true;
  }

  #add(key: KeyBuffer, hash: number, slot: number): number {
    const entry = this.#count;
    const end = this.#length + key.length;
    if (end > this.#bytes.length) {
      // Not past the limit, which is for what is held and not only for what is used.
      const doubled = Math.min(2 * this.#bytes.length, Math.max(this.#limitBytes, end));
      const grown = new Uint8Array(Math.max(end, doubled));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    for (let index = 0; index < key.length; index++) this.#bytes[this.#length + index] = key.bytes[index];
    if (entry + 2 > this.#starts.length) this.#growEntries();
    this.#hashes[entry] = hash;
    this.#starts[entry + 1] = end;
    this.#slots[slot] = entry + 1;
    this.#length = end;
    this.#count = entry + 1;
    if (2 * this.#count > this.#slots.length) this.#rehash();
    return entry;
  }

  #growEntries(): void {
    const starts = new Int32Array(2 * this.#starts.length);
    const hashes = new Int32Array(2 * this.#starts.length);
    starts.set(this.#starts);
    hashes.set(this.#hashes);
    this.#starts = starts;
    this.#hashes = hashes;
  }

  #rehash(): void {
    const slots = new Int32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let entry = 0; entry < this.#count; entry++) {
      let slot = this.#hashes[entry] & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = entry + 1;
    }
    this.#slots = slots;
  }
}

/** FNV-1a, and murmur3's end to it: neighbouring slots are for keys that have nothing in common. */
function hashOf(bytes: Uint8Array, length: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let index = 0; index < length; index++) hash = Math.imul(hash ^ bytes[index], 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
