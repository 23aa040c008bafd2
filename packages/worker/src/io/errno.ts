import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';

// The few error numbers the drivers act on, as constants so that comparing costs nothing.
export const EPERM = constants.errno.EPERM;
export const ENOENT = constants.errno.ENOENT;
export const EINTR = constants.errno.EINTR;
export const EAGAIN = constants.errno.EAGAIN;
export const ENOMEM = constants.errno.ENOMEM;
export const EBUSY = constants.errno.EBUSY;
export const EINVAL = constants.errno.EINVAL;
export const ENFILE = constants.errno.ENFILE;
export const EMFILE = constants.errno.EMFILE;
export const EPIPE = constants.errno.EPIPE;
export const ENOSYS = constants.errno.ENOSYS;
export const ETIME = constants.errno.ETIME;
export const ENOBUFS = constants.errno.ENOBUFS;
export const EALREADY = constants.errno.EALREADY;
export const EINPROGRESS = constants.errno.EINPROGRESS;
export const EPROTO = constants.errno.EPROTO;
export const ENETDOWN = constants.errno.ENETDOWN;
export const ENETUNREACH = constants.errno.ENETUNREACH;
export const ENOPROTOOPT = constants.errno.ENOPROTOOPT;
export const EOPNOTSUPP = constants.errno.EOPNOTSUPP;
export const EHOSTUNREACH = constants.errno.EHOSTUNREACH;
// Not among Node's names.
export const ENONET = 64;
export const EHOSTDOWN = 112;
export const ECANCELED = constants.errno.ECANCELED;
export const ECONNABORTED = constants.errno.ECONNABORTED;
export const ECONNRESET = constants.errno.ECONNRESET;
export const ECONNREFUSED = constants.errno.ECONNREFUSED;

/** `ECONNRESET` for 104, and so on; `errno N` for a number this Node does not know. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `errno ${errno}`;
  }
}

/** A failed system call that is not the peer's doing. */
export class SystemCallError extends Error {
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoName(errno)}`);
    this.name = 'SystemCallError';
    this.errno = errno;
  }
}
