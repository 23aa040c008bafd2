/**
 * SCRAM's texts (RFC 5802 section 7): comma-separated attributes "x=value". Everything here was sent by a
 * stranger; the readers bound it and say null.
 */
import { decodeTextStrictly } from '../wire/cstring.js';

export const SCRAM_MECHANISM = 'SCRAM-SHA-256';
/** With channel binding: the exchange proves that both ends see the same TLS connection. */
export const SCRAM_PLUS_MECHANISM = 'SCRAM-SHA-256-PLUS';
/** The one binding type of RFC 5929 that works with TLS 1.3 and that libpq knows. */
export const CHANNEL_BINDING_TYPE = 'tls-server-end-point';

/** What is offered to a client, the stronger one first, as Postgres does. */
export function offeredMechanisms(canBind: boolean): readonly string[] {
  return canBind ? [SCRAM_PLUS_MECHANISM, SCRAM_MECHANISM] : [SCRAM_MECHANISM];
}

/** Value of the "c=" attribute: base64 of the gs2 header and, with PLUS, the binding data. */
export function channelBindingAttribute(header: string, data: Uint8Array | null): string {
  const start = Buffer.from(header, 'latin1');
  return (data === null ? start : Buffer.concat([start, data])).toString('base64');
}

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
  return Buffer.from(text, 'utf8');
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
