/** Latencies of one second, and what the status line says about them. */

export interface LatencySummary {
  count: number;
  meanMs: number;
  p99Ms: number;
}

export class LatencyWindow {
  #samplesMs: number[] = [];

  add(ms: number): void {
    this.#samplesMs.push(ms);
  }

  /** Summary of what was added since the last call; zeros when that is nothing. */
  take(): LatencySummary {
    const sorted = Float64Array.from(this.#samplesMs).sort();
    this.#samplesMs = [];
    if (sorted.length === 0) return { count: 0, meanMs: 0, p99Ms: 0 };
    const sumMs = sorted.reduce((sum, ms) => sum + ms, 0);
    // Nearest rank: the smallest sample that at least 99 % do not exceed.
    const rank = Math.ceil(sorted.length * 0.99) - 1;
    return { count: sorted.length, meanMs: sumMs / sorted.length, p99Ms: sorted[rank] };
  }
}
