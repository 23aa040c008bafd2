import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { IPV4_BYTES, parseIp, SOCKADDR_BYTES_MAX } from '@pgdog-cluster/core';
import { AF_INET, AF_INET6, AF_UNIX } from './libc.js';

const SOCKADDR_IN_BYTES = 16;
const IPV4_OFFSET = 4;
const IPV6_OFFSET = 8;
const UNIX_PATH_OFFSET = 2;

/** Numeric addresses of a host to listen on: itself, both families for `*`, or what the resolver says. Throws the resolver's error. */
export async function resolveListenHost(host: string): Promise<string[]> {
  if (host === '*') return ['0.0.0.0', '::'];
  if (isIP(host) !== 0) return [host];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** A filled struct sockaddr of a numeric address. Zone identifiers (`%eth0`) are refused: bind() wants a number there. */
export function buildSockaddr(address: string, port: number): { family: number; bytes: Uint8Array } {
  const ip = parseIp(address);
  if (ip === null) throw new RangeError(`${address} is not an IP address`);
  const isIpv4 = ip.length === IPV4_BYTES;
  const family = isIpv4 ? AF_INET : AF_INET6;
  const bytes = new Uint8Array(isIpv4 ? SOCKADDR_IN_BYTES : SOCKADDR_BYTES_MAX);
  // The family is in the machine's order (little endian on both our machines), the port in the network's.
  bytes[0] = family;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(ip, isIpv4 ? IPV4_OFFSET : IPV6_OFFSET);
  return { family, bytes };
}

/** struct sockaddr_un of a path, or of an abstract name that begins with `@`. Its length says where the name ends. */
export function buildUnixSockaddr(path: string): Uint8Array {
  const isAbstract = path.startsWith('@');
  const name = new TextEncoder().encode(path);
  const bytes = new Uint8Array(UNIX_PATH_OFFSET + name.length + (isAbstract ? 0 : 1));
  bytes[0] = AF_UNIX;
  bytes.set(name, UNIX_PATH_OFFSET);
  if (isAbstract) bytes[UNIX_PATH_OFFSET] = 0;
  return bytes;
}
