const SLOT_BITS = 20;

/**
 * The number a session goes by in SHOW CLIENTS and SHOW SERVERS: the process id the client was told in
 * BackendKeyData (worker package, processIdOf), so that what a driver logs can be looked up. No session: null.
 */
export function sessionNumber(worker: number, slot: number): number | null {
  return slot < 0 ? null : ((worker + 1) << SLOT_BITS) | slot;
}
