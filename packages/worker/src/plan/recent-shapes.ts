/** Once there is no room, a shape is kept only when it comes a second time within about this many others. */
const RECENT_SLOTS = 4096;

/** Which shapes came not long ago, by hash: what keeps a flood of shapes that never come back from pushing others out. */
export class RecentShapes {
  /** First word of the hash last seen per slot. */
  readonly #first = new Int32Array(RECENT_SLOTS);

  /** Whether the hash was seen not long ago; the next time it was. */
  hasSeen(hash: Int32Array): boolean {
    const slot = hash[1] & (RECENT_SLOTS - 1);
    if (this.#first[slot] === hash[0]) return true;
    this.#first[slot] = hash[0];
    return false;
  }
}
