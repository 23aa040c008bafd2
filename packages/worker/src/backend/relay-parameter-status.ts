import { buildParameterStatus, decodeText, findNul } from '@pgdog-cluster/core';
import type { Relay } from './relay.js';

const HEADER_BYTES = 5;

/** ParameterStatus: noted for the server connection, and passed on where it is news to the client. */
export function relayParameterStatus(
  relay: Relay,
  bytes: Uint8Array,
  start: number,
  end: number,
  buffer: number,
): void {
  const nameEnd = findNul(bytes, start + HEADER_BYTES, end);
  if (nameEnd < 0) return;
  const name = decodeText(bytes, start + HEADER_BYTES, nameEnd);
  const valueEnd = findNul(bytes, nameEnd + 1, end);
  const value = decodeText(bytes, nameEnd + 1, valueEnd < 0 ? end : valueEnd);
  const server = relay.server;
  server.reported = server.pool.reported.change(server.reported, name, value);
  const session = server.session;
  // At login everything is told at once, at its end.
  if (session === null || session.phase === 'login') return;
  // What our own SET reports the client knows already, unless it was told something else.
  const told = session.startupReport(server, name) ?? value;
  const isNews = session.noteReported(name, told);
  if (!isNews) return;
  if (told === value) relay.pass(bytes, start, end, buffer);
  else relay.passMade(buildParameterStatus(name, told));
}
