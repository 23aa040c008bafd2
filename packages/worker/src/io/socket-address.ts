import { isIPv4, isIPv6 } from 'node:net';
import { AF_INET, AF_INET6, AF_UNIX, getpeername, getsockname } from './libc.js';

/** sun_path with its terminating zero. */
const UNIX_PATH_BYTES_MAX = 107;

export interface SocketAddress {
  /** IPv4 or IPv6 text, or the path of a local socket (empty for an unnamed one). */
  address: string;
  /** 0 for a local socket. */
  port: number;
}

/** The address family of a sockaddr: the first argument of socket(2). */
export function familyOf(sockaddr: Uint8Array): number {
  return new DataView(sockaddr.buffer, sockaddr.byteOffset).getUint16(0, true);
}

/** sockaddr_in or sockaddr_in6 for an address in text (not a name), without scope. Throws RangeError. */
export function ipSockaddr(address: string, port: number): Uint8Array {
  if (isIPv4(address)) {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port);
    address.split('.').forEach((part, i) => {
      bytes[4 + i] = Number(part);
    });
    return bytes;
  }
  if (!isIPv6(address)) throw new RangeError(`not an IP address: ${address}`);
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET6, true);
  view.setUint16(2, port);
  ipv6Groups(address).forEach((group, i) => {
    view.setUint16(8 + i * 2, group);
  });
  return bytes;
}

/** sockaddr_un for a path. Throws RangeError when it is too long for the kernel. */
export function unixSockaddr(path: string): Uint8Array {
  const encoded = new TextEncoder().encode(path);
  if (encoded.length > UNIX_PATH_BYTES_MAX)
    throw new RangeError(`path of a local socket is too long: ${path}`);
  const bytes = new Uint8Array(2 + encoded.length + 1);
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(encoded, 2);
  return bytes;
}

export function parseSockaddr(sockaddr: Uint8Array): SocketAddress {
  const view = new DataView(sockaddr.buffer, sockaddr.byteOffset, sockaddr.length);
  const family = sockaddr.length < 2 ? 0 : view.getUint16(0, true);
  if (family === AF_INET) {
    return { address: Array.from(sockaddr.subarray(4, 8)).join('.'), port: view.getUint16(2) };
  }
  if (family === AF_INET6) {
    const groups: string[] = [];
    for (let i = 0; i < 8; i++) groups.push(view.getUint16(8 + i * 2).toString(16));
    return { address: groups.join(':'), port: view.getUint16(2) };
  }
  const end = sockaddr.indexOf(0, 2);
  return { address: new TextDecoder().decode(sockaddr.subarray(2, end < 0 ? undefined : end)), port: 0 };
}

/** Our own end of a socket; port 0 and no address when it has none. */
export function localAddress(fd: number): SocketAddress {
  return ask(getsockname, fd);
}

/** The other end of a connected socket; port 0 and no address when there is none (any more). */
export function peerAddress(fd: number): SocketAddress {
  return ask(getpeername, fd);
}

/** The same as the kernel has it, for connect(2); null: there is none (any more). */
export function peerSockaddr(fd: number): Uint8Array | null {
  return askBytes(getpeername, fd);
}

function ask(call: typeof getsockname, fd: number): SocketAddress {
  const bytes = askBytes(call, fd);
  return bytes === null ? { address: '', port: 0 } : parseSockaddr(bytes);
}

function askBytes(call: typeof getsockname, fd: number): Uint8Array | null {
  const bytes = new Uint8Array(128);
  const length = new Int32Array([bytes.length]);
  return call(fd, bytes, length) < 0 ? null : bytes.slice(0, length[0]);
}

/** The eight groups of a valid IPv6 address, `::` filled up, a dotted tail taken as two groups. */
function ipv6Groups(address: string): number[] {
  const halves = address.split('%', 1)[0].split('::');
  const parse = (half: string): number[] =>
    half === ''
      ? []
      : half.split(':').flatMap((part) => {
          if (!part.includes('.')) return [Number.parseInt(part, 16)];
          const [a, b, c, d] = part.split('.').map(Number);
          return [a * 256 + b, c * 256 + d];
        });
  const before = parse(halves[0]);
  const after = halves.length > 1 ? parse(halves[1]) : [];
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}
