import { decodeText, NO_VALUE, NULL_VALUE, valueBytesOf } from '@pgdog-cluster/core';

/** The columns of a DataRow's body in text format, at most as many as there are; '' for NULL. */
export function rowTexts(bytes: Uint8Array, start: number, end: number): string[] {
  const texts: string[] = [];
  if (end - start < 2) return texts;
  const count = (bytes[start] << 8) | bytes[start + 1];
  let at = start + 2;
  while (texts.length < count) {
    const size = valueBytesOf(bytes, at, end);
    if (size === NO_VALUE) break;
    at += 4;
    texts.push(size === NULL_VALUE ? '' : decodeText(bytes, at, at + size));
    if (size > 0) at += size;
  }
  return texts;
}
