import { buildParameterStatus, parseParameterStatus } from '@pgdog-cluster/core';
import { hasRoomFor } from '../pool/reported-parameters.js';
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
  const status = parseParameterStatus(bytes, start + HEADER_BYTES, end);
  const server = relay.server;
  if (status === null || !hasRoomFor(server.reported, status.name)) {
    relay.onViolation(status === null ? 'malformed ParameterStatus' : 'too many parameters reported');
    return;
  }
  const { name, value } = status;
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
