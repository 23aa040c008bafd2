/**
 * SCRAM's texts (RFC 5802 section 7): comma-separated attributes "x=value". Everything here was sent by a
 * stranger; the readers bound it and say null.
 */
import { decodeTextStrictly } from '../wire/cstring.js';

export const SCRAM_MECHANISM = 'SCRAM-SHA-256';

/** What an exchange does next: send data on, or end well with the last data, or end badly. */
export type ScramStep<E> =
  | { kind: 'continue'; data: Uint8Array }
  | { kind: 'success'; data: Uint8Array }
  | { kind: 'failure'; error: E };

/** Text of a SASL message, or null: too long, not UTF-8, or with a NUL, which ends it for a C program. */
export function decodeScramText(data: Uint8Array, bytesMax: number): string | null {
  if (data.length > bytesMax) return null;
  const text = decodeTextStrictly(data, 0, data.length);
  return text?.includes('\0') ? null : text;
}

export function encodeScramText(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'utf8'));
}

/** Value of "x=value", or null when `attribute` is not x's. */
export function attributeValue(attribute: string | undefined, name: string): string | null {
  return attribute?.startsWith(`${name}=`) ? attribute.slice(2) : null;
}

/** RFC 5802 "attr-val": a letter, "=", a value. */
export function isAttribute(text: string): boolean {
  const letter = text.charCodeAt(0) | 0x20;
  return text.length >= 2 && text[1] === '=' && letter >= 0x61 && letter <= 0x7a;
}

/** A nonce: printable ASCII without comma (the split took those), not empty. */
export function isNonce(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x21 || unit > 0x7e) return false;
  }
  return text.length > 0;
}
