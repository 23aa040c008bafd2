import type { LogFields } from './logger.js';

const SPACE = 0x20;
const QUOTE = 0x22;
const EQUALS = 0x3d;
const DELETE = 0x7f;
/** The last of the C1 controls, which begin at DELETE + 1. */
const C1_LAST = 0x9f;

/** Values that need no quotes: a reader can split the line at spaces and the first "=". */
function isPlain(text: string): boolean {
  if (text === '') return false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= SPACE || code === QUOTE || code === EQUALS || code === DELETE) return false;
  }
  return true;
}

function isControl(code: number): boolean {
  return code < SPACE || (code >= DELETE && code <= C1_LAST);
}

/** Control characters would let a client's user name forge log lines or move the terminal's cursor. */
function withoutControls(text: string): string {
  let at = 0;
  while (at < text.length && !isControl(text.charCodeAt(at))) at++;
  // Nearly always; building the text anew would cost more than the rest of the line.
  if (at === text.length) return text;
  let clean = text.slice(0, at);
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    clean += isControl(code) ? `\\x${code.toString(16).padStart(2, '0')}` : text[at];
  }
  return clean;
}

function formatValue(value: string | number | boolean | null): string {
  if (typeof value !== 'string') return String(value);
  return isPlain(value) ? withoutControls(value) : withoutControls(JSON.stringify(value));
}

let lastTimeMs = Number.NaN;
let lastTime = '';

/** Lines come in batches of one time, and formatting it costs as much as the rest. */
function isoTime(timeMs: number): string {
  if (timeMs !== lastTimeMs) {
    lastTimeMs = timeMs;
    lastTime = new Date(timeMs).toISOString();
  }
  return lastTime;
}

/** `2026-11-23T19:00:00.000Z INFO code message key=value` and a line end. */
export function formatTextLine(
  timeMs: number,
  level: string,
  code: string,
  message: string,
  fields: LogFields,
): string {
  let line = `${isoTime(timeMs)} ${level.toUpperCase()} ${code} ${withoutControls(message)}`;
  for (const [key, value] of Object.entries(fields)) line += ` ${key}=${formatValue(value)}`;
  return `${line}\n`;
}
