import type { LogCode, LogLevel } from '@pgdog-cluster/core';
import { bareLogLevel } from '@pgdog-cluster/core/config';
import pino from 'pino';
import { type LogDestination, standardOutput } from './log-destination.js';
import { LogLimit } from './log-limit.js';
import { formatTextLine } from './text-line.js';

export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

export interface Logger {
  /** One event, one line. `code` is stable and rate-limited on its own. Never pass a secret or a literal. */
  log(level: LogLevel, code: LogCode, message: string, fields?: LogFields): void;
  isEnabled(level: LogLevel): boolean;
  /**
   * The file of the log has been moved away: opens it anew. Absent: there is none.
   * @throws the system's error: then the one that was moved is written on
   */
  reopen?(): void;
  /**
   * Writes out what is buffered and stops timers. The logger still works afterwards. Resolves in a second at most, whatever
   * became of the lines. Idempotent.
   */
  close(): Promise<void>;
}

/** The [general] keys a logger needs. */
export interface LogSettings {
  log_format: 'text' | 'json' | 'json_flattened';
  log_level: string;
  log_dedup_window: number;
  log_dedup_threshold: number;
}

const RANKS: Record<LogLevel, number> = { debug: 20, info: 30, warn: 40, error: 50 };
const RANK_OFF = Number.POSITIVE_INFINITY;

function rankOf(filter: string): number {
  const level = bareLogLevel(filter);
  if (level === 'off') return RANK_OFF;
  // Nothing here is finer than debug; trace means all there is.
  return level === 'trace' ? RANKS.debug : (RANKS[level as LogLevel] ?? RANKS.info);
}

type WriteLine = (level: LogLevel, code: string, message: string, fields: LogFields) => void;

/** PgDog's `json` nests message and fields under "fields"; `json_flattened` has them at the top. */
function jsonWriter(isFlattened: boolean, destination: LogDestination): WriteLine {
  const logger = pino(
    {
      level: 'trace',
      base: null,
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
    },
    { write: (text: string) => void destination.write(text) },
  );
  return (level, code, message, fields) => {
    if (isFlattened) logger[level]({ code, ...fields }, message);
    else logger[level]({ code, fields: { message, ...fields } });
  };
}

function textWriter(destination: LogDestination): WriteLine {
  return (level, code, message, fields) => {
    destination.write(formatTextLine(Date.now(), level, code, message, fields));
  };
}

export function createLogger(settings: LogSettings, destination: LogDestination = standardOutput()): Logger {
  const threshold = rankOf(settings.log_level);
  const isText = settings.log_format === 'text';
  const write = isText
    ? textWriter(destination)
    : jsonWriter(settings.log_format === 'json_flattened', destination);
  const { log_dedup_window: windowMs, log_dedup_threshold: lineMax } = settings;
  const limit = new LogLimit(windowMs > 0 ? lineMax : 0);
  const endWindow = () => {
    for (const { code, suppressed } of limit.endWindow()) {
      write('info', code, 'further lines of this code were held back', { count: suppressed });
    }
  };
  const tellLost = () => {
    const count = destination.takeLost?.() ?? 0;
    if (count > 0)
      write('warn', 'log_lines_lost', 'lines were dropped: they could not be written', { count });
  };
  const timer = windowMs > 0 && lineMax > 0 ? setInterval(endWindow, windowMs) : null;
  timer?.unref();
  return {
    isEnabled: (level) => RANKS[level] >= threshold,
    log: (level, code, message, fields = {}) => {
      if (RANKS[level] < threshold || !limit.admit(code)) return;
      tellLost();
      write(level, code, message, fields);
    },
    reopen: () => destination.reopen?.(),
    close: async () => {
      if (timer !== null) clearInterval(timer);
      endWindow();
      tellLost();
      await destination.flush?.();
    },
  };
}
