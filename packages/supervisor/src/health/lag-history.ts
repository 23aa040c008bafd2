/** Positions of one primary over time, to tell how old is what a replica shows. */

interface Entry {
  lsn: number;
  /** When the primary was first and last seen at it. */
  firstMs: number;
  lastMs: number;
  /** When it was last asked and turned out to be at it still: all it had committed by then lies before it. */
  askedMs: number;
}

export interface Lag {
  /** -1 = unknown. */
  ms: number;
  bytes: number;
}

export const UNKNOWN_LAG: Lag = { ms: -1, bytes: -1 };

/** At five probes a second some minutes; then thinned out, so that days fit in. */
const ENTRIES_MAX = 1_024;
/** Of a lag that long, how much it may be out: one part in so many. */
const AGE_STEPS = 32;

export class LagHistory {
  #entries: Entry[] = [];

  /** Another primary: its positions continue nobody's. */
  clear(): void {
    this.#entries = [];
  }

  note(lsn: number, atMs: number, askedMs = atMs): void {
    const last = this.#entries.at(-1);
    const entry: Entry = { lsn, firstMs: atMs, lastMs: atMs, askedMs };
    if (last === undefined || lsn > last.lsn) this.#entries.push(entry);
    else if (lsn === last.lsn) {
      last.lastMs = atMs;
      last.askedMs = askedMs;
    } else this.#entries = [entry];
    if (this.#entries.length > ENTRIES_MAX) this.#thinOut();
  }

  /**
   * Of a replica that was asked at `atMs` and had replayed up to `lsn`: nothing when that is all the primary is known
   * to have written by then, or the age of the newest position it has reached. So an idle primary makes no lag, and no
   * clock but ours counts. A lag shorter than the time between two probes is not seen.
   */
  lagOf(lsn: number, atMs: number): Lag {
    const newest = this.#entries.findLastIndex(({ firstMs }) => firstMs <= atMs);
    if (newest === -1 || lsn === 0) return UNKNOWN_LAG;
    const bytes = Math.max(0, this.#entries[newest].lsn - lsn);
    if (bytes === 0) return { ms: 0, bytes };
    const reached = this.#entries.findLastIndex((entry) => entry.lsn <= lsn);
    if (reached === -1) return { ms: -1, bytes };
    return { ms: Math.max(0, atMs - this.#entries[reached].lastMs), bytes };
  }

  /** A replica that has replayed up to `lsn` shows all that was committed before this time; 0 = unknown. */
  shownMs(lsn: number): number {
    return this.#entries.findLast((entry) => entry.lsn <= lsn)?.askedMs ?? 0;
  }

  /** The older an entry, the further apart: a lag over a gap comes out longer, by its small part, never shorter. */
  #thinOut(): void {
    const entries = this.#entries;
    const nowMs = entries[entries.length - 1].lastMs;
    const kept = [entries[0]];
    for (let index = 1; index < entries.length - 1; index++) {
      const gapMs = entries[index + 1].lastMs - kept[kept.length - 1].lastMs;
      if (gapMs > (nowMs - entries[index + 1].lastMs) / AGE_STEPS) kept.push(entries[index]);
    }
    kept.push(entries[entries.length - 1]);
    this.#entries = kept;
  }
}
