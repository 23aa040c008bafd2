const WINDOW_MS = 1000;

/** Lets so many lines a second through and counts the rest. One per thread and kind of line. */
export class LogAllowance {
  private readonly linesMax: number;
  private windowStartMs = 0;
  private lines = 0;
  private suppressed = 0;

  constructor(linesMax: number) {
    this.linesMax = linesMax;
  }

  /** How many were not logged since the last one that was; -1 = nor must this one be. */
  take(nowMs: number): number {
    if (nowMs - this.windowStartMs >= WINDOW_MS) {
      this.windowStartMs = nowMs;
      this.lines = 0;
    }
    if (++this.lines > this.linesMax) {
      this.suppressed++;
      return -1;
    }
    const { suppressed } = this;
    this.suppressed = 0;
    return suppressed;
  }
}
