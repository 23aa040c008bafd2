/**
 * NUL-terminated strings as the protocol has them. `end` is one past the last byte that may be read; the
 * scan is written out because Uint8Array.indexOf takes no end and would walk through the whole region that
 * holds every connection's buffers; a view that has one costs more than a short scan, and a Buffer's
 * indexOf a tenth of a long one.
 */

const lossyDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
const strictDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

const SHORT_TEXT_BYTES = 256;

/** Index of the first NUL in start <= i < end, or -1. */
export function findNul(bytes: Uint8Array, start: number, end: number): number {
  const loopEnd = Math.min(end, start + SHORT_TEXT_BYTES);
  for (let at = start; at < loopEnd; at += 1) if (bytes[at] === 0) return at;
  if (loopEnd === end) return -1;
  const found = Buffer.from(bytes.buffer, bytes.byteOffset + loopEnd, end - loopEnd).indexOf(0);
  return found < 0 ? -1 : loopEnd + found;
}

/** Text of start <= i < end; invalid UTF-8 becomes U+FFFD. For what is only shown. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  return lossyDecoder.decode(bytes.subarray(start, end));
}

/** Longer names are decoded each time. */
const NAME_BYTES_MAX = 32;
/** A power of two: names of a driver's statements are few, and of all clients the same. */
const NAMES_MAX = 512;
const nameBytes = new Uint8Array(NAMES_MAX * NAME_BYTES_MAX);
const nameSizes = new Uint8Array(NAMES_MAX);
const names: string[] = new Array(NAMES_MAX).fill('');

/**
 * A name by which something is found again, of names that come again and again: one that is remembered is not decoded. What is
 * not UTF-8 is taken byte by byte, so that no two names become one.
 */
export function decodeName(bytes: Uint8Array, start: number, end: number): string {
  const size = end - start;
  if (size > NAME_BYTES_MAX || end > bytes.length) return newName(bytes, start, end);
  let hash = size;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]) | 0;
  const place = (hash ^ (hash >>> 11)) & (NAMES_MAX - 1);
  const base = place * NAME_BYTES_MAX;
  let same = nameSizes[place] === size ? 0 : -1;
  while (same >= 0 && same < size && nameBytes[base + same] === bytes[start + same]) same++;
  if (same === size) return names[place];
  const name = newName(bytes, start, end);
  for (let i = 0; i < size; i++) nameBytes[base + i] = bytes[start + i];
  nameSizes[place] = size;
  names[place] = name;
  return name;
}

function newName(bytes: Uint8Array, start: number, end: number): string {
  return decodeTextStrictly(bytes, start, end) ?? Buffer.from(bytes.subarray(start, end)).toString('latin1');
}

/** Text of start <= i < end, or null when it is not UTF-8. For what is compared: names, settings. */
export function decodeTextStrictly(bytes: Uint8Array, start: number, end: number): string | null {
  if (isShortAscii(bytes, start, end)) {
    return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
  }
  try {
    return strictDecoder.decode(bytes.subarray(start, end));
  } catch {
    return null;
  }
}

/** Names and SCRAM's texts are: for those the decoder's own set-up is most of what it costs. */
function isShortAscii(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > SHORT_TEXT_BYTES || end > bytes.length) return false;
  for (let at = start; at < end; at += 1) if (bytes[at] > 0x7f) return false;
  return start < end;
}

/** Are the bytes start <= i < end those of `expected`? No allocation. */
export function bytesEqual(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  if (end - start !== expected.length) return false;
  for (let index = 0; index < expected.length; index += 1) {
    if (bytes[start + index] !== expected[index]) return false;
  }
  return true;
}
