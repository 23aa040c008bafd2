/** What the system says of names in the configuration: of hosts, and of users who run servers. */
import type { HostAddress, RequiredPeer } from '@pgdog-cluster/core';
import type { DatabaseEntry } from '@pgdog-cluster/core/config';
import { userId } from '../listen/system-users.js';
import { resolveHost } from './host-address.js';
import type { KnownSnapshots } from './known-snapshots.js';

/** One question per distinct host, however many databases live there. */
export async function resolveAll(
  databases: readonly DatabaseEntry[],
  known: KnownSnapshots,
): Promise<Map<DatabaseEntry, HostAddress[]>> {
  const asked = new Map<string, Promise<HostAddress[]>>();
  for (const { host, port } of databases) {
    const key = `${port} ${host}`;
    if (!asked.has(key)) asked.set(key, resolveHost(host, port));
  }
  const found = new Map<string, HostAddress[]>();
  for (const [key, answer] of asked) found.set(key, known.addresses(key, await answer));
  return new Map(
    databases.map((database) => [database, found.get(`${database.port} ${database.host}`) ?? []]),
  );
}

/** The system is asked once for each name. */
export async function resolvePeers(databases: readonly DatabaseEntry[]): Promise<Map<string, RequiredPeer>> {
  const names = new Set(databases.flatMap(({ requirePeer }) => requirePeer ?? []));
  return new Map(
    await Promise.all(
      [...names].map(async (name): Promise<[string, RequiredPeer]> => [name, await peerOf(name)]),
    ),
  );
}

/** The user that must run the server of a database; undefined = anybody. */
export async function resolvePeer({ requirePeer }: DatabaseEntry): Promise<RequiredPeer | undefined> {
  return requirePeer === null ? undefined : await peerOf(requirePeer);
}

async function peerOf(name: string): Promise<RequiredPeer> {
  return { name, uid: (await userId(name)) ?? -1 };
}
