import { parseErrorFields, withPosition } from '@pgdog-cluster/core';
import { keepsItsServer } from '../pool/leave-host.js';
import { withSequenceHint } from '../session/sequence-hint.js';
import type { Session } from '../session/session.js';
import { positionInGiven } from '../session/text-edits.js';
import type { PlanUse } from '../session/transaction.js';
import { countError } from './count-answer.js';
import { outdatedBind, tryHeal } from './heal.js';
import { isStatementUse, type OwnExchange } from './own-exchange.js';
import {
  DISPOSITION_MASK,
  KIND_FUNCTION_CALL,
  KIND_MASK,
  KIND_QUERY,
  KIND_SYNC,
  REPLACE_ERROR,
  SWALLOW,
} from './pending-replies.js';
import type { Relay } from './relay.js';
import type { ServerConnection } from './server-connection.js';
import { skipToSync } from './skipped-replies.js';

const HEADER_BYTES = 5;
/** admin_shutdown, crash_shutdown. */
const STOPPING: ReadonlySet<string> = new Set(['57P01', '57P02']);

/** ErrorResponse: whose it is, what the client reads, and what the server will not answer any more. */
export function relayError(
  relay: Relay,
  code: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  buffer: number,
): void {
  const server = relay.server;
  const fields = parseErrorFields(bytes, start + HEADER_BYTES, end);
  server.errors++;
  if (fields.severity === 'FATAL' || fields.severity === 'PANIC') {
    server.pool.serverFailed(server, fields.sqlstate, fields.message);
    // Nobody's answer: it was idle, or what was asked of it has not left yet, or has not begun, and may go to another.
    if (
      server.session === null ||
      mayMove(server, server.session) ||
      isAskedElsewhere(server, fields.sqlstate)
    ) {
      server.pool.serverLost(server, 0, false);
      return;
    }
    server.hasFailed = true;
    relay.pass(bytes, start, end, buffer);
    return;
  }
  if (code === 0) {
    relay.onViolation(`an error that answers nothing: ${fields.message}`);
    return;
  }
  const disposition = code & DISPOSITION_MASK;
  const ref = server.pending.headRef();
  server.isCopyIn = false;
  if (!relay.hasPassed && disposition !== REPLACE_ERROR && tryHeal(server, ref, fields)) return;
  if (disposition === SWALLOW) ownError(relay, ref, bytes, start, end);
  else if (disposition === REPLACE_ERROR)
    clientError(relay, ref as Uint8Array, 0, (ref as Uint8Array).length, -1);
  else {
    server.pool.row.error();
    countError(server, code);
    const rewritten =
      outdatedBind(server, ref, fields) ??
      server.session?.rewriteError(ref, fields) ??
      withSequenceHint(server.session, fields) ??
      repositioned(ref, bytes, start, end);
    if (rewritten === null) clientError(relay, bytes, start, end, buffer);
    else clientError(relay, rewritten, 0, rewritten.length, -1);
  }
  const kind = code & KIND_MASK;
  const isExtended = kind !== KIND_QUERY && kind !== KIND_FUNCTION_CALL && kind !== KIND_SYNC;
  if (isExtended) skipToSync(server);
}

/** What was asked has not left, and means the same on another server connection. */
function mayMove(server: ServerConnection, session: Session): boolean {
  return !server.hasLeft(false) && !keepsItsServer(server, session);
}

/**
 * The host stops, and was told so while a read was on its way to it: as if the connection had broken. One that had begun has
 * sent something ahead of this error, so that who ends it with pg_terminate_backend() does not have it back on another host.
 */
function isAskedElsewhere(server: ServerConnection, sqlstate: string): boolean {
  if (!STOPPING.has(sqlstate) || server.session?.router?.mayRepeat(server) !== true) return false;
  return server.requestLog.take() !== null;
}

/** What it points to in the client's own text; null: it is that already. */
function repositioned(ref: object | null, bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  const edits = ref !== null && 'edits' in ref ? (ref as PlanUse).edits : null;
  if (edits === null) return null;
  return withPosition(bytes, start, end, (position) => positionInGiven(edits, position));
}

function clientError(relay: Relay, bytes: Uint8Array, start: number, end: number, buffer: number): void {
  relay.hasError = true;
  relay.server.session?.transaction.failed();
  relay.pass(bytes, start, end, buffer);
}

/** An error to a message of ours. Inside a client's batch it is the client's error too: the batch is skipped. */
function ownError(relay: Relay, ref: object | null, bytes: Uint8Array, start: number, end: number): void {
  if (isStatementUse(ref) && ref.refused !== undefined) {
    ref.refused(bytes.slice(start, end));
    return;
  }
  if (isStatementUse(ref) || ref === null) {
    if (relay.server.session !== null) clientError(relay, bytes, start, end, -1);
    return;
  }
  (ref as OwnExchange).onError(bytes.slice(start, end));
}
