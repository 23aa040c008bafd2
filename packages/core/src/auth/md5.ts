import { createHash, timingSafeEqual } from 'node:crypto';
import { assert } from '../base/assert.js';

/** Salt of AuthenticationMD5Password. */
export const MD5_SALT_BYTES = 4;
const HEX_DIGITS = 32;

function md5Hex(...parts: (string | Uint8Array)[]): string {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** What pg_authid stores behind "md5": hex of md5(password || user). */
export function md5Hash(password: string, user: string): string {
  return md5Hex(password, user);
}

/** The 32 hex digits of a stored "md5…" secret in lower case, or null when it is not one. */
export function parseMd5Secret(secret: string): string | null {
  if (secret.length !== 3 + HEX_DIGITS || !secret.startsWith('md5')) return null;
  const hex = secret.slice(3).toLowerCase();
  for (const digit of hex) if (!'0123456789abcdef'.includes(digit)) return null;
  return hex;
}

/** What a client answers to the salt: "md5" || hex of md5(hash || salt). */
export function md5Response(hash: string, salt: Uint8Array): string {
  assert(salt.length === MD5_SALT_BYTES, 'md5 salt of four bytes');
  return `md5${md5Hex(hash, salt)}`;
}

/**
 * Does the response fit one of the accepted hashes? All of them are tried, in constant time each, so that
 * neither the position nor a common prefix shows. For an unknown user pass one hash of random digits and
 * ignore the verdict.
 */
export function isMd5Response(hashes: readonly string[], salt: Uint8Array, response: string): boolean {
  const received = Buffer.from(response, 'utf8');
  const hasLength = received.length === 3 + HEX_DIGITS;
  // timingSafeEqual throws on other lengths; the work is done all the same.
  const given = hasLength ? received : Buffer.alloc(3 + HEX_DIGITS);
  let isMatch = false;
  for (const hash of hashes) {
    const isSame = timingSafeEqual(given, Buffer.from(md5Response(hash, salt), 'latin1'));
    isMatch = isSame || isMatch;
  }
  return isMatch && hasLength;
}
