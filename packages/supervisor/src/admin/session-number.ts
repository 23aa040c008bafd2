import { ownerOfProcessId, processIdOf } from '@pgdog-cluster/core';

const NUMBER_MAX = 0x7fff_ffff;

/** The number a session goes by in SHOW CLIENTS and SHOW SERVERS. No session: null. */
export function sessionNumber(worker: number, slot: number): number | null {
  return slot < 0 ? null : processIdOf(worker, slot);
}

/** The other way round; null for what cannot be such a number. */
export function slotOfSession(number: number): { worker: number; slot: number } | null {
  if (!Number.isInteger(number) || number < 0 || number > NUMBER_MAX) return null;
  const owner = ownerOfProcessId(number);
  return owner.worker < 0 ? null : owner;
}
