import { PgDogError, readAddress, readPort, SOCKADDR_BYTES_MAX, type TcpSnapshot } from '@pgdog-cluster/core';
import { formatListenAddress, type ListenAddress } from '@pgdog-cluster/core/config';
import {
  AF_INET6,
  bind,
  close,
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EPERM,
  errno,
  getsockname,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  listen,
  SHUT_RDWR,
  SO_KEEPALIVE,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  setOption,
  shutdown,
  socket,
  TCP_DEFER_ACCEPT,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from './libc.js';
import { buildSockaddr, resolveListenHost } from './socket-address.js';

const REASONS: Record<number, [reason: string, hint: string]> = {
  [EADDRINUSE]: [
    'the address is already in use',
    'Stop the program that listens there, or choose another port.',
  ],
  [EACCES]: ['permission denied', 'Ports below 1024 need CAP_NET_BIND_SERVICE; choose another port.'],
  [EPERM]: ['permission denied', 'Ports below 1024 need CAP_NET_BIND_SERVICE; choose another port.'],
  [EADDRNOTAVAIL]: [
    'this machine has no such address',
    'Listen on an address of this machine, or on 0.0.0.0.',
  ],
};

/** One listening socket: a raw number that the workers accept from. Opened and closed here, never owned by libuv. */
export class Listener {
  readonly fd: number;
  readonly host: string;
  /** As bound: a free one was chosen when 0 was asked for. */
  readonly port: number;
  #isClosed = false;

  constructor(fd: number) {
    this.fd = fd;
    const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
    getsockname(fd, sockaddr, new Int32Array([SOCKADDR_BYTES_MAX]));
    this.host = readAddress(sockaddr);
    this.port = readPort(sockaddr);
  }

  get address(): string {
    return formatListenAddress(this);
  }

  /**
   * Options of the clients' sockets, set here once: on Linux an accepted socket inherits them from the listening
   * one, which saves five system calls per client. 0 leaves the system's value.
   */
  setTcpOptions(tcp: TcpSnapshot): void {
    setOption(this.fd, IPPROTO_TCP, TCP_NODELAY, 1);
    setOption(this.fd, SOL_SOCKET, SO_KEEPALIVE, tcp.keepalive ? 1 : 0);
    if (tcp.keepaliveTimeS > 0) setOption(this.fd, IPPROTO_TCP, TCP_KEEPIDLE, tcp.keepaliveTimeS);
    if (tcp.keepaliveIntervalS > 0) setOption(this.fd, IPPROTO_TCP, TCP_KEEPINTVL, tcp.keepaliveIntervalS);
    if (tcp.keepaliveRetries > 0) setOption(this.fd, IPPROTO_TCP, TCP_KEEPCNT, tcp.keepaliveRetries);
    setOption(this.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, tcp.deferAcceptS);
    if (tcp.userTimeoutMs > 0) setOption(this.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, tcp.userTimeoutMs);
  }

  /** Nobody can connect any more; workers that watch it find out. The number stays taken until close(). */
  shutDown(): void {
    if (!this.#isClosed) shutdown(this.fd, SHUT_RDWR);
  }

  /** Once no worker can watch it any more. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    close(this.fd);
  }
}

/**
 * Opens every configured address, all or none. A host name is listened on at each of its addresses.
 * @throws PgDogError `configuration`, naming address:port and what is wrong with it.
 */
export async function openListeners(
  addresses: readonly ListenAddress[],
  backlog: number,
  tcp: TcpSnapshot,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const { host, port } of addresses) {
      // `::` alone also takes IPv4; beside an IPv4 address of the same port it must not, or the two collide.
      const isIpv6Only = addresses.some((other) => other.port === port && !other.host.includes(':'));
      for (const address of await resolve(host, port)) {
        const listener = openListener(address, port, backlog, isIpv6Only);
        listener.setTcpOptions(tcp);
        listeners.push(listener);
      }
    }
  } catch (error) {
    for (const listener of listeners) listener.close();
    throw error;
  }
  return listeners;
}

async function resolve(host: string, port: number): Promise<string[]> {
  try {
    return await resolveListenHost(host);
  } catch (cause) {
    throw refusal(host, port, 'the name has no address', 'Listen on an IP address of this machine.', cause);
  }
}

function openListener(address: string, port: number, backlog: number, isIpv6Only: boolean): Listener {
  let sockaddr: ReturnType<typeof buildSockaddr>;
  try {
    sockaddr = buildSockaddr(address, port);
  } catch (cause) {
    throw refusal(address, port, 'it is not an IP address', 'Write the address without a zone.', cause);
  }
  const fd = socket(sockaddr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd === -1) throw systemRefusal(address, port);
  // Otherwise a restart is refused for a minute while old connections linger in TIME_WAIT.
  setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (sockaddr.family === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, isIpv6Only ? 1 : 0);
  if (bind(fd, sockaddr.bytes, sockaddr.bytes.length) !== 0 || listen(fd, backlog) !== 0) {
    const error = systemRefusal(address, port);
    close(fd);
    throw error;
  }
  return new Listener(fd);
}

/** Reads errno: call it right after the failure. */
function systemRefusal(host: string, port: number): PgDogError {
  const number = errno();
  const [reason, hint] = REASONS[number] ?? [`system error ${number}`, ''];
  return refusal(host, port, reason, hint);
}

function refusal(host: string, port: number, reason: string, hint: string, cause?: unknown): PgDogError {
  const address = formatListenAddress({ host, port });
  return new PgDogError('configuration', `cannot listen on ${address}: ${reason}`, { hint, cause });
}
