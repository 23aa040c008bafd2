import { SystemCallError } from './errno.js';
import {
  AF_UNIX,
  errno,
  F_GETFL,
  F_SETFL,
  fcntl,
  getsockopt,
  IPPROTO_TCP,
  O_NONBLOCK,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  setsockopt,
  socket,
  TCP_CONGESTION,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from './libc.js';

export interface KeepaliveOptions {
  enabled: boolean;
  /** 0 leaves the system's value. */
  idleSeconds: number;
  intervalSeconds: number;
  probeCount: number;
  userTimeoutMs: number;
}

const value = new Int32Array(1);

/** Sets one int option. False when the kernel refuses, which for tuning is no reason to give a socket up. */
export function setOption(fd: number, level: number, name: number, number: number): boolean {
  value[0] = number;
  return setsockopt(fd, level, name, value, 4) === 0;
}

/** A non-blocking stream socket, for AF_INET and AF_INET6 without Nagle's delay. Throws SystemCallError (EMFILE). */
export function openStreamSocket(family: number): number {
  const fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new SystemCallError('socket', errno());
  if (family !== AF_UNIX) setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

const RENO = new TextEncoder().encode('reno');

/**
 * For sockets that never leave this machine: the kernel's plain congestion control in place of the system's, which
 * may pace what it sends by timers (BBR) where nothing can be congested.
 */
export function setLoopbackCongestion(fd: number): void {
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, RENO, RENO.byteLength);
}

export function setKeepalive(fd: number, options: KeepaliveOptions): void {
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, options.enabled ? 1 : 0);
  if (!options.enabled) return;
  if (options.idleSeconds > 0) setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, options.idleSeconds);
  if (options.intervalSeconds > 0) setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, options.intervalSeconds);
  if (options.probeCount > 0) setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, options.probeCount);
  if (options.userTimeoutMs > 0) setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options.userTimeoutMs);
}

// struct ucred: pid, uid, gid.
const credentials = new Int32Array(3);
const credentialsBytes = new Int32Array(1);

/** User id of the process at the other end of a connected Unix socket; -1 when the kernel does not say. */
export function peerUserId(fd: number): number {
  credentialsBytes[0] = credentials.byteLength;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, credentialsBytes) !== 0) return -1;
  return credentials[1] >>> 0;
}

export function setNonBlocking(fd: number): void {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
}

const errorValue = new Int32Array(1);
const errorLength = new Int32Array(1);

/** The pending error of a socket, which reading clears. */
export function socketError(fd: number): number {
  errorLength[0] = 4;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, errorValue, errorLength) < 0) return errno();
  return errorValue[0];
}
