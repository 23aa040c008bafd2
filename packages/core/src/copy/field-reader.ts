// ● per-frame path
import type { CopyLayout } from './copy-layout.js';
import { unescapeField } from './unescape-field.js';
import { unquoteField } from './unquote-field.js';

/** What fields with backslashes (text) or quotes (csv) in them mean. */
export class FieldReader {
  /** What was read last: bytes[0, size). */
  bytes = new Uint8Array(256);
  private readonly isCsv: boolean;
  private readonly quote: number;
  private readonly escape: number;

  constructor(layout: CopyLayout) {
    this.isCsv = layout.format === 'csv';
    this.quote = layout.quote;
    this.escape = layout.escape;
  }

  /** @returns the size; -1: it has no meaning */
  read(source: Uint8Array, start: number, end: number): number {
    // exempt: grows to the longest such field
    if (this.bytes.length < end - start) this.bytes = new Uint8Array(2 * (end - start));
    return this.isCsv
      ? unquoteField(source, start, end, this.quote, this.escape, this.bytes)
      : unescapeField(source, start, end, this.bytes);
  }
}
