import type { PoolSnapshot } from '@pgdog-cluster/core';
import { peerUserId } from '../io/socket-options.js';

/**
 * Who runs the server, where the configuration says who must (libpq's requirepeer): without it whoever may write
 * to the socket's directory can put a server of his own there and be told passwords and data. To be asked right
 * after the connect, before anything is sent. Null, or what is wrong.
 */
export function peerProblem(fd: number, { requirePeer }: PoolSnapshot): string | null {
  if (requirePeer === undefined) return null;
  const { name, uid } = requirePeer;
  if (uid === -1) return `require_peer names "${name}", whom this system does not know`;
  const actual = peerUserId(fd);
  if (actual === uid) return null;
  const who = actual === -1 ? 'the system does not say by whom' : `by user id ${actual}`;
  return `require_peer demands that it be run by "${name}" (user id ${uid}); it is run ${who}`;
}
