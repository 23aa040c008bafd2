/**
 * A snapshot of thousands of pools says the same of most of them: the addresses of a host, names, passwords, settings. Packed
 * and unpacked one by one each would be an object of its own, in every worker.
 */
import type { ConfigSnapshot, PoolSnapshot } from '../config/snapshot.js';

/** As packed: without addresses that are the host's. */
type PackedPool = Omit<PoolSnapshot, 'addresses'> & Partial<Pick<PoolSnapshot, 'addresses'>>;

export function withoutAddresses(pool: PoolSnapshot): PackedPool {
  // Of the same shape: taking a key away would make each of thousands an object of its own kind.
  return { ...pool, addresses: undefined };
}

/** Gives pools the addresses of their hosts, and what is equal in neighbours becomes one. Some ms for ten thousand. */
export function shareValues(snapshot: ConfigSnapshot): ConfigSnapshot {
  const addressesOf = new Map(snapshot.hosts.map(({ index, addresses }) => [index, addresses]));
  let before: PoolSnapshot | null = null;
  for (const pool of snapshot.pools as PackedPool[]) {
    pool.addresses ??= addressesOf.get(pool.hostIndex) ?? [];
    const whole = pool as PoolSnapshot;
    if (before !== null) shareWith(before, whole);
    before = whole;
  }
  return snapshot;
}

function shareWith(one: PoolSnapshot, other: PoolSnapshot): void {
  for (const key of ['user', 'host', 'serverDatabase', 'serverUser'] as const) {
    if (one[key] === other[key]) other[key] = one[key];
  }
  for (const key of ['serverPasswords', 'serverMd5Hashes'] as const) {
    if (areSame(one[key], other[key])) other[key] = one[key];
  }
  if (one.serverVerifiers.length + other.serverVerifiers.length === 0)
    other.serverVerifiers = one.serverVerifiers;
  if (areSameParameters(one.serverParameters, other.serverParameters)) {
    other.serverParameters = one.serverParameters;
  }
}

function areSameParameters(
  one: Readonly<Record<string, string>>,
  other: Readonly<Record<string, string>>,
): boolean {
  let count = 0;
  for (const key in one) {
    count++;
    if (one[key] !== other[key]) return false;
  }
  for (const _key in other) count--;
  return count === 0;
}

function areSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}
