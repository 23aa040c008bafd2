import { decodeText } from '@pgdog-cluster/core';

/** The columns of a DataRow's body in text format, at most as many as there are; '' for NULL. */
export function rowTexts(bytes: Uint8Array, start: number, end: number): string[] {
  const texts: string[] = [];
  if (end - start < 2) return texts;
  const count = (bytes[start] << 8) | bytes[start + 1];
  let at = start + 2;
  while (texts.length < count && at + 4 <= end) {
    const size = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    at += 4;
    if (at + size > end) break;
    texts.push(size < 0 ? '' : decodeText(bytes, at, at + size));
    if (size > 0) at += size;
  }
  return texts;
}
