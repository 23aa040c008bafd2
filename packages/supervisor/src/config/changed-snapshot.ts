/** A published snapshot with some of it as it is now. */
import type { ConfigSnapshot, HostAddress } from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import type { LoadedTls } from './tls-files.js';

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

/** The same with the files of TLS as they are now. */
export function withTls(snapshot: ConfigSnapshot, loaded: LoadedConfig, tls: LoadedTls): ConfigSnapshot {
  const keyOf = (name: string, shard: number, host: string, port: number) =>
    `${name}\0${shard}\0${host}\0${port}`;
  const byEntry = new Map(
    loaded.databases.map((entry) => [
      keyOf(entry.name, entry.shard, entry.host, entry.port),
      tls.indexOf.get(entry) ?? -1,
    ]),
  );
  const pools = snapshot.pools.map((pool) => ({
    ...pool,
    tls: byEntry.get(keyOf(pool.database, pool.shard, pool.host, pool.port)) ?? -1,
  }));
  return { ...snapshot, pools, tls: tls.snapshot };
}
