/** Frames that never change, built once. Shared by every session of a worker: read, never write. */
import { FrameWriter } from './frame-writer.js';
import { AUTHENTICATION, BACKEND, FRONTEND, READY } from './message-type.js';

function empty(type: number): Uint8Array {
  return new FrameWriter().begin(type).end().take();
}

function ready(status: number): Uint8Array {
  return new FrameWriter().begin(BACKEND.ReadyForQuery).byte(status).end().take();
}

function authentication(code: number): Uint8Array {
  return new FrameWriter().begin(BACKEND.Authentication).int32(code).end().take();
}

export const READY_FOR_QUERY_IDLE = ready(READY.Idle);
export const READY_FOR_QUERY_IN_TRANSACTION = ready(READY.InTransaction);
export const READY_FOR_QUERY_FAILED = ready(READY.Failed);
export const PARSE_COMPLETE = empty(BACKEND.ParseComplete);
export const BIND_COMPLETE = empty(BACKEND.BindComplete);
export const CLOSE_COMPLETE = empty(BACKEND.CloseComplete);
export const NO_DATA = empty(BACKEND.NoData);
export const EMPTY_QUERY_RESPONSE = empty(BACKEND.EmptyQueryResponse);
export const PORTAL_SUSPENDED = empty(BACKEND.PortalSuspended);
export const AUTHENTICATION_OK = authentication(AUTHENTICATION.Ok);
export const AUTHENTICATION_CLEARTEXT_PASSWORD = authentication(AUTHENTICATION.CleartextPassword);

export const SYNC = empty(FRONTEND.Sync);
export const FLUSH = empty(FRONTEND.Flush);
export const TERMINATE = empty(FRONTEND.Terminate);
/** A Query with no text; the cheapest round trip there is. */
export const EMPTY_QUERY = new FrameWriter().begin(FRONTEND.Query).cstring('').end().take();

/** One byte, not a frame: the answer to SSLRequest and GSSENCRequest when there is no encryption. */
export const SSL_REFUSED = new Uint8Array([0x4e]);

/** The other answer to SSLRequest: a TLS handshake follows. */
export const SSL_ACCEPTED = new Uint8Array([0x53]);

/** ReadyForQuery for a ready status byte; anything but T and E counts as idle. */
export function readyForQuery(status: number): Uint8Array {
  if (status === READY.InTransaction) return READY_FOR_QUERY_IN_TRANSACTION;
  if (status === READY.Failed) return READY_FOR_QUERY_FAILED;
  return READY_FOR_QUERY_IDLE;
}
