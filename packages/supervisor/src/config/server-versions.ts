import type { ConfigSnapshot, PoolSnapshot, ScramVerifier } from '@pgdog-cluster/core';

/**
 * Sets PoolSnapshot.serverVersion of all pools of `next`: that of before where their server connections can stay. A pool that
 * was not there has a number that workers may still have connections under, of another configuration.
 */
export function setServerVersions(next: ConfigSnapshot, before: ConfigSnapshot | null): void {
  const known = new Map(before?.pools.map((pool) => [pool.index, pool]));
  for (const [place, pool] of next.pools.entries()) {
    const old = known.get(pool.index);
    const isSame =
      old !== undefined &&
      (old === pool || isSameServer(old, pool)) &&
      modeOf(old, before) === modeOf(pool, next);
    const serverVersion = isSame ? (old.serverVersion ?? 0) : next.epoch;
    if (serverVersion === pool.serverVersion) continue;
    // What is in force is not written to: workers have it as it is.
    if (old === pool) next.pools[place] = { ...pool, serverVersion };
    else pool.serverVersion = serverVersion;
  }
}

/** Certificates that are read again are for new connections; whether there is to be TLS at all is for every one. */
function modeOf({ tls }: PoolSnapshot, snapshot: ConfigSnapshot | null): string {
  return snapshot?.tls.servers[tls]?.mode ?? 'disabled';
}

function isSameServer(one: PoolSnapshot, other: PoolSnapshot): boolean {
  return (
    one.database === other.database &&
    one.user === other.user &&
    one.serverDatabase === other.serverDatabase &&
    one.serverUser === other.serverUser &&
    one.requirePeer?.uid === other.requirePeer?.uid &&
    JSON.stringify(Object.entries(one.serverParameters).sort()) ===
      JSON.stringify(Object.entries(other.serverParameters).sort()) &&
    isSameSecret(one, other)
  );
}

/**
 * By the first of each kind: those after it are former ones, or given for a change to come. One that is not known any more
 * says nothing about those that are logged in.
 */
function isSameSecret(one: PoolSnapshot, other: PoolSnapshot): boolean {
  const [mine, theirs] = [firstSecret(one), firstSecret(other)];
  return mine === null || theirs === null || mine === theirs;
}

function firstSecret(pool: PoolSnapshot): string | null {
  const { serverPasswords, serverMd5Hashes, serverVerifiers } = pool;
  if (serverPasswords.length > 0) return `clear ${serverPasswords[0]}`;
  if (serverVerifiers.length > 0) return `scram ${textOf(serverVerifiers[0])}`;
  return serverMd5Hashes.length > 0 ? `md5 ${serverMd5Hashes[0]}` : null;
}

function textOf({ storedKey, salt }: ScramVerifier): string {
  return `${Buffer.from(storedKey).toString('base64')} ${Buffer.from(salt).toString('base64')}`;
}
