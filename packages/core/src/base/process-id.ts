/**
 * The number that a session goes by: the process id that its client is told in BackendKeyData (protocol-message-formats), so that what a
 * driver logs can be looked up in SHOW CLIENTS. The worker's number stands above the session's slot there.
 */
const SLOT_BITS = 20;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
export const SESSIONS_MAX = 1 << SLOT_BITS;
/** Linux gives no process a number from 2^22 up: nothing that is asked of a server with one of ours can meet a process of its. */
const FIRST_NUMBER = 4;

/** Positive, never 0. worker < 512. */
export function processIdOf(worker: number, slot: number): number {
  return ((worker + FIRST_NUMBER) << SLOT_BITS) | slot;
}

/** A worker that may not exist, and may be below 0. */
export function ownerOfProcessId(processId: number): { worker: number; slot: number } {
  return { worker: (processId >>> SLOT_BITS) - FIRST_NUMBER, slot: processId & SLOT_MASK };
}
