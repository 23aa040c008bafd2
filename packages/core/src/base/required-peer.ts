/** Who must be at the other end of a Unix socket (libpq's requirepeer). */
export interface RequiredPeer {
  name: string;
  /** -1: the system does not know the name, so nobody is that user. */
  uid: number;
}

/** Null when the server is run by whom it must be; else why it is not to be trusted. `actual`: -1 = not known. */
export function peerRefusal({ name, uid }: RequiredPeer, actual: number): string | null {
  if (uid === -1) return `require_peer names "${name}", whom this system does not know`;
  if (actual === uid) return null;
  const who = actual === -1 ? 'the system does not say by whom' : `by user id ${actual}`;
  return `require_peer demands that it be run by "${name}" (user id ${uid}); it is run ${who}`;
}
