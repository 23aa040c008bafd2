/** Codes counted at once. They come from a table of ours, so this bounds a defect, not the world. */
const CODES_MAX = 1024;

interface CodeCount {
  written: number;
  suppressed: number;
}

/** Lets `threshold` lines of one code through per window and counts the rest. The owner ends the windows. */
export class LogLimit {
  readonly #threshold: number;
  readonly #codes = new Map<string, CodeCount>();

  /** `threshold` 0 = everything passes. */
  constructor(threshold: number) {
    this.#threshold = threshold;
  }

  /** May this line be written? */
  admit(code: string): boolean {
    if (this.#threshold === 0) return true;
    let count = this.#codes.get(code);
    if (count === undefined) {
      if (this.#codes.size >= CODES_MAX) return true;
      count = { written: 0, suppressed: 0 };
      this.#codes.set(code, count);
    }
    if (count.written < this.#threshold) {
      count.written++;
      return true;
    }
    count.suppressed++;
    return false;
  }

  /** Starts the next window; returns how many lines of which codes the last one held back. */
  endWindow(): { code: string; suppressed: number }[] {
    const held = [...this.#codes].filter(([, { suppressed }]) => suppressed > 0);
    this.#codes.clear();
    return held.map(([code, { suppressed }]) => ({ code, suppressed }));
  }
}
