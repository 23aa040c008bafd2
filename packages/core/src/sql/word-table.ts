/**
 * Words to numbers, looked up by bytes without making a string: an open-addressed hash table over ASCII
 * words, letters compared without case. For identifiers and keywords only: `byte | 0x20` folds upper case and
 * keeps every two other identifier bytes apart.
 */
export class WordTable {
  readonly #mask: number;
  /** Slot -> number of the word + 1; 0 is free. */
  readonly #slots: Uint16Array;
  readonly #values: number[] = [];
  /** Word n occupies bytes offsets[n]..offsets[n + 1], already folded. */
  readonly #offsets: number[] = [0];
  #bytes: Uint8Array;
  readonly #lengthMax: number;

  /** @param words at most 32,768, ASCII; values are above 0 */
  constructor(words: ReadonlyMap<string, number>) {
    let slotCount = 16;
    // At most a quarter full: nearly every look-up of an absent word ends at its first slot.
    while (slotCount < words.size * 4) slotCount *= 2;
    this.#mask = slotCount - 1;
    this.#slots = new Uint16Array(slotCount);
    let total = 0;
    let lengthMax = 0;
    for (const word of words.keys()) {
      total += word.length;
      lengthMax = Math.max(lengthMax, word.length);
    }
    this.#bytes = new Uint8Array(total);
    this.#lengthMax = lengthMax;
    for (const [word, value] of words) this.#add(word, value);
  }

  /** @returns the word's value, or 0 */
  find(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length > this.#lengthMax) return 0;
    let hash = length;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] | 0x20), 0x01000193);
    hash ^= hash >>> 15;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const number = this.#slots[slot] - 1;
      if (number < 0) return 0;
      if (this.#isEqual(number, bytes, start, length)) return this.#values[number];
    }
  }

  #isEqual(number: number, bytes: Uint8Array, start: number, length: number): boolean {
    const offset = this.#offsets[number];
    if (this.#offsets[number + 1] - offset !== length) return false;
    for (let i = 0; i < length; i++) {
      if ((bytes[start + i] | 0x20) !== this.#bytes[offset + i]) return false;
    }
    return true;
  }

  #add(word: string, value: number): void {
    const number = this.#values.length;
    const offset = this.#offsets[number];
    let hash = word.length;
    for (let i = 0; i < word.length; i++) {
      const byte = word.charCodeAt(i) | 0x20;
      this.#bytes[offset + i] = byte;
      hash = Math.imul(hash ^ byte, 0x01000193);
    }
    hash ^= hash >>> 15;
    let slot = hash & this.#mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = number + 1;
    this.#values.push(value);
    this.#offsets.push(offset + word.length);
  }
}
