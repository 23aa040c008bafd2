/**
 * Time-outs of rare things (cancels, last words). What is frequent has none of its own: the janitor walks over
 * queues and server connections, whose start times stand in them, so that a query costs no timer.
 */
export class Deadlines {
  private entries: { atMs: number; run: () => void }[] = [];

  add(atMs: number, run: () => void): void {
    this.entries.push({ atMs, run });
  }

  /** Runs what is due. */
  check(nowMs: number): void {
    if (this.entries.length === 0) return;
    const due = this.entries.filter(({ atMs }) => atMs <= nowMs);
    if (due.length === 0) return;
    this.entries = this.entries.filter(({ atMs }) => atMs > nowMs);
    for (const { run } of due) run();
  }
}
