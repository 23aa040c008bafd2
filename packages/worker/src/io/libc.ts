import koffi from 'koffi';

/*
 * Every C function the data plane calls, in one place. Addresses are plain numbers (47 bits are exact in a
 * double); functions that can fail return -1 and leave the reason in `errno()`, which must be read before any
 * other call of this file.
 */

// The running program itself: Node is linked to libc, whichever one (glibc, musl) the system has.
const program = koffi.load(null);

/** The errno of the last failed call of this thread, positive. */
export const errno: () => number = () => koffi.errno();

type Numbers0 = () => number;
type Numbers1 = (a: number) => number;
type Numbers2 = (a: number, b: number) => number;
type Numbers3 = (a: number, b: number, c: number) => number;
type Numbers4 = (a: number, b: number, c: number, d: number) => number;

// --- time ---------------------------------------------------------------------------------------------

/** clock_gettime(clock, BigInt64Array(2)): seconds and nanoseconds. */
export const clockGetTime: (clock: number, timespec: BigInt64Array) => number = program.func(
  'clock_gettime',
  'int',
  ['int', 'void *'],
);
export const CLOCK_THREAD_CPUTIME_ID = 3;

// --- memory -------------------------------------------------------------------------------------------

/** mmap(address, length, protection, flags, fd, offset): the address, or -1. */
export const mmap: (a: number, b: number, c: number, d: number, e: number, f: number) => number =
  program.func('mmap', 'intptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']);
export const munmap: Numbers2 = program.func('munmap', 'int', ['uintptr_t', 'size_t']);
export const madvise: Numbers3 = program.func('madvise', 'int', ['uintptr_t', 'size_t', 'int']);

/** The `length` bytes at `address` as an ArrayBuffer. It stays valid exactly as long as the mapping does. */
export function viewOf(address: number, length: number): ArrayBuffer {
  return koffi.view(BigInt(address), length);
}

/** Address of a typed array's first byte. Only valid while the array is neither collected nor moved. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

// --- sockets: set-up ----------------------------------------------------------------------------------

export const socket: Numbers3 = program.func('socket', 'int', ['int', 'int', 'int']);
/** socketpair(domain, type, protocol, Int32Array(2)). */
export const socketpair: (domain: number, type: number, protocol: number, fds: Int32Array) => number =
  program.func('socketpair', 'int', ['int', 'int', 'int', 'void *']);
export const bind: (fd: number, sockaddr: Uint8Array, length: number) => number = program.func(
  'bind',
  'int',
  ['int', 'void *', 'uint32_t'],
);
export const listen: Numbers2 = program.func('listen', 'int', ['int', 'int']);
export const connect: (fd: number, sockaddr: Uint8Array, length: number) => number = program.func(
  'connect',
  'int',
  ['int', 'void *', 'uint32_t'],
);
/** accept4(fd, sockaddr or null, Int32Array(1) length or null, flags). */
export const accept4: (
  fd: number,
  sockaddr: Uint8Array | null,
  length: Int32Array | null,
  flags: number,
) => number = program.func('accept4', 'int', ['int', 'void *', 'void *', 'int']);
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
export const getpeername: (fd: number, sockaddr: Uint8Array, length: Int32Array) => number = program.func(
  'getpeername',
  'int',
  ['int', 'void *', 'void *'],
);
export const shutdown: Numbers2 = program.func('shutdown', 'int', ['int', 'int']);
export const close: Numbers1 = program.func('close', 'int', ['int']);
/** fcntl with an int argument. */
export const fcntl: Numbers3 = program.func('fcntl', 'int', ['int', 'int', 'int']);

// --- sockets: data, by address ------------------------------------------------------------------------

