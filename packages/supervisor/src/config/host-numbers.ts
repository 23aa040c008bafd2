import type { HostAddress, HostSnapshot } from '@pgdog-cluster/core';

interface Address {
  host: string;
  port: number;
}

/**
 * A host keeps its number, its row in shared memory, for the life of the process: what was measured of it and what
 * workers do with it goes on over every reload.
 */
const numbers = new Map<string, number>();

export function hostIndexOf({ host, port }: Address): number {
  const key = `${port} ${host}`;
  const known = numbers.get(key);
  if (known !== undefined) return known;
  const index = numbers.size;
  numbers.set(key, index);
  return index;
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
