import type { LogCode, LogLevel, LogLine } from '@pgdog-cluster/core';
import { LogLimits } from './log-limits.js';
import type { LogFields } from './worker-context.js';

/** Lines of a worker until the supervisor gets them: a message a line would cost more than serving a short connection. */
export class WorkerLog {
  private readonly limits = new LogLimits();
  private lines: LogLine[] = [];

  write(level: LogLevel, code: LogCode, message: string, fields: LogFields): void {
    if (this.limits.admits(code)) this.lines.push({ level, code, message, fields });
  }

  /** What there is to be told; null: nothing. */
  take(nowMs: number): LogLine[] | null {
    this.limits.check(nowMs, this.lines);
    if (this.lines.length === 0) return null;
    const { lines } = this;
    this.lines = [];
    return lines;
  }
}
