import type { ScramVerifier } from '../config/snapshot.js';
import { parseMd5Secret } from './md5.js';
import { parseVerifier } from './scram-keys.js';

/** A password as somebody keeps it: in clear, as md5(password || user) in hex, or as a SCRAM verifier. */
export type SecretForm =
  | { kind: 'clear'; password: string }
  | { kind: 'md5'; hash: string }
  | { kind: 'scram'; verifier: ScramVerifier }
  | { kind: 'malformed' };

const VERIFIER_START = 'SCRAM-SHA-256$';

/**
 * Reads pg_authid's forms; anything else is a password in clear. What begins like a verifier and is none is
 * malformed, not a password: one wrong character must not turn a hash into something a client may send.
 */
export function readSecretForm(text: string): SecretForm {
  const hash = parseMd5Secret(text);
  if (hash !== null) return { kind: 'md5', hash };
  if (!text.startsWith(VERIFIER_START)) return { kind: 'clear', password: text };
  const verifier = parseVerifier(text);
  return verifier === null ? { kind: 'malformed' } : { kind: 'scram', verifier };
}
