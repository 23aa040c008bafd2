import type { LogCode, LogLine } from '@pgdog-cluster/core';

const WINDOW_MS = 1000;
/**
 * Lines of one code in a window. Clients can cause any number of them, and each costs a message to another thread and a write.
 */
export const LINES_PER_WINDOW_MAX = 100;
/** Asked for one by one, by a setting of their own. */
const UNLIMITED: ReadonlySet<LogCode> = new Set<LogCode>(['client_connected', 'client_disconnected']);

interface CodeCount {
  lines: number;
  leftOut: number;
}

/** Lets so many lines of a code through in each window, and counts the rest. One per worker. */
export class LogLimits {
  private readonly codes = new Map<LogCode, CodeCount>();
  private startMs = 0;
  private hasLeftOut = false;

  admits(code: LogCode): boolean {
    if (UNLIMITED.has(code)) return true;
    let count = this.codes.get(code);
    if (count === undefined) {
      count = { lines: 0, leftOut: 0 };
      this.codes.set(code, count);
    }
    if (count.lines < LINES_PER_WINDOW_MAX) {
      count.lines++;
      return true;
    }
    count.leftOut++;
    this.hasLeftOut = true;
    return false;
  }

  /** When the window is over, a line for each code of which some were left out. */
  check(nowMs: number, lines: LogLine[]): void {
    // It begins with its first line.
    if (this.codes.size === 0) this.startMs = nowMs;
    if (nowMs - this.startMs < WINDOW_MS) return;
    this.startMs = nowMs;
    if (this.hasLeftOut) this.tell(lines);
    this.hasLeftOut = false;
    this.codes.clear();
  }

  private tell(lines: LogLine[]): void {
    for (const [code, { leftOut: count }] of this.codes) {
      const message = 'more lines of this code were left out';
      if (count > 0) lines.push({ level: 'warn', code, message, fields: { count } });
    }
  }
}
