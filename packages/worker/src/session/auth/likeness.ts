import { createHmac } from 'node:crypto';
import { readLength, type ScramVerifier, type UserSecrets } from '@pgdog-cluster/core';
import type { Session } from '../session.js';

/** What shows of a user before it has proven anything. */
export interface Likeness {
  /** Asked for md5 where md5 is the method; SCRAM otherwise, as for who has nothing but a verifier. */
  isMd5: boolean;
  iterations: number;
}

/** How the configured users look, in a fixed order; one entry when all look the same. */
export function likenessesOf(
  users: readonly UserSecrets[],
  mock: Pick<ScramVerifier, 'iterations'>,
): Likeness[] {
  const all = users.filter(hasSecrets).map(({ md5Hashes, verifiers }) => ({
    isMd5: md5Hashes.length > 0,
    iterations: verifiers[0]?.iterations ?? mock.iterations,
  }));
  all.sort((a, b) => Number(a.isMd5) - Number(b.isMd5) || a.iterations - b.iterations);
  const [first] = all;
  const areAlike = all.every(
    ({ isMd5, iterations }) => isMd5 === first.isMd5 && iterations === first.iterations,
  );
  return areAlike ? all.slice(0, 1) : all;
}

/**
 * How a stranger is to look: like one of the users, the same one for the same name, so that each look is as frequent
 * among strangers as among users and tells nothing. Where users are looked up nobody knows theirs: as Postgres makes
 * them by default.
 */
export function strangerLikeness({ context, user, database, isAdmin }: Session): Likeness {
  const { config, directory } = context;
  const asByDefault = { isMd5: false, iterations: config.mockVerifier.iterations };
  if (isAdmin) return likenessesOf([config.admin], config.mockVerifier)[0] ?? asByDefault;
  if (directory.database(database)?.hasAuthQuery === true) return asByDefault;
  const { likenesses } = directory;
  if (likenesses.length < 2) return likenesses[0] ?? asByDefault;
  const share = readLength(createHmac('sha256', config.tagSecret).update(user).digest(), 0) / 2 ** 32;
  return likenesses[Math.floor(share * likenesses.length)];
}

export function hasSecrets({ verifiers, md5Hashes, passwordTags }: UserSecrets): boolean {
  return verifiers.length > 0 || md5Hashes.length > 0 || passwordTags.length > 0;
}
