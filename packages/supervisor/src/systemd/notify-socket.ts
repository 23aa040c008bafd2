import { unixPathProblem } from '@pgdog-cluster/core';
import {
  AF_UNIX,
  close,
  errno,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  sendto,
  socket,
} from '../listen/libc.js';
import { buildUnixSockaddr } from '../listen/socket-address.js';

/** Longer ones are cut by systemd's journal, not by us; this bounds the datagram. */
const TEXT_BYTES_MAX = 4096;

/** Datagrams of sd_notify to $NOTIFY_SOCKET, a path or an abstract `@name`. They tell; nobody answers. */
export class NotifySocket {
  readonly #fd: number;
  readonly #sockaddr: Uint8Array;

  private constructor(fd: number, sockaddr: Uint8Array) {
    this.#fd = fd;
    this.#sockaddr = sockaddr;
  }

  /** A text when it cannot be used: why. */
  static open(address: string): NotifySocket | string {
    if (!address.startsWith('/') && !address.startsWith('@')) return 'expected a path or @name';
    const problem = unixPathProblem(address);
    if (problem !== null) return problem;
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd === -1 ? `system error ${errno()}` : new NotifySocket(fd, buildUnixSockaddr(address));
  }

  /** False: it did not get through. */
  send(fields: Readonly<Record<string, string>>): boolean {
    const lines = Object.entries(fields).map(([key, value]) => `${key}=${value.replaceAll('\n', ' ')}`);
    const bytes = new TextEncoder().encode(lines.join('\n')).subarray(0, TEXT_BYTES_MAX);
    const { length } = this.#sockaddr;
    return sendto(this.#fd, bytes, bytes.length, MSG_NOSIGNAL, this.#sockaddr, length) === bytes.length;
  }

  close(): void {
    close(this.#fd);
  }
}
