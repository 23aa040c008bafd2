import {
  type AdminQueryMessage,
  buildErrorResponse,
  EMPTY_QUERY_RESPONSE,
  PgDogError,
  toPgDogError,
} from '@pgdog-cluster/core';
import type { AdminContext } from './admin-context.js';
import { type AdminToken, splitCommands } from './admin-lexer.js';
import { COMMANDS, SHOWS } from './command-table.js';
import { TRANSACTION_WORDS } from './driver-talk.js';
import { answerExtended } from './extended-answer.js';

/** Whole backend messages without ReadyForQuery, which is the worker's to add. Never rejects. */
export type AdminAnswer = (message: AdminQueryMessage, signal?: AbortSignal) => Promise<Uint8Array[]>;

const CLIENT_PREFIX = 'SHOW ';
const OWN_NAMESPACE = 'pgdog.';

export function createAdminHandler(context: AdminContext): AdminAnswer {
  return async (message, signal = new AbortController().signal) => {
    const answer: Uint8Array[] = [];
    try {
      if (message.isAdmin && message.isShutOut === true)
        throw new PgDogError('admin_only', 'you may not use the admin database any more');
      if (message.step !== undefined && message.isAdmin) {
        answer.push(...(await answerExtended(message, () => asQuery(context, message, signal))));
      } else if (message.isAdmin) await answerAdmin(context, message, answer, signal);
      else answer.push(await answerClient(context, message));
    } catch (error) {
      // What commands before the failed one answered stands, as in Postgres.
      if (!(error instanceof PgDogError)) context.logFailure('an admin command', error);
      answer.push(errorResponse(error));
    }
    return answer;
  };
}

/** What stats_users may say: SHOW, and what drivers say unasked. */
const VIEWERS_WORDS = [...'show set select with discard reset'.split(' '), ...TRANSACTION_WORDS];
const ORDERS_OF_RESET = ['query_cache', 'prepared', 'changes'];

function mayView([first, second]: readonly AdminToken[]): boolean {
  if (first.text === 'reset') return !ORDERS_OF_RESET.includes(second?.text ?? '');
  return VIEWERS_WORDS.includes(first.text);
}

/** What a Query with the same text would get. */
async function asQuery(
  context: AdminContext,
  message: AdminQueryMessage,
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const answer: Uint8Array[] = [];
  await answerAdmin(context, message, answer, signal);
  return answer;
}

async function answerAdmin(
  context: AdminContext,
  message: AdminQueryMessage,
  answer: Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  const commands = splitCommands(message.text);
  if (commands.length === 0) answer.push(EMPTY_QUERY_RESPONSE);
  for (const tokens of commands) {
    const [first] = tokens;
    const command = COMMANDS.find(({ word }) => first.kind === 'word' && word === first.text);
    if (command === undefined) throw new PgDogError('admin_syntax');
    if (message.isViewer === true && !mayView(tokens))
      throw new PgDogError('admin_only', 'admin access needed');
    // Who has left has taken back what was not begun.
    if (signal.aborted) return;
    answer.push(await command.run({ context, caller: message, tokens, signal }));
  }
}

/**
 * SHOW pgdog.<name> of an ordinary client. The name came through Postgres's grammar, where a quoted identifier
 * holds anything: it is compared as a whole and never read as commands.
 */
async function answerClient(context: AdminContext, message: AdminQueryMessage): Promise<Uint8Array> {
  const name = message.text.slice(CLIENT_PREFIX.length).toLowerCase();
  if (!message.text.startsWith(CLIENT_PREFIX) || !name.startsWith(OWN_NAMESPACE)) {
    throw new PgDogError('admin_only');
  }
  const show = SHOWS.find((candidate) => candidate.privilege === 'client' && candidate.name === name);
  if (show !== undefined) return show.answer(context, message, []);
  throw new PgDogError('unknown_parameter', `unrecognized configuration parameter "${name.slice(0, 128)}"`);
}

/** Severity ERROR whatever the table says: nothing an admin types ends its session. */
function errorResponse(thrown: unknown): Uint8Array {
  const { sqlstate, message, detail, hint } = toPgDogError(thrown);
  return buildErrorResponse({ severity: 'ERROR', sqlstate, message, detail, hint });
}
