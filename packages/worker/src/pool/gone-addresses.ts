import type { HostAddress } from '@pgdog-cluster/core';
import { AF_UNIX } from '../io/libc.js';
import { parseSockaddr, peerAddress } from '../io/socket-address.js';
import type { Pool } from './pool.js';

/**
 * The name of the host has other addresses than before: connections to those that are gone end, the idle ones now,
 * the others when they come free. Asked of the kernel, because connections change workers.
 */
export function leaveGoneAddresses(pool: Pool, before: readonly HostAddress[]): void {
  const { addresses } = pool.snapshot;
  const isGone = before.some(({ text }) => !addresses.some((address) => address.text === text));
  // A name that does not resolve at all says nothing about where it was.
  if (!isGone || addresses.length === 0) return;
  if (addresses[0].family === AF_UNIX) return;
  const stay = new Set(addresses.map(({ sockaddr }) => parseSockaddr(sockaddr).address));
  for (const server of [...pool.all]) {
    // Streams of replication have no end to wait for; they end with their host. Empty: still connecting, who knows where.
    if (server.dedicatedTo !== null || stay.has(peerAddress(server.connection.fd).address)) continue;
    if (server.state === 'idle') pool.close(server);
    else server.isDoomed = true;
  }
}
