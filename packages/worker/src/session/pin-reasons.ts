/** Why a session keeps its server connection beyond the pool mode. Bits of Session.pins. */
export const PIN_TEMP = 1;
export const PIN_ADVISORY_LOCK = 2;
export const PIN_LISTEN = 4;
export const PIN_HOLD_CURSOR = 8;
/** set_config() with a value only the server connection knows. */
export const PIN_UNKNOWN_SETTING = 16;
/** SET pgdog.pin TO on. */
export const PIN_OPERATOR = 32;
/** A library was loaded, a replication origin set…: nothing but the end of the connection undoes it. */
export const PIN_CONNECTION = 64;

const PIN_NAMES = [
  'temporary object',
  'advisory lock',
  'listen',
  'cursor with hold',
  'state known to the server only',
  'pgdog.pin',
  'state of the connection',
];

/** For SHOW CLIENTS. */
export function pinNames(pins: number): string {
  return PIN_NAMES.filter((_, index) => (pins & (1 << index)) !== 0).join(', ');
}
