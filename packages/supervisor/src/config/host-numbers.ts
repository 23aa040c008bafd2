import type { HostAddress, HostSnapshot } from '@pgdog-cluster/core';

interface Address {
  host: string;
  port: number;
}

/**
 * A host keeps its number, its row in shared memory, over every reload: what was measured of it and what workers do with it
 * goes on. One that is gone gives its number back once nobody uses it (releaseHosts).
 */
const numbers = new Map<string, number>();
const free: number[] = [];
let next = 0;

export function hostIndexOf({ host, port }: Address): number {
  const key = `${port} ${host}`;
  const known = numbers.get(key);
  if (known !== undefined) return known;
  const index = free.pop() ?? next++;
  numbers.set(key, index);
  return index;
}

/** Hosts that are neither configured nor have a pool in some worker. */
export function releaseHosts(isInUse: (index: number) => boolean): void {
  for (const [key, index] of numbers) {
    if (isInUse(index)) continue;
    numbers.delete(key);
    free.push(index);
  }
  // The lowest first: those given out for more hosts than there is room for are no use to anybody.
  free.sort((one, other) => other - one);
}

/** Each host once, by its number. */
export function hostsOf(resolved: ReadonlyMap<Address, HostAddress[]>): HostSnapshot[] {
  const hosts = new Map<number, HostSnapshot>();
  for (const [{ host, port }, addresses] of resolved) {
    const index = hostIndexOf({ host, port });
    hosts.set(index, { index, host, port, addresses });
  }
  return [...hosts.values()].sort((a, b) => a.index - b.index);
}
