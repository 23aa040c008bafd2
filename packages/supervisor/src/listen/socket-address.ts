import { lookup } from 'node:dns/promises';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { SOCKADDR_BYTES_MAX } from '@pgdog-cluster/core';
import { AF_INET, AF_INET6 } from './libc.js';

const SOCKADDR_IN_BYTES = 16;
const IPV6_GROUPS = 8;
const IPV4_OFFSET = 4;
const IPV6_OFFSET = 8;

/** Numeric addresses of a host to listen on: itself, `*` for all of IPv4, or what the resolver says. Throws the resolver's error. */
export async function resolveListenHost(host: string): Promise<string[]> {
  if (host === '*') return ['0.0.0.0'];
  if (isIP(host) !== 0) return [host];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** A filled struct sockaddr of a numeric address. Zone identifiers (`%eth0`) are refused: bind() wants a number there. */
export function buildSockaddr(address: string, port: number): { family: number; bytes: Uint8Array } {
  if (isIPv4(address)) {
    const bytes = new Uint8Array(SOCKADDR_IN_BYTES);
    writeHead(bytes, AF_INET, port);
    bytes.set(address.split('.').map(Number), IPV4_OFFSET);
    return { family: AF_INET, bytes };
  }
  if (!isIPv6(address) || address.includes('%')) throw new RangeError(`${address} is not an IP address`);
  const bytes = new Uint8Array(SOCKADDR_BYTES_MAX);
  writeHead(bytes, AF_INET6, port);
  bytes.set(parseIpv6(address), IPV6_OFFSET);
  return { family: AF_INET6, bytes };
}

function writeHead(bytes: Uint8Array, family: number, port: number): void {
  // The family is in the machine's order (little endian on both our machines), the port in the network's.
  bytes[0] = family;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
}

/** The 16 bytes of an address that isIPv6() accepted: at most one `::`, maybe an IPv4 tail. */
function parseIpv6(address: string): number[] {
  let text = address;
  const tailStart = text.lastIndexOf(':') + 1;
  if (text.includes('.')) {
    const [a, b, c, d] = text.slice(tailStart).split('.').map(Number);
    text = `${text.slice(0, tailStart)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head, tail] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array(IPV6_GROUPS - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
