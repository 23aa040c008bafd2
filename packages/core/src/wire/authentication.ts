/**
 * The messages that carry an authentication, in both directions. What they carry is made and judged in
 * auth/; here are only their shapes. Readers take a body (start: behind the length word).
 */
import { progress } from '../base/assert.js';
import { decodeText, findNul } from './cstring.js';
import { NO_VALUE, NULL_VALUE, valueBytesOf } from './frame-header.js';
import { FrameWriter } from './frame-writer.js';
import { AUTHENTICATION, BACKEND, FRONTEND, readLength } from './message-type.js';

/** Postgres's PG_MAX_SASL_MESSAGE_LENGTH: longer SASL messages are refused unread. */
export const SASL_MESSAGE_BYTES_MAX = 1024;

export interface SaslInitialResponse {
  mechanism: string;
  /** A copy; null when the client sent none (length -1) and waits for an empty challenge. */
  data: Uint8Array | null;
}

/** A server's demand. `data`: copy of what follows the code (md5 salt, SASL text). */
export interface AuthenticationRequest {
  code: number;
  data: Uint8Array;
  /** Offered SASL mechanisms; empty unless code is SASL. */
  mechanisms: string[];
}

/** For what each login is sent: a writer of its own would cost more than the frame. Nothing secret goes through it. */
const writer = new FrameWriter();

/** AuthenticationMD5Password, SASLContinue, SASLFinal: a code and its bytes. */
export function buildAuthentication(code: number, data: Uint8Array): Uint8Array {
  return writer.reset().begin(BACKEND.Authentication).int32(code).bytes(data).end().take();
}

export function buildAuthenticationSasl(mechanisms: readonly string[]): Uint8Array {
  const writer = new FrameWriter().begin(BACKEND.Authentication).int32(AUTHENTICATION.SASL);
  for (const mechanism of mechanisms) writer.cstring(mechanism);
  return writer.byte(0).end().take();
}

export function buildPasswordMessage(password: string): Uint8Array {
  return new FrameWriter().begin(FRONTEND.PasswordMessage).cstring(password).end().take();
}

export function buildSaslInitialResponse(mechanism: string, data: Uint8Array): Uint8Array {
  const writer = new FrameWriter().begin(FRONTEND.PasswordMessage).cstring(mechanism);
  return writer.int32(data.length).bytes(data).end().take();
}

export function buildSaslResponse(data: Uint8Array): Uint8Array {
  return new FrameWriter().begin(FRONTEND.PasswordMessage).bytes(data).end().take();
}

/** null unless it is one terminated string. The terminator must be the last byte. */
export function parsePasswordMessage(bytes: Uint8Array, start: number, end: number): string | null {
  const nul = findNul(bytes, start, end);
  return nul !== -1 && nul + 1 === end ? decodeText(bytes, start, nul) : null;
}

export function parseSaslInitialResponse(
  bytes: Uint8Array,
  start: number,
  end: number,
): SaslInitialResponse | null {
  const nul = findNul(bytes, start, end);
  if (nul === -1 || end - nul < 5) return null;
  const mechanism = decodeText(bytes, start, nul);
  const dataStart = nul + 5;
  const length = valueBytesOf(bytes, nul + 1, end);
  if (length === NULL_VALUE) return dataStart === end ? { mechanism, data: null } : null;
  // The declared length may only be what is really there.
  if (length === NO_VALUE || length !== end - dataStart || length > SASL_MESSAGE_BYTES_MAX) return null;
  return { mechanism, data: bytes.slice(dataStart, end) };
}

/** null when too long. A copy. */
export function parseSaslResponse(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  return end - start <= SASL_MESSAGE_BYTES_MAX ? bytes.slice(start, end) : null;
}

/** A server's Authentication message; null when malformed. Sizes are for the caller to bound by the frame. */
export function parseAuthenticationRequest(
  bytes: Uint8Array,
  start: number,
  end: number,
): AuthenticationRequest | null {
  if (end - start < 4) return null;
  const code = readLength(bytes, start);
  const data = bytes.slice(start + 4, end);
  if (code === AUTHENTICATION.MD5Password && data.length !== 4) return null;
  if (code !== AUTHENTICATION.SASL) return { code, data, mechanisms: [] };
  const mechanisms: string[] = [];
  let at = start + 4;
  while (at < end && bytes[at] !== 0) {
    const nul = findNul(bytes, at, end);
    if (nul === -1) return null;
    mechanisms.push(decodeText(bytes, at, nul));
    at = progress(at, nul + 1);
  }
  return at === end - 1 ? { code, data, mechanisms } : null;
}
