import { createHmac, hash, pbkdf2Sync, randomBytes } from 'node:crypto';
import { assert } from '../base/assert.js';
import type { ScramVerifier } from '../config/snapshot.js';
import { saslprep } from './saslprep.js';

export const SCRAM_KEY_BYTES = 32;
export const SCRAM_SALT_BYTES = 16;
export const SCRAM_ITERATIONS_DEFAULT = 4096;
const VERIFIER_PREFIX = 'SCRAM-SHA-256$';

export interface ScramKeys {
  clientKey: Uint8Array;
  storedKey: Uint8Array;
  serverKey: Uint8Array;
}

export function hmacSha256(key: Uint8Array, text: string): Uint8Array {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

/** Bytes of a xor b, equal lengths. */
export function xorBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  assert(a.length === b.length, 'xor of equal lengths');
  return a.map((byte, index) => byte ^ b[index]);
}

/** Strict base64: null for anything that would not be written this way. Node's own decoder takes any text. */
export function decodeBase64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : null;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** RFC 5802 section 3. Costs PBKDF2: about 1 ms at 4096 iterations, and blocks meanwhile. */
export function deriveScramKeys(password: string, salt: Uint8Array, iterations: number): ScramKeys {
  assert(iterations > 0, 'iterations must be positive');
  return scramKeysOf(pbkdf2Sync(saslprep(password), salt, iterations, SCRAM_KEY_BYTES, 'sha256'));
}

/** Keys of a salted password, which is what PBKDF2 gives. */
export function scramKeysOf(salted: Uint8Array): ScramKeys {
  const clientKey = hmacSha256(salted, 'Client Key');
  return { clientKey, storedKey: sha256(clientKey), serverKey: hmacSha256(salted, 'Server Key') };
}

/**
 * A password turned into what a server keeps of it. The passwords of one user (rotation) should share one
 * salt and iteration count: the exchange names one salt before it knows which password is meant.
 */
export function deriveVerifier(
  password: string,
  iterations: number = SCRAM_ITERATIONS_DEFAULT,
  salt: Uint8Array = randomBytes(SCRAM_SALT_BYTES),
): ScramVerifier {
  const { storedKey, serverKey } = deriveScramKeys(password, salt, iterations);
  return {
    iterations,
    salt: new Uint8Array(salt),
    storedKey: new Uint8Array(storedKey),
    serverKey: new Uint8Array(serverKey),
  };
}

/** As pg_authid has it: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. */
export function formatVerifier(verifier: ScramVerifier): string {
  const { iterations, salt, storedKey, serverKey } = verifier;
  return `${VERIFIER_PREFIX}${iterations}:${encodeBase64(salt)}$${encodeBase64(storedKey)}:${encodeBase64(serverKey)}`;
}

/** null when the text is not a well-formed verifier. */
export function parseVerifier(text: string): ScramVerifier | null {
  if (!text.startsWith(VERIFIER_PREFIX)) return null;
  const parts = text.slice(VERIFIER_PREFIX.length).split('$');
  if (parts.length !== 2) return null;
  const [head, keys] = parts.map((part) => part.split(':'));
  if (head.length !== 2 || keys.length !== 2) return null;
  const iterations = parseIterations(head[0]);
  const salt = decodeBase64(head[1]);
  const storedKey = decodeBase64(keys[0]);
  const serverKey = decodeBase64(keys[1]);
  if (iterations === null || salt === null || salt.length === 0) return null;
  if (storedKey?.length !== SCRAM_KEY_BYTES || serverKey?.length !== SCRAM_KEY_BYTES) return null;
  return { iterations, salt, storedKey, serverKey };
}

/** Decimal digits only, 1..2^31-1; null otherwise. */
export function parseIterations(text: string): number | null {
  if (text.length === 0 || text.length > 10) return null;
  for (const digit of text) if (digit < '0' || digit > '9') return null;
  const iterations = Number(text);
  return iterations >= 1 && iterations <= 0x7fff_ffff ? iterations : null;
}

/**
 * The verifier shown for a user who does not exist: the user's own salt, always the same, as a real user
 * would have. One salt for all strangers would tell them from real users at a glance. `mock` holds the
 * secret of this process in its keys; nobody knows a password for it.
 */
export function mockVerifierFor(user: string, mock: ScramVerifier): ScramVerifier {
  const salt = hmacSha256(mock.storedKey, user).slice(0, SCRAM_SALT_BYTES);
  return { iterations: mock.iterations, salt, storedKey: mock.storedKey, serverKey: mock.serverKey };
}