/** recv(fd, address, length, flags): bytes, 0 at the end of the stream, or -1. */
export const recv: Numbers4 = program.func('recv', 'intptr_t', ['int', 'uintptr_t', 'size_t', 'int']);
export const send: Numbers4 = program.func('send', 'intptr_t', ['int', 'uintptr_t', 'size_t', 'int']);
/** sendmsg(fd, address of a msghdr, flags). */
export const sendmsg: Numbers3 = program.func('sendmsg', 'intptr_t', ['int', 'uintptr_t', 'int']);
export const read: Numbers3 = program.func('read', 'intptr_t', ['int', 'uintptr_t', 'size_t']);
export const write: Numbers3 = program.func('write', 'intptr_t', ['int', 'uintptr_t', 'size_t']);

// --- readiness ----------------------------------------------------------------------------------------

export const epollCreate1: Numbers1 = program.func('epoll_create1', 'int', ['int']);
/** epoll_ctl(epollFd, operation, fd, address of an epoll_event). */
export const epollCtl: Numbers4 = program.func('epoll_ctl', 'int', ['int', 'int', 'int', 'uintptr_t']);
/** epoll_wait(epollFd, address of events, their count, timeout in ms). */
export const epollWait: Numbers4 = program.func('epoll_wait', 'int', ['int', 'uintptr_t', 'int', 'int']);
export const eventfd: Numbers2 = program.func('eventfd', 'int', ['uint32_t', 'int']);
/** poll(Int32Array of pollfd: [fd, events | revents << 16] each, count, timeout in ms). */
export const poll: (fds: Int32Array, count: number, timeoutMs: number) => number = program.func(
  'poll',
  'int',
  ['void *', 'uint64_t', 'int'],
);

// --- io_uring, which has no libc wrapper --------------------------------------------------------------

const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;
const SYS_IO_URING_REGISTER = 427;

const syscall3: Numbers3 = program.func('syscall', 'intptr_t', ['intptr_t', 'uint32_t', 'uintptr_t']);
const syscall5: (n: number, a: number, b: number, c: number, d: number) => number = program.func(
  'syscall',
  'intptr_t',
  ['intptr_t', 'int', 'uint32_t', 'uintptr_t', 'uint32_t'],
);
const syscall7: (n: number, a: number, b: number, c: number, d: number, e: number, f: number) => number =
  program.func('syscall', 'intptr_t', [
    'intptr_t',
    'int',
    'uint32_t',
    'uint32_t',
    'uint32_t',
    'uintptr_t',
    'size_t',
  ]);

/** io_uring_setup(entries, address of io_uring_params): a descriptor, or -1. */
export function ioUringSetup(entryCount: number, paramsAddress: number): number {
  return syscall3(SYS_IO_URING_SETUP, entryCount, paramsAddress);
}

/** io_uring_enter2: the number of submissions taken, or -1. */
export function ioUringEnter(
  fd: number,
  submitCount: number,
  completeCountMin: number,
  flags: number,
  argAddress: number,
  argSize: number,
): number {
  return syscall7(SYS_IO_URING_ENTER, fd, submitCount, completeCountMin, flags, argAddress, argSize);
}

export function ioUringRegister(fd: number, opcode: number, argAddress: number, argCount: number): number {
  return syscall5(SYS_IO_URING_REGISTER, fd, opcode, argAddress, argCount);
}

// --- process ------------------------------------------------------------------------------------------

/** getrlimit(resource, BigUint64Array [soft, hard]). */
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
export const getpid: Numbers0 = program.func('getpid', 'int', []);

// --- constants (Linux; the same on x86-64 and arm64) ---------------------------------------------------

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 0x1;
export const MAP_PRIVATE = 0x2;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MAP_POPULATE = 0x8000;
export const MADV_DONTNEED = 4;
export const MADV_DONTFORK = 10;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_PEERCRED = 17;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_CONGESTION = 13;
export const TCP_USER_TIMEOUT = 18;
export const MSG_DONTWAIT = 0x40;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;
export const F_GETFD = 1;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const O_NONBLOCK = 0o4000;
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;
export const RLIMIT_NOFILE = 7;
