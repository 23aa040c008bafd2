import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { peerRefusal, type RequiredPeer } from '@pgdog-cluster/core';
import {
  AF_UNIX,
  close,
  connect,
  errno,
  getsockopt,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  socket,
} from './libc.js';
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

/** struct ucred: pid, uid, gid. -1 when the kernel does not say. */
export function peerUserId(fd: number): number {
  const credentials = new Int32Array(3);
  const length = new Int32Array([credentials.byteLength]);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) return -1;
  return credentials[1] >>> 0;
}

/** Somebody else runs the server than require_peer demands. */
export class PeerError extends Error {}

/** A connected descriptor, or why there is none. Whoever is not the required peer is told nothing. */
function openFor(path: string, peer: RequiredPeer | undefined): number | Error {
  const result = connectUnix(path);
  if (typeof result === 'string')
    return Object.assign(new Error(`connect ${result} ${path}`), { code: result });
  const refusal = peer === undefined ? null : peerRefusal(peer, peerUserId(result));
  if (refusal === null) return result;
  close(result);
  return new PeerError(`server ${path} is not to be trusted: ${refusal}`);
}

/** A stream for pg, which has a way of its own to connect: whatever address it is told, this one it is. */
export function unixStream(path: string, peer?: RequiredPeer): Socket {
  const result = openFor(path, peer);
  const isOpen = typeof result === 'number';
  const stream = isOpen ? new Socket({ fd: result, readable: true, writable: true }) : new Socket();
  stream.connect = () => {
    setImmediate(() => {
      if (isOpen) stream.emit('connect');
      else stream.destroy(result);
    });
    return stream;
  };
  return stream;
}
