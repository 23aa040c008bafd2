import { lookup } from 'node:dns/promises';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { AF_INET, AF_INET6 } from './libc.js';

/** sizeof(struct sockaddr_in6), the larger of the two. */
export const SOCKADDR_BYTES_MAX = 28;
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

/** Address in text, as SHOW CLIENTS prints it. IPv4 mapped into IPv6 is printed as the IPv4 it is. '' for other families. */
export function readAddress(sockaddr: Uint8Array): string {
  const family = sockaddr[0] | (sockaddr[1] << 8);
  if (family === AF_INET) return sockaddr.subarray(IPV4_OFFSET, IPV4_OFFSET + 4).join('.');
  if (family !== AF_INET6) return '';
  const groups: number[] = [];
  for (let group = 0; group < IPV6_GROUPS; group++) {
    groups.push((sockaddr[IPV6_OFFSET + 2 * group] << 8) | sockaddr[IPV6_OFFSET + 2 * group + 1]);
  }
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return sockaddr.subarray(IPV6_OFFSET + 12, IPV6_OFFSET + 16).join('.');
  return formatIpv6(groups);
}

export function readPort(sockaddr: Uint8Array): number {
  return (sockaddr[2] << 8) | sockaddr[3];
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

/** RFC 5952: lower case, the longest run of two or more zero groups as `::`. */
function formatIpv6(groups: number[]): string {
  let best = { start: 0, length: 1 };
  let start = 0;
  for (let group = 0; group <= groups.length; group++) {
    if (group < groups.length && groups[group] === 0) continue;
    if (group - start > best.length) best = { start, length: group - start };
    start = group + 1;
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.length < 2) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}
