import {
  type AdminQueryMessage,
  type AdminReplyMessage,
  buildErrorResponse,
  holdsError,
  PgDogError,
  toPgDogError,
} from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';

/** Small enough that an answer never fills a mailbox other messages need. */
export const ADMIN_REPLY_BYTES_MAX = 32 * 1024;

/** Answers with whole backend messages; the worker adds ReadyForQuery. `signal`: nobody waits any more (GivenUp). */
export type AdminQueryHandler = (message: AdminQueryMessage, signal: AbortSignal) => Promise<Uint8Array[]>;

/** Asks the handler; what it throws becomes an ErrorResponse, so that the client always gets an end. */
export async function answerAdminQuery(
  message: AdminQueryMessage,
  handler: AdminQueryHandler,
  logger: Logger,
  signal: AbortSignal = new AbortController().signal,
): Promise<AdminReplyMessage[]> {
  let answer: Uint8Array[];
  try {
    answer = await handler(message, signal);
  } catch (error) {
    // The client is not told what went wrong inside; the log is.
    if (!(error instanceof PgDogError))
      logger.log('error', 'admin_failed', String(error), { command: commandOf(message.text) });
    answer = [buildErrorResponse({ ...fieldsOf(error), severity: 'ERROR' })];
  }
  return toReplies(message, answer);
}

/** Its first word: a password may stand behind. */
function commandOf(text: string): string {
  return /^\s*(\w{1,32})/.exec(text)?.[1]?.toUpperCase() ?? '';
}

function fieldsOf(error: unknown): { sqlstate: string; message: string; detail: string; hint: string } {
  const { sqlstate, message, detail, hint } = toPgDogError(error);
  return { sqlstate, message, detail, hint };
}

/** Joins small messages and cuts large ones into replies of at most ADMIN_REPLY_BYTES_MAX; at least one, the last marked. */
export function toReplies(message: AdminQueryMessage, answer: readonly Uint8Array[]): AdminReplyMessage[] {
  const { slot, generation } = message;
  const bytes = Buffer.concat(answer);
  const hasFailed = holdsError(bytes);
  const replies: AdminReplyMessage[] = [];
  let start = 0;
  do {
    const end = Math.min(start + ADMIN_REPLY_BYTES_MAX, bytes.length);
    const isLast = end === bytes.length;
    replies.push({
      type: 'adminReply',
      slot,
      generation,
      bytes: bytes.subarray(start, end),
      isLast,
      hasFailed,
    });
    start = end;
  } while (start < bytes.length);
  return replies;
}
