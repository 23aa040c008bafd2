import { PgDogError, SOCKADDR_BYTES_MAX } from '@pgdog-cluster/core';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  fcntl,
  getsockname,
  readOption,
  SO_ACCEPTCONN,
  SO_TYPE,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from './libc.js';
import { Listener } from './listener.js';

/** `<directory>/.s.PGSQL.<port>`, as libpq looks for it. */
const UNIX_NAME = /^(.*)\/\.s\.PGSQL\.(\d{1,5})$/;

/** sun_path as people write it: `@name` of an abstract one. */
function unixPath(sockaddr: Uint8Array, length: number): string {
  const path = sockaddr.subarray(2, length);
  if (path[0] === 0) return `@${new TextDecoder().decode(path.subarray(1))}`;
  const end = path.indexOf(0);
  return new TextDecoder().decode(end === -1 ? path : path.subarray(0, end));
}

/**
 * A listening socket that somebody else opened, by its number. It is shared: its file and its end are the other's.
 * @param port of a Unix socket whose name has none
 * @throws PgDogError `configuration` for anything that clients cannot be accepted from
 */
export function listenerOfDescriptor(fd: number, port: number): Listener {
  const refuse = (reason: string, hint: string): PgDogError =>
    new PgDogError('configuration', `descriptor ${fd} was passed to listen on, but ${reason}`, { hint });
  const type = readOption(fd, SOL_SOCKET, SO_TYPE);
  if (type === null) throw refuse('it is no socket', 'See Sockets= of the service and LISTEN_FDS.');
  if (type !== SOCK_STREAM) throw refuse('it is no stream socket', 'Use ListenStream= in the socket unit.');
  if (readOption(fd, SOL_SOCKET, SO_ACCEPTCONN) !== 1) {
    throw refuse('nobody listens on it', 'The socket unit needs Accept=no.');
  }
  const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX * 4);
  const length = new Int32Array([sockaddr.length]);
  getsockname(fd, sockaddr, length);
  const family = sockaddr[0] | (sockaddr[1] << 8);
  if (![AF_INET, AF_INET6, AF_UNIX].includes(family)) {
    throw refuse('it is of an unknown family', 'Give TCP addresses or paths of Unix sockets.');
  }
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | SOCK_NONBLOCK);
  const listener = new Listener(
    fd,
    family === AF_UNIX ? unixPlace(unixPath(sockaddr, length[0]), port) : undefined,
  );
  listener.isShared = true;
  return listener;
}

function unixPlace(path: string, port: number): { directory: string; port: number; remove: () => void } {
  const match = UNIX_NAME.exec(path);
  const [directory, number] = match === null ? [path, port] : [match[1], Number(match[2])];
  return { directory, port: number, remove: () => {} };
}
