import type { LogEvent } from '@pgdog-cluster/core/status';
import type { Logger } from './logger.js';

/** Lines kept. They are shown to people, who look at the last few. */
const LINES_MAX = 50;
const MESSAGE_CHARS_MAX = 300;

/** The last warnings and errors of the log, for the dashboard: code and message, never the fields. */
export class RecentLog {
  /** Oldest first. */
  readonly #lines: LogEvent[] = [];

  /** The same logger; what it is told is noted here as well. */
  over(logger: Logger): Logger {
    return {
      isEnabled: (level) => logger.isEnabled(level),
      log: (level, code, message, fields) => {
        logger.log(level, code, message, fields);
        if (level === 'warn' || level === 'error') this.#note(level, code, message);
      },
      reopen: () => logger.reopen?.(),
      close: () => logger.close(),
    };
  }

  /** Newest first. */
  events(): LogEvent[] {
    return this.#lines.toReversed();
  }

  /** What comes again and again takes one line. */
  #note(level: LogEvent['level'], code: string, message: string): void {
    const text = message.slice(0, MESSAGE_CHARS_MAX);
    const last = this.#lines.at(-1);
    if (last !== undefined && last.code === code && last.message === text) {
      last.count++;
      last.atMs = Date.now();
      return;
    }
    this.#lines.push({ atMs: Date.now(), level, code, message: text, count: 1 });
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
  }
}
