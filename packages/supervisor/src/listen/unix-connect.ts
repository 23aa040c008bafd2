import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { AF_UNIX, close, connect, errno, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, socket } from './libc.js';
import { buildUnixSockaddr } from './socket-address.js';

/**
 * Connects to a Unix socket at once or not at all (a full queue is EAGAIN). By hand, because Node pads abstract names
 * with zeros to the full length of the address, which makes another name of them.
 * Returns the descriptor, or the name of the error.
 */
export function connectUnix(path: string): number | string {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd === -1) return getSystemErrorName(-errno());
  const sockaddr = buildUnixSockaddr(path);
  if (connect(fd, sockaddr, sockaddr.length) === 0) return fd;
  const reason = getSystemErrorName(-errno());
  close(fd);
  return reason;
}

/** Opens and closes a connection: null when it worked, else the name of the error. */
export function probeUnix(path: string): string | null {
  const result = connectUnix(path);
  if (typeof result === 'string') return result;
  close(result);
  return null;
}

/** A stream for pg, which has a way of its own to connect: whatever address it is told, this one it is. */
export function unixStream(path: string): Socket {
  const result = connectUnix(path);
  const isOpen = typeof result === 'number';
  const stream = isOpen ? new Socket({ fd: result, readable: true, writable: true }) : new Socket();
  stream.connect = () => {
    setImmediate(() => {
      if (isOpen) stream.emit('connect');
      else stream.destroy(new Error(`connect ${result} ${path}`));
    });
    return stream;
  };
  return stream;
}
