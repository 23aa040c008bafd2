const SLOT_BITS = 20;
const FIRST_NUMBER = 4;

/**
 * The number a session goes by in SHOW CLIENTS and SHOW SERVERS: the process id the client was told in
 * BackendKeyData (worker package, processIdOf), so that what a driver logs can be looked up. No session: null.
 */
export function sessionNumber(worker: number, slot: number): number | null {
  return slot < 0 ? null : ((worker + FIRST_NUMBER) << SLOT_BITS) | slot;
}

/** The other way round; null for what cannot be such a number. */
export function slotOfSession(number: number): { worker: number; slot: number } | null {
  if (!Number.isInteger(number) || number < FIRST_NUMBER << SLOT_BITS || number > 0x7fff_ffff) return null;
  return { worker: (number >> SLOT_BITS) - FIRST_NUMBER, slot: number & ((1 << SLOT_BITS) - 1) };
}
