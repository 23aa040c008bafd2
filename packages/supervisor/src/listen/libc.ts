import koffi from 'koffi';

/*
 * The few C functions the supervisor calls, in one place. They return -1 on failure and leave the reason in
 * `errno()`, to be read before any other call of this file. Sockets made here are raw numbers: libuv watches
 * the listening ones and never owns any, so nothing is closed twice.
 */

// The running program itself: Node is linked to libc, whichever one (glibc, musl) the system has.
const program = koffi.load(null);

/** The errno of the last failed call of this thread, positive. */
export const errno: () => number = () => koffi.errno();

export const socket: (family: number, type: number, protocol: number) => number = program.func(
  'socket',
  'int',
  ['int', 'int', 'int'],
);
export const bind: (fd: number, sockaddr: Uint8Array, length: number) => number = program.func(
  'bind',
  'int',
  ['int', 'void *', 'uint32_t'],
);
export const connect: (fd: number, sockaddr: Uint8Array, length: number) => number = program.func(
  'connect',
  'int',
  ['int', 'void *', 'uint32_t'],
);
export const listen: (fd: number, backlog: number) => number = program.func('listen', 'int', ['int', 'int']);
export const shutdown: (fd: number, how: number) => number = program.func('shutdown', 'int', ['int', 'int']);
/** accept4(fd, null, null, flags): for whom nobody serves any more. */
export const accept4: (fd: number, sockaddr: null, length: null, flags: number) => number = program.func(
  'accept4',
  'int',
  ['int', 'void *', 'void *', 'int'],
);
export const setsockopt: (
  fd: number,
  level: number,
  name: number,
  value: Int32Array | Uint8Array,
  length: number,
) => number = program.func('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint32_t']);
export const getsockopt: (
  fd: number,
  level: number,
  name: number,
  value: Int32Array,
  length: Int32Array,
) => number = program.func('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']);
export const getsockname: (fd: number, sockaddr: Uint8Array, length: Int32Array) => number = program.func(
  'getsockname',
  'int',
  ['int', 'void *', 'void *'],
);
export const write: (fd: number, bytes: Uint8Array, length: number) => number = program.func(
  'write',
  'intptr_t',
  ['int', 'void *', 'size_t'],
);
export const sendto: (
  fd: number,
  bytes: Uint8Array,
  length: number,
  flags: number,
  sockaddr: Uint8Array,
  sockaddrLength: number,
) => number = program.func('sendto', 'intptr_t', ['int', 'void *', 'size_t', 'int', 'void *', 'uint32_t']);
/** Of a struct msghdr at an address. */
export const sendmsg: (fd: number, message: number, flags: number) => number = program.func(
  'sendmsg',
  'intptr_t',
  ['int', 'uintptr_t', 'int'],
);
export const recvmsg: (fd: number, message: number, flags: number) => number = program.func(
  'recvmsg',
  'intptr_t',
  ['int', 'uintptr_t', 'int'],
);
/** Its third argument is optional in C, and an int in all uses here. */
export const fcntl: (fd: number, command: number, value: number) => number = program.func('fcntl', 'int', [
  'int',
  'int',
  'int',
]);
export const flock: (fd: number, operation: number) => number = program.func('flock', 'int', ['int', 'int']);
export const close: (fd: number) => number = program.func('close', 'int', ['int']);
export const eventfd: (value: number, flags: number) => number = program.func('eventfd', 'int', [
  'uint32_t',
  'int',
]);
export const munmap: (address: number, length: number) => number = program.func('munmap', 'int', [
  'uintptr_t',
  'size_t',
]);
/** struct rlimit: two unsigned 64-bit words, soft and hard. */
export const getrlimit: (resource: number, limits: BigUint64Array) => number = program.func(
  'getrlimit',
  'int',
  ['int', 'void *'],
);
export const setrlimit: (resource: number, limits: BigUint64Array) => number = program.func(
  'setrlimit',
  'int',
  ['int', 'void *'],
);

// Linux, x86-64 and arm64 alike.
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_KEEPALIVE = 9;
export const SO_PEERCRED = 17;
export const SO_ACCEPTCONN = 30;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_CONGESTION = 13;
export const TCP_USER_TIMEOUT = 18;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const SHUT_RDWR = 2;
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;
export const RLIMIT_NOFILE = 7;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const SCM_RIGHTS = 1;
export const F_SETFD = 2;
export const FD_CLOEXEC = 1;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

export const EPERM = 1;
export const EAGAIN = 11;
export const EACCES = 13;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const ECONNREFUSED = 111;
export const EADDRNOTAVAIL = 99;

const ONE = new Int32Array([1]);
const WAKE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** setsockopt with an int. True = taken. */
export function setOption(fd: number, level: number, name: number, value: number): boolean {
  return setsockopt(fd, level, name, value === 1 ? ONE : new Int32Array([value]), 4) === 0;
}

const RENO = new TextEncoder().encode('reno');

/**
 * For sockets that never leave this machine: the kernel's plain congestion control in place of the system's, which
 * may pace what it sends by timers (BBR) where nothing can be congested. Accepted sockets inherit it.
 */
export function setLoopbackCongestion(fd: number): void {
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, RENO, RENO.byteLength);
}

/** Address of the first byte. Valid as long as the array lives: its memory is not V8's and does not move. */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(koffi.address(bytes));
}

/** An int option of a socket; null when it has none, or is no socket. */
export function readOption(fd: number, level: number, name: number): number | null {
  const value = new Int32Array(1);
  return getsockopt(fd, level, name, value, new Int32Array([4])) === 0 ? value[0] : null;
}

export function createEventFd(): number {
  return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/** Wakes whoever watches the eventfd. A counter at its maximum refuses, which also means it is awake. */
export function writeEventFd(fd: number): void {
  write(fd, WAKE, 8);
}
