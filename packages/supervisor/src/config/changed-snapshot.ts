/** A published snapshot with some of it as it is now. */
import type { ConfigSnapshot, HostAddress } from '@pgdog-cluster/core';

/** The same with a host at other addresses. */
export function withAddresses(
  { pools, hosts }: ConfigSnapshot,
  hostIndex: number,
  addresses: HostAddress[],
): Pick<ConfigSnapshot, 'pools' | 'hosts'> {
  return {
    pools: pools.map((pool) => (pool.hostIndex === hostIndex ? { ...pool, addresses } : pool)),
    hosts: hosts.map((host) => (host.index === hostIndex ? { ...host, addresses } : host)),
  };
}
