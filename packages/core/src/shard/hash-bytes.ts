// ● per-frame path
/**
 * Postgres's hash of 64 bits with a seed: src/common/hashfn.c (Bob Jenkins' lookup3). The two halves of a result are left
 * in `hash`, since a number holds 53 bits and a BigInt is an allocation.
 */

/** The hash made last. Both are unsigned. */
export const hash = { high: 0, low: 0 };

const INITIAL = 0x9e3779b9 + 3923095;

let a = 0;
let b = 0;
let c = 0;

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function mix(): void {
  a = (a - c) ^ rotated(c, 4);
  c = (c + b) | 0;
  b = (b - a) ^ rotated(a, 6);
  a = (a + c) | 0;
  c = (c - b) ^ rotated(b, 8);
  b = (b + a) | 0;
  a = (a - c) ^ rotated(c, 16);
  c = (c + b) | 0;
  b = (b - a) ^ rotated(a, 19);
  a = (a + c) | 0;
  c = (c - b) ^ rotated(b, 4);
  b = (b + a) | 0;
}

function finish(): void {
  c = ((c ^ b) - rotated(b, 14)) | 0;
  a = ((a ^ c) - rotated(c, 11)) | 0;
  b = ((b ^ a) - rotated(a, 25)) | 0;
  c = ((c ^ b) - rotated(b, 16)) | 0;
  a = ((a ^ c) - rotated(c, 4)) | 0;
  b = ((b ^ a) - rotated(a, 14)) | 0;
  c = ((c ^ b) - rotated(b, 24)) | 0;
  hash.high = b >>> 0;
  hash.low = c >>> 0;
}

function begin(length: number, seedHigh: number, seedLow: number): void {
  a = b = c = (INITIAL + length) | 0;
  if (seedHigh === 0 && seedLow === 0) return;
  a = (a + seedHigh) | 0;
  b = (b + seedLow) | 0;
  mix();
}

/** hash_bytes_uint32_extended. */
export function hashUint32(value: number, seedHigh: number, seedLow: number): void {
  begin(4, seedHigh, seedLow);
  a = (a + value) | 0;
  finish();
}

/** hash_bytes_extended of bytes[start, end), as machines with the low byte first do it. */
export function hashBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  seedHigh: number,
  seedLow: number,
): void {
  begin(end - start, seedHigh, seedLow);
  let at = start;
  for (; end - at >= 12; at += 12) {
    a = (a + wordAt(bytes, at)) | 0;
    b = (b + wordAt(bytes, at + 4)) | 0;
    c = (c + wordAt(bytes, at + 8)) | 0;
    mix();
  }
  // What is left, at most eleven bytes; the lowest byte of c is the length's.
  for (let index = 0; at < end; index++, at++) {
    const byte = bytes[at];
    if (index < 4) a = (a + (byte << (index * 8))) | 0;
    else if (index < 8) b = (b + (byte << ((index - 4) * 8))) | 0;
    else c = (c + (byte << ((index - 7) * 8))) | 0;
  }
  finish();
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}
