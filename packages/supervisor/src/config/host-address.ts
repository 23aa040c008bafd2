import { lookup } from 'node:dns/promises';
import { endianness, networkInterfaces } from 'node:os';
import { type HostAddress, IPV4_BYTES, isUnixHost, parseIp, unixSocketPath } from '@pgdog-cluster/core';
import { AF_UNIX } from '../listen/libc.js';
import { buildSockaddr, buildUnixSockaddr } from '../listen/socket-address.js';

/** sin6_scope_id, in the machine's order. */
const SCOPE_OFFSET = 24;

const isLittleEndian = endianness() === 'LE';

/** `eth0` or `2` to the number of the interface; 0 = none. */
function scopeId(zone: string): number {
  if (Number.isInteger(Number(zone)) && zone !== '') return Number(zone);
  for (const address of networkInterfaces()[zone] ?? []) {
    if (address.family === 'IPv6') return address.scopeid;
  }
  return 0;
}

/** A numeric address (IPv6 possibly with %zone) as connect(2) wants it. */
export function toHostAddress(text: string, port: number): HostAddress {
  const [bare, zone = ''] = text.split('%');
  const ip = parseIp(bare);
  if (ip === null) throw new Error(`not a numeric address: ${text}`);
  const { family, bytes: sockaddr } = buildSockaddr(bare, port);
  if (ip.length !== IPV4_BYTES) {
    new DataView(sockaddr.buffer).setUint32(SCOPE_OFFSET, scopeId(zone), isLittleEndian);
  }
  return { family, text, sockaddr };
}

/**
 * Every address of a host (of a Unix socket: its path), in the resolver's order (RFC 6724). Empty when the name does not resolve: the proxy
 * starts nevertheless, for DNS may come up after it.
 */
export async function resolveHost(host: string, port: number): Promise<HostAddress[]> {
  if (isUnixHost(host)) {
    const path = unixSocketPath(host, port);
    return [{ family: AF_UNIX, text: path, sockaddr: buildUnixSockaddr(path) }];
  }
  try {
    const answers = await lookup(host, { all: true, verbatim: true });
    // getaddrinfo repeats an address that stands twice in /etc/hosts.
    const texts = new Set(answers.map((answer) => answer.address));
    return [...texts].map((text) => toHostAddress(text, port));
  } catch {
    return [];
  }
}
