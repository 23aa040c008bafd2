import { type PoolSnapshot, peerRefusal } from '@pgdog-cluster/core';
import { peerUserId } from '../io/socket-options.js';

/**
 * Who runs the server, where the configuration says who must (libpq's requirepeer): without it whoever may write
 * to the socket's directory can put a server of his own there and be told passwords and data. To be asked right
 * after the connect, before anything is sent. Null, or what is wrong.
 */
export function peerProblem(fd: number, { requirePeer }: PoolSnapshot): string | null {
  return requirePeer === undefined ? null : peerRefusal(requirePeer, peerUserId(fd));
}
