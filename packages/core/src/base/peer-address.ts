import { formatIp, IPV4_BYTES, IPV6_BYTES } from './ip-address.js';

const AF_INET = 2;
const AF_INET6 = 10;
const IPV4_OFFSET = 4;
const IPV6_OFFSET = 8;
/** sizeof(struct sockaddr_in6), the larger of the two. */
export const SOCKADDR_BYTES_MAX = 28;

/** Address in text, as SHOW CLIENTS prints it. IPv4 mapped into IPv6 is printed as the IPv4 it is. '' for other families. */
export function readAddress(sockaddr: Uint8Array): string {
  const family = sockaddr[0] | (sockaddr[1] << 8);
  if (family === AF_INET) return formatIp(sockaddr.subarray(IPV4_OFFSET, IPV4_OFFSET + IPV4_BYTES));
  if (family === AF_INET6) return formatIp(sockaddr.subarray(IPV6_OFFSET, IPV6_OFFSET + IPV6_BYTES));
  return '';
}

export function readPort(sockaddr: Uint8Array): number {
  return (sockaddr[2] << 8) | sockaddr[3];
}

/** Addresses that only this machine reaches. A name other than localhost may mean anything. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
