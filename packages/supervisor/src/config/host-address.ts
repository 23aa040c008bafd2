import { lookup } from 'node:dns/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { endianness, networkInterfaces } from 'node:os';
import type { HostAddress } from '@pgdog-cluster/core';

// struct sockaddr_in and sockaddr_in6 of Linux; family and scope id in the machine's order, the port in the
// network's.
const AF_INET = 2;
const AF_INET6 = 10;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;
const PORT_OFFSET = 2;
const IPV4_OFFSET = 4;
const IPV6_OFFSET = 8;
const SCOPE_OFFSET = 24;
const IPV6_GROUPS = 8;

const isLittleEndian = endianness() === 'LE';

/** `[::]`-style text to 16 bytes. The text must satisfy isIPv6 and carry no zone. */
function ipv6Bytes(text: string): Uint8Array {
  const dots = text.lastIndexOf(':') + 1;
  let address = text;
  if (text.includes('.')) {
    // ::ffff:10.0.0.1 – the last four bytes are written as an IPv4 address.
    const [a, b, c, d] = text.slice(dots).split('.').map(Number);
    address = `${text.slice(0, dots)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head, tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : IPV6_GROUPS - before.length - after.length;
  const groups = [...before, ...new Array<string>(zeros).fill('0'), ...after];
  const bytes = new Uint8Array(2 * IPV6_GROUPS);
  const view = new DataView(bytes.buffer);
  for (const [index, group] of groups.entries()) view.setUint16(2 * index, Number.parseInt(group, 16));
  return bytes;
}

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
  const isV4 = isIPv4(bare);
  if (!isV4 && !isIPv6(bare)) throw new Error(`not a numeric address: ${text}`);
  const sockaddr = new Uint8Array(isV4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  const view = new DataView(sockaddr.buffer);
  const family = isV4 ? AF_INET : AF_INET6;
  view.setUint16(0, family, isLittleEndian);
  view.setUint16(PORT_OFFSET, port);
  if (isV4) {
    sockaddr.set(bare.split('.').map(Number), IPV4_OFFSET);
  } else {
    sockaddr.set(ipv6Bytes(bare), IPV6_OFFSET);
    view.setUint32(SCOPE_OFFSET, scopeId(zone), isLittleEndian);
  }
  return { family, text, sockaddr };
}

/**
 * Every address of a host, in the resolver's order (RFC 6724). Empty when the name does not resolve: the proxy
 * starts nevertheless, for DNS may come up after it.
 */
export async function resolveHost(host: string, port: number): Promise<HostAddress[]> {
  try {
    const answers = await lookup(host, { all: true, verbatim: true });
    // getaddrinfo repeats an address that stands twice in /etc/hosts.
    const texts = new Set(answers.map((answer) => answer.address));
    return [...texts].map((text) => toHostAddress(text, port));
  } catch {
    return [];
  }
}
