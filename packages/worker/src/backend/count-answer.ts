// ● per-frame path
import {
  DISPOSITION_MASK,
  FORWARD,
  KIND_EXECUTE,
  KIND_MASK,
  type PendingReplies,
} from './pending-replies.js';

const HEADER_BYTES = 5;
/** Digits of a count of rows that a double holds exactly. */
const DIGITS_MAX = 15;

/** What a server connection has to count with. */
export interface CountedServer {
  readonly pending: PendingReplies;
  readonly context: { readonly nowUs: number };
  answeredUs: number;
}

/**
 * What the head of the pending replies asked for has run. A server runs one statement after another: this one
 * began when it was sent, or when the one before it ended.
 */
export function countDone(server: CountedServer): void {
  const figures = server.pending.headFigures();
  if (figures === null) return;
  const { nowUs } = server.context;
  figures.done(nowUs - Math.max(server.pending.headSentUs(), server.answeredUs));
  server.answeredUs = nowUs;
}

/** Rows of a CommandComplete: the number its tag ends with, if it does. */
export function countRows(server: CountedServer, bytes: Uint8Array, start: number, end: number): void {
  const figures = server.pending.headFigures();
  if (figures === null) return;
  const count = rowsOfTag(bytes, start, end);
  if (count > 0) figures.addRows(count);
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
  server.pending.headFigures()?.addRows(server.pending.headRowsMax());
  countDone(server);
}

/** The server has refused what the head asked for. A Query is over with its ReadyForQuery only. */
export function countError(server: CountedServer, code: number): void {
  if ((code & DISPOSITION_MASK) !== FORWARD) return;
  server.pending.headFigures()?.addError();
  if ((code & KIND_MASK) === KIND_EXECUTE) countDone(server);
}
