import {
  isLoopback,
  type ListenSocket,
  readAddress,
  readPort,
  SOCKADDR_BYTES_MAX,
  type TcpSnapshot,
} from '@pgdog-cluster/core';
import { formatListenAddress } from '@pgdog-cluster/core/config';
import {
  accept4,
  close,
  getsockname,
  IPPROTO_TCP,
  SHUT_RDWR,
  SO_KEEPALIVE,
  SOCK_CLOEXEC,
  SOL_SOCKET,
  setLoopbackCongestion,
  setOption,
  shutdown,
  TCP_DEFER_ACCEPT,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from './libc.js';
import type { UnixLock } from './unix-lock.js';

/** Where a Unix socket was bound, which it does not tell itself. */
export interface UnixPlace {
  directory: string;
  port: number;
  /** Takes away what others see of it. Run once, before it is shut down. */
  remove: () => void;
  /** Of a socket in the file system. */
  lock?: UnixLock;
}

/** One listening socket: a raw number that the workers accept from. Opened and closed here, never owned by libuv. */
export class Listener {
  readonly fd: number;
  readonly kind: 'tcp' | 'unix';
  /** Numeric address; of a Unix socket its directory or abstract name. */
  readonly host: string;
  /** As bound: a free one was chosen when 0 was asked for. */
  readonly port: number;
  /** Another process has it too (systemd, or who takes over): it must not end with this one. */
  isShared = false;
  readonly lock: UnixLock | null;
  readonly #remove: () => void;
  #isShutDown = false;
  #isClosed = false;

  constructor(fd: number, unix?: UnixPlace) {
    this.fd = fd;
    this.kind = unix === undefined ? 'tcp' : 'unix';
    this.#remove = unix?.remove ?? (() => {});
    this.lock = unix?.lock ?? null;
    if (unix !== undefined) {
      this.host = unix.directory;
      this.port = unix.port;
      return;
    }
    const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
    getsockname(fd, sockaddr, new Int32Array([SOCKADDR_BYTES_MAX]));
    this.host = readAddress(sockaddr);
    this.port = readPort(sockaddr);
  }

  get address(): string {
    return formatListenAddress(this);
  }

  /** As workers are told it. */
  get socket(): ListenSocket {
    return { fd: this.fd, unixPort: this.kind === 'unix' ? this.port : 0 };
  }

  /**
   * Options of the clients' sockets, set here once: on Linux an accepted socket inherits them from the listening
   * one, which saves five system calls per client. 0 leaves the system's value.
   */
  setTcpOptions(tcp: TcpSnapshot): void {
    if (this.kind === 'unix') return;
    setOption(this.fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (isLoopback(this.host)) setLoopbackCongestion(this.fd);
    setOption(this.fd, SOL_SOCKET, SO_KEEPALIVE, tcp.keepalive ? 1 : 0);
    if (tcp.keepaliveTimeS > 0) setOption(this.fd, IPPROTO_TCP, TCP_KEEPIDLE, tcp.keepaliveTimeS);
    if (tcp.keepaliveIntervalS > 0) setOption(this.fd, IPPROTO_TCP, TCP_KEEPINTVL, tcp.keepaliveIntervalS);
    if (tcp.keepaliveRetries > 0) setOption(this.fd, IPPROTO_TCP, TCP_KEEPCNT, tcp.keepaliveRetries);
    setOption(this.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, tcp.deferAcceptS);
    if (tcp.userTimeoutMs > 0) setOption(this.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, tcp.userTimeoutMs);
  }

  /**
   * Nobody can connect any more, and another process may listen in this one's place; workers that watch it find
   * out. The number stays taken until close(). Of a shared one nothing of that: whoever comes waits for the other
   * process, and workers must be told to look away. Idempotent.
   */
  shutDown(): void {
    if (this.#isShutDown || this.isShared) return;
    this.#isShutDown = true;
    this.#remove();
    shutdown(this.fd, SHUT_RDWR);
    if (this.kind === 'tcp') return;
    // Whoever waits in the backlog of a TCP socket is reset by that; of a Unix socket he would wait until close().
    for (;;) {
      const fd = accept4(this.fd, null, null, SOCK_CLOEXEC);
      if (fd === -1) return;
      close(fd);
    }
  }

  /** Once no worker can watch it any more. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.shutDown();
    this.#isClosed = true;
    close(this.fd);
  }
}
