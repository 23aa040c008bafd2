import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import {
  md5Hash,
  SCRAM_ITERATIONS_DEFAULT,
  SCRAM_KEY_BYTES,
  SCRAM_SALT_BYTES,
  type ScramVerifier,
  saslprep,
  scramKeysOf,
} from '@pgdog-cluster/core';
import type { Secret } from '@pgdog-cluster/core/config';
import { KnownVerifiers } from './known-verifiers.js';

const pbkdf2Async = promisify(pbkdf2);

interface ScramTerms {
  iterations: number;
  salt: Uint8Array;
}

/** RFC 5802 section 3 on Node's thread pool: thousands of users must not hold up the supervisor's loop. */
async function deriveVerifierAsync(
  password: string,
  { iterations, salt }: ScramTerms,
): Promise<ScramVerifier> {
  const salted = await pbkdf2Async(saslprep(password), salt, iterations, SCRAM_KEY_BYTES, 'sha256');
  const { storedKey, serverKey } = scramKeysOf(salted);
  return {
    iterations,
    salt: new Uint8Array(salt),
    storedKey: new Uint8Array(storedKey),
    serverKey: new Uint8Array(serverKey),
  };
}

/**
 * One verifier per accepted password. All of one user share salt and iterations, because the exchange names
 * one salt before it can know which password is meant; those of a given verifier win.
 */
export async function deriveVerifiers(
  user: string,
  passwords: readonly Secret[],
  given: readonly ScramVerifier[],
): Promise<ScramVerifier[]> {
  const before = passwords.map((password) => known.get(user, password.reveal()));
  const terms = given[0] ??
    before.find((verifier) => verifier !== null) ?? {
      iterations: SCRAM_ITERATIONS_DEFAULT,
      salt: randomBytes(SCRAM_SALT_BYTES),
    };
  const derived = passwords.map(async (password, place) => {
    const verifier = before[place];
    if (verifier !== null && isOf(verifier, terms)) return verifier;
    const made = await deriveVerifierAsync(password.reveal(), terms);
    known.set(user, password.reveal(), made);
    return made;
  });
  return [...given, ...(await Promise.all(derived))];
}

function isOf(verifier: ScramVerifier, { iterations, salt }: ScramTerms): boolean {
  return verifier.iterations === iterations && Buffer.compare(verifier.salt, salt) === 0;
}

const known = new KnownVerifiers();

export function deriveMd5Hashes(passwords: readonly Secret[], user: string): string[] {
  return passwords.map((password) => md5Hash(password.reveal(), user));
}

let mock: Promise<ScramVerifier> | null = null;

/**
 * Verifier of nobody. Made once per process: the salts that strangers are shown derive from it, and must not
 * change with each reload while those of real users do not.
 */
export function mockVerifier(): Promise<ScramVerifier> {
  mock ??= deriveVerifierAsync(randomBytes(32).toString('hex'), {
    iterations: SCRAM_ITERATIONS_DEFAULT,
    salt: randomBytes(SCRAM_SALT_BYTES),
  });
  return mock;
}
