import { createHmac, randomBytes } from 'node:crypto';
import { type AuthType, readSecretForm, type ScramVerifier, type UserSecrets } from '@pgdog-cluster/core';
import { authTypeOf, type LoadedConfig, type Secret, type UserEntry } from '@pgdog-cluster/core/config';
import { deriveMd5Hashes, deriveVerifiers } from './derive-verifiers.js';

/** Key of the tags by which workers know passwords in clear; of this process, so that a tag says nothing elsewhere. */
export const TAG_SECRET: Uint8Array = new Uint8Array(randomBytes(32));

/** A user's secrets by form. */
export interface SplitSecrets {
  clear: Secret[];
  md5Hashes: string[];
  verifiers: ScramVerifier[];
}

export function splitSecrets({
  passwords,
  passwordHash,
}: Pick<UserEntry, 'passwords' | 'passwordHash'>): SplitSecrets {
  const split: SplitSecrets = { clear: [], md5Hashes: [], verifiers: [] };
  for (const secret of passwordHash === null ? passwords : [...passwords, passwordHash]) {
    const form = readSecretForm(secret.reveal());
    if (form.kind === 'clear') split.clear.push(secret);
    else if (form.kind === 'md5') split.md5Hashes.push(form.hash);
    else if (form.kind === 'scram') split.verifiers.push(form.verifier);
  }
  return split;
}

/** Methods that may be asked of a user without one of its own. */
export function generalMethods({
  general,
  hba,
}: Pick<LoadedConfig, 'general' | 'hba'>): ReadonlySet<AuthType> {
  const type = authTypeOf(general.auth_type);
  if (type !== 'hba') return new Set([type]);
  return new Set((hba ?? []).map(({ method }) => authTypeOf(method)));
}

/**
 * What workers need to check a user by these methods. Only that: the fewer forms of a secret lie in memory, the better.
 * Never rejects.
 */
export async function toUserSecrets(
  name: string,
  split: SplitSecrets,
  methods: ReadonlySet<AuthType>,
): Promise<UserSecrets> {
  const { clear, md5Hashes, verifiers } = split;
  // Where md5 is asked, a user with nothing but a verifier is asked for SCRAM; a password in clear is compared with any form.
  const needsHashes = methods.has('md5') || methods.has('plain');
  return {
    verifiers: methods.has('scram')
      ? await deriveVerifiers(name, clear, verifiers)
      : needsHashes
        ? verifiers
        : [],
    md5Hashes: [
      ...(methods.has('md5') ? deriveMd5Hashes(clear, name) : []),
      ...(needsHashes ? md5Hashes : []),
    ],
    passwordTags: methods.has('plain') ? clear.map((secret) => passwordTag(secret.reveal())) : [],
  };
}

export function passwordTag(password: string): Uint8Array {
  return new Uint8Array(createHmac('sha256', TAG_SECRET).update(password).digest());
}
