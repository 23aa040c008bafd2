/*
 * ● Numbers by 128-bit hash, the least recently used first to go: plain typed arrays that grow by doubling, and neither a
 * string nor an object per look-up. An entry costs ENTRY_BYTES here.
 */

/** Four words of hash, next of its chain, two neighbours by time of use, and a head of a chain. */
export const ENTRY_BYTES = 8 * 4;
const NONE = -1;
const FIRST_CAPACITY = 256;

export class ShapeTable {
  /** Entries in use. */
  count = 0;
  #capacity = FIRST_CAPACITY;
  #hashes = new Int32Array(FIRST_CAPACITY * 4);
  #heads = new Int32Array(FIRST_CAPACITY).fill(NONE);
  /** Of a chain; of the free entries. */
  #nexts = new Int32Array(FIRST_CAPACITY);
  #newer = new Int32Array(FIRST_CAPACITY);
  #older = new Int32Array(FIRST_CAPACITY);
  #free = NONE;
  /** Entries from here on were never used. */
  #fresh = 0;
  #newest = NONE;
  #oldest = NONE;

  /** The entry to throw out when room is needed; -1 when there is none. */
  get oldest(): number {
    return this.#oldest;
  }

  /** @returns the entry's number, or -1 */
  find(hash: Int32Array): number {
    const hashes = this.#hashes;
    let entry = this.#heads[hash[0] & (this.#capacity - 1)];
    for (; entry !== NONE; entry = this.#nexts[entry]) {
      const at = entry * 4;
      const isSame =
        hashes[at] === hash[0] &&
        hashes[at + 1] === hash[1] &&
        hashes[at + 2] === hash[2] &&
        hashes[at + 3] === hash[3];
      if (isSame) break;
    }
    return entry;
  }

  /** It has been used just now. */
  use(entry: number): void {
    if (entry === this.#newest) return;
    this.#unlink(entry);
    this.#pushNewest(entry);
  }

  /** @returns the number of the new entry, which is the newest one; `hash` must not be there yet */
  add(hash: Int32Array): number {
    let entry = this.#free;
    if (entry !== NONE) this.#free = this.#nexts[entry];
    else {
      if (this.#fresh === this.#capacity) this.#grow();
      entry = this.#fresh++;
    }
    for (let i = 0; i < 4; i++) this.#hashes[entry * 4 + i] = hash[i];
    this.#chain(entry);
    this.#pushNewest(entry);
    this.count++;
    return entry;
  }

  remove(entry: number): void {
    this.#unlink(entry);
    const bucket = this.#hashes[entry * 4] & (this.#capacity - 1);
    let before = NONE;
    let at = this.#heads[bucket];
    while (at !== entry) {
      before = at;
      at = this.#nexts[at];
    }
    if (before === NONE) this.#heads[bucket] = this.#nexts[entry];
    else this.#nexts[before] = this.#nexts[entry];
    this.#nexts[entry] = this.#free;
    this.#free = entry;
    this.count--;
  }

  #chain(entry: number): void {
    const bucket = this.#hashes[entry * 4] & (this.#capacity - 1);
    this.#nexts[entry] = this.#heads[bucket];
    this.#heads[bucket] = entry;
  }

  /** All entries are in use then. */
  #grow(): void {
    const capacity = this.#capacity * 2;
    const copy = (from: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> => {
      const made = new Int32Array(length);
      made.set(from);
      return made;
    };
    this.#hashes = copy(this.#hashes, capacity * 4);
    this.#nexts = copy(this.#nexts, capacity);
    this.#newer = copy(this.#newer, capacity);
    this.#older = copy(this.#older, capacity);
    this.#heads = new Int32Array(capacity).fill(NONE);
    this.#capacity = capacity;
    for (let entry = 0; entry < this.#fresh; entry++) this.#chain(entry);
  }

  #pushNewest(entry: number): void {
    this.#newer[entry] = NONE;
    this.#older[entry] = this.#newest;
    if (this.#newest !== NONE) this.#newer[this.#newest] = entry;
    this.#newest = entry;
    if (this.#oldest === NONE) this.#oldest = entry;
  }

  #unlink(entry: number): void {
    const newer = this.#newer[entry];
    const older = this.#older[entry];
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
  }
}
