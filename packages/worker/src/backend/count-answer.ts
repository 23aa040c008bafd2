// ● per-frame path
import { noteTag } from '../plan/definitions.js';
import type { QueryFigures } from '../plan/query-figures.js';
import {
  DISPOSITION_MASK,
  FORWARD,
  KIND_EXECUTE,
  KIND_MASK,
  type PendingReplies,
} from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';

const HEADER_BYTES = 5;
/** Digits of a count of rows that a double holds exactly. */
const DIGITS_MAX = 15;

/** Who is told of what took longer than is usual. */
export interface SlowSink {
  statement(server: CountedServer, figures: QueryFigures, tookUs: number): void;
}

/** What a server connection has to count with. */
export interface CountedServer {
  readonly pending: PendingReplies;
  readonly context: { readonly nowUs: number; readonly slow: SlowSink };
  readonly pool: { readonly slow: { readonly statementUs: number } };
  answeredUs: number;
  /** Of what the head asked for, as far as it has told. */
  rowCount: number;
}

/**
 * What the head of the pending replies asked for has run. A server runs one statement after another: this one
 * began when it was sent, or when the one before it ended.
 */
export function countDone(server: CountedServer): void {
  const figures = server.pending.headFigures();
  if (figures === null) return;
  const { nowUs } = server.context;
  const tookUs = nowUs - Math.max(server.pending.headSentUs(), server.answeredUs);
  figures.done(tookUs);
  server.answeredUs = nowUs;
  if (tookUs >= server.pool.slow.statementUs) {
    server.context.slow.statement(server, figures, tookUs);
  }
  server.rowCount = 0;
}

/** A CommandComplete that is its client's. */
export function noteCompleted(server: ServerConnection, bytes: Uint8Array, start: number, end: number): void {
  noteTag(server, bytes, start, end);
  countRows(server, bytes, start, end);
}

/** Rows of a CommandComplete: the number its tag ends with, if it does. */
export function countRows(server: CountedServer, bytes: Uint8Array, start: number, end: number): void {
  const figures = server.pending.headFigures();
  if (figures === null) return;
  const count = rowsOfTag(bytes, start, end);
  if (count === 0) return;
  figures.addRows(count);
  server.rowCount += count;
}

/** bytes[start, end) is a CommandComplete. */
export function rowsOfTag(bytes: Uint8Array, start: number, end: number): number {
  let at = end - 2;
  const first = Math.max(start + HEADER_BYTES, at - DIGITS_MAX);
  let count = 0;
  for (let unit = 1; at > first && bytes[at] >= 0x30 && bytes[at] <= 0x39; at--) {
    count += (bytes[at] - 0x30) * unit;
    unit *= 10;
  }
  return count;
}

/** PortalSuspended: as many rows have come as were asked for. */
export function countSuspended(server: CountedServer): void {
  const count = server.pending.headRowsMax();
  server.pending.headFigures()?.addRows(count);
  server.rowCount += count;
  countDone(server);
}

/** The server has refused what the head asked for. A Query is over with its ReadyForQuery only. */
export function countError(server: CountedServer, code: number): void {
  if ((code & DISPOSITION_MASK) !== FORWARD) return;
  server.pending.headFigures()?.addError();
  if ((code & KIND_MASK) === KIND_EXECUTE) countDone(server);
}
