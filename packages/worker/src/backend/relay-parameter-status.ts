import { buildParameterStatus, parseParameterStatus } from '@pgdog-cluster/core';
import { hasRoomFor } from '../pool/reported-parameters.js';
import type { Session } from '../session/session.js';
import type { Relay } from './relay.js';
import type { ServerConnection } from './server-connection.js';

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
  if (server.pool.reported.hides(name)) return;
  server.reported = server.pool.reported.change(server.reported, name, value);
  const asked = server.pending.headRef();
  if (isReadingStep(asked) || (name === 'client_encoding' && isEncodingStep(asked))) return;
  const session = server.session;
  // At login everything is told at once, at its end.
  if (session === null || session.phase === 'login') return;
  // What our own SET reports the client knows already, unless it was told something else.
  const told = startupReport(session, server, name) ?? value;
  const isNews = session.noteReported(name, told);
  if (!isNews) return;
  if (told === value) relay.pass(bytes, start, end, buffer);
  else relay.passMade(buildParameterStatus(name, told));
}

function isEncodingStep(ref: object | null): boolean {
  return ref !== null && 'isEncodingStep' in ref && ref.isEncodingStep === true;
}

/** Servers before Postgres 14 tell at once what is taken back at once. */
function isReadingStep(ref: object | null): boolean {
  return ref !== null && 'isReadingStep' in ref;
}

/**
 * RESET leads to the client's own start-up value, which the server connection only gets with the next request:
 * what the client is to be told instead of the server's default, or undefined.
 */
function startupReport(session: Session, server: ServerConnection, name: string): string | undefined {
  const key = name.toLowerCase();
  const wanted = session.startupParameters.entries.get(key);
  if (wanted === undefined || server.parameters.entries.has(key)) return undefined;
  const isWanted = session.parameters.entries.get(key)?.replay === wanted.replay;
  return isWanted ? session.reportedAtLogin.get(name) : undefined;
}
