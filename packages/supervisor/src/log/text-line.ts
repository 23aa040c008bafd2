import type { LogFields } from './logger.js';

/** Values that need no quotes: a reader can split the line at spaces and the first "=". */
function isPlain(text: string): boolean {
  if (text === '') return false;
  for (const char of text) if (char <= ' ' || char === '"' || char === '=' || char === '\x7f') return false;
  return true;
}

/** Control characters would let a client's user name forge log lines or move the terminal's cursor. */
function withoutControls(text: string): string {
  let clean = '';
  for (const char of text) {
    const isControl = char < ' ' || (char >= '\x7f' && char <= '\x9f');
    clean += isControl ? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}` : char;
  }
  return clean;
}

function formatValue(value: string | number | boolean | null): string {
  if (typeof value !== 'string') return String(value);
  return isPlain(value) ? withoutControls(value) : withoutControls(JSON.stringify(value));
}

/** `2026-11-23T19:00:00.000Z INFO code message key=value` and a line end. */
export function formatTextLine(
  timeMs: number,
  level: string,
  code: string,
  message: string,
  fields: LogFields,
): string {
  let line = `${new Date(timeMs).toISOString()} ${level.toUpperCase()} ${code} ${withoutControls(message)}`;
  for (const [key, value] of Object.entries(fields)) line += ` ${key}=${formatValue(value)}`;
  return `${line}\n`;
}
