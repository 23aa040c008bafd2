// Numbers of <sys/epoll.h>, names as there.

export const EPOLL_CLOEXEC = 0o2000000;
export const CTL_ADD = 1;
export const CTL_DEL = 2;
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 1 << 31;
/** Of several epolls that watch a listening socket one is woken. */
export const EPOLLEXCLUSIVE = 1 << 28;
export const SOCKET_INTEREST = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

// struct epoll_event is packed on x86-64 only. In 32-bit words: stride, and where the 64 bits of data begin.
export const IS_PACKED = process.arch === 'x64';
export const EVENT_WORDS = IS_PACKED ? 3 : 4;
export const DATA_WORD = IS_PACKED ? 1 : 2;
