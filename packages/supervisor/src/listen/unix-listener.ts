import { type BigIntStats, chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs';
import { PgDogError, unixSocketPath } from '@pgdog-cluster/core';
import {
  AF_UNIX,
  bind,
  close,
  EADDRINUSE,
  errno,
  listen,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  socket,
} from './libc.js';
import { Listener } from './listener.js';
import { buildUnixSockaddr } from './socket-address.js';
import { groupId } from './system-users.js';
import { probeUnix } from './unix-connect.js';
import { UnixLock } from './unix-lock.js';

export interface UnixSocketSettings {
  /** A directory, or `@name`. */
  directory: string;
  /** One socket for each. */
  ports: readonly number[];
  mode: number;
  /** Name or number; null = the group we run as. */
  group: string | null;
}

const IN_USE_HINT = 'Stop the program that listens there, or choose another port or unix_socket_dir.';

/**
 * Opens one Unix socket. A socket that a dead process left is replaced, a live one is refused.
 * @throws PgDogError `configuration`, naming the socket and what is wrong with it.
 */
export async function openUnixListener(
  settings: UnixSocketSettings,
  port: number,
  backlog: number,
): Promise<Listener> {
  const { directory, mode } = settings;
  const path = unixSocketPath(directory, port);
  const refuse = (reason: string, hint = '', cause?: unknown): PgDogError =>
    new PgDogError('configuration', `cannot listen on ${path}: ${reason}`, { hint, cause });
  if (path.startsWith('@')) {
    const fd = bindSocket(path, backlog, () => {}, refuse);
    return new Listener(fd, { directory, port, remove: () => {} });
  }
  const group = settings.group === null ? -1 : await groupId(settings.group);
  if (group === null) throw refuse(`there is no group "${settings.group}"`, 'Correct unix_socket_group.');
  const lock = takeLock(path, directory, port, refuse);
  try {
    removeStale(path, refuse);
    const apply = (): void => {
      // Before listen(): until then nobody gets in, whatever the umask left open.
      if (group !== -1) chownSync(path, -1, group);
      chmodSync(path, mode);
    };
    const fd = bindSocket(path, backlog, apply, refuse);
    return placedListener(fd, path, { directory, port, lock });
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * In bigints: Node resolves no symbolic link of a module that it loads after a stat of a socket in plain numbers, because
 * its realpath looks at what the last such stat has found. pg then misses what it needs, in a checkout.
 */
function statOf(path: string) {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

function placedListener(
  fd: number,
  path: string,
  { directory, port, lock }: { directory: string; port: number; lock: UnixLock },
): Listener {
  const own = statOf(path);
  const remove = (): void => {
    if (own !== undefined) removeOwn(path, own);
    lock.release();
  };
  return new Listener(fd, { directory, port, lock, remove });
}

/** The socket of another process, by descriptors that it passed: `lockFd` null for an abstract one. */
export function adoptUnixListener(
  fd: number,
  lockFd: number | null,
  { directory, port }: { directory: string; port: number },
): Listener {
  const path = unixSocketPath(directory, port);
  if (lockFd === null) return new Listener(fd, { directory, port, remove: () => {} });
  return placedListener(fd, path, { directory, port, lock: UnixLock.adopt(lockFd, path) });
}

type Refuse = (reason: string, hint?: string, cause?: unknown) => PgDogError;

function takeLock(path: string, directory: string, port: number, refuse: Refuse): UnixLock {
  let lock: UnixLock | null;
  try {
    lock = UnixLock.take(path, directory, port);
  } catch (cause) {
    throw refuse(describe(cause), 'The directory must exist and be ours to write in.', cause);
  }
  if (lock === null) throw refuse('another process has locked it', IN_USE_HINT);
  return lock;
}

/** At the end. Somebody may have put another in its place, or taken the directory away: that is no reason not to end. */
function removeOwn(path: string, own: BigIntStats): void {
  try {
    const there = statOf(path);
    if (there?.ino === own.ino && there.dev === own.dev) unlinkSync(path);
  } catch {
    // The next start replaces a socket that nobody listens on.
  }
}

/** Deletes a socket that nobody listens on. */
function removeStale(path: string, refuse: Refuse): void {
  const there = statOf(path);
  if (there === undefined) return;
  if (!there.isSocket())
    throw refuse('there is a file of that name that is no socket', 'Delete or rename it.');
  const code = probeUnix(path);
  // Refused by the kernel itself: the socket has no process any more. Anything else may be a live one.
  if (code === null || code === 'EAGAIN') throw refuse('a running process listens on it', IN_USE_HINT);
  if (code !== 'ECONNREFUSED') {
    throw refuse(`there is a socket, and trying it fails (${REASONS[code] ?? code})`, IN_USE_HINT);
  }
  try {
    unlinkSync(path);
  } catch (cause) {
    throw refuse(`the socket of a process that is gone cannot be deleted: ${describe(cause)}`, '', cause);
  }
}

function bindSocket(path: string, backlog: number, beforeListen: () => void, refuse: Refuse): number {
  const sockaddr = buildUnixSockaddr(path);
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd === -1) throw refuse(`system error ${errno()}`);
  let isBound = false;
  try {
    if (bind(fd, sockaddr, sockaddr.length) !== 0) throw bindRefusal(errno(), refuse);
    isBound = !path.startsWith('@');
    beforeListen();
    if (listen(fd, backlog) !== 0) throw refuse(`system error ${errno()}`);
  } catch (error) {
    close(fd);
    if (isBound) unlinkSync(path);
    if (error instanceof PgDogError) throw error;
    throw refuse(
      `its mode or group cannot be set: ${describe(error)}`,
      'Only a group that we belong to can be given.',
      error,
    );
  }
  return fd;
}

function bindRefusal(number: number, refuse: Refuse): PgDogError {
  return number === EADDRINUSE
    ? refuse('the address is already in use', IN_USE_HINT)
    : refuse(`system error ${number}`);
}

const REASONS: Record<string, string> = {
  ENOENT: 'no such directory',
  ENOTDIR: 'not a directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ELOOP: 'its lock file is a symbolic link',
};

function describe(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return REASONS[code] ?? code;
}
