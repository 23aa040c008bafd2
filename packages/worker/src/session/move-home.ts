import type { StartupMessage } from '@pgdog-cluster/core';
import { ANYWHERE } from '../listen/homes.js';
import type { Session } from './session.js';

/** What another worker said of a client when it handed it over, beyond its address. */
export interface MovedClient {
  peerUser: string | null;
  /** The start-up packet, and whatever came behind it. */
  bytes: Uint8Array;
}

/**
 * The start-up packet is whole: hands the client to the worker where its pool is at home, with the packet and what has
 * come behind it. False: it is to be served here. So it is when the end has been ordered: the other worker may be through.
 */
export function moveHome(
  session: Session,
  message: StartupMessage,
  packet: Uint8Array,
  rest: Uint8Array,
): boolean {
  const { context } = session;
  if (context.config.admin.databases.includes(message.database)) return false;
  const home = context.arrivals.homes.homeOf(message.database, message.user);
  // With TLS it cannot move, nor with a "no encryption" that has not left yet.
  const isElsewhere = home !== ANYWHERE && home !== context.worker && context.drainMode === null;
  if (!isElsewhere || !session.connection.canRelease) {
    noteHome(session, message);
    return false;
  }
  // Copies: where they lie, the next bytes of somebody else may come.
  const parts = [packet.slice(), rest.slice()];
  context.arrivals.movingCount++;
  session.leave((fd) => handOver(session, home, fd, Buffer.concat(parts)));
  // Until the kernel has let go of the descriptor more may come.
  session.rawReader = (received, start, end) => {
    parts.push(received.slice(start, end));
    return end;
  };
  return true;
}

/** It stays here: whether that is because of its pool, which HandOver must know. */
export function noteHome(session: Session, { database, user }: StartupMessage): void {
  const { context } = session;
  if (context.arrivals.homes.isHome(database, user)) context.sessions.markHomed(session);
}

/** The descriptor is nobody's but ours. Not taken over there, the client comes back as one that is served here. */
function handOver(session: Session, home: number, fd: number, bytes: Uint8Array): void {
  const { context, addr, port, peerUser, connectedMs } = session;
  session.rawReader = null;
  context.arrivals.movingCount--;
  const message = { type: 'movedClient', fd, addr, port, peerUser, sinceMs: connectedMs, bytes } as const;
  if (context.drainMode === null && context.post(home, message)) context.arrivals.homes.noteMoved(home);
  else context.arrivals.add(fd, addr, port, connectedMs, { peerUser, bytes });
}
