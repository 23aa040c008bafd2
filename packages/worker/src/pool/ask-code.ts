import { startCleaning } from '../backend/cleaning.js';
import type { ServerConnection } from '../backend/server-connection.js';
import { NO_PARAMETERS } from '../session/parameter-set.js';

/**
 * A server connection has become free: asks it about users' code when that is due, before anybody else has it. False:
 * nothing was to be asked. In session mode connections are reset whatever was run on them.
 */
export function askCode(server: ServerConnection): boolean {
  const { pool, context } = server;
  const { code } = pool;
  if (server.definesCode) {
    server.definesCode = false;
    code.forget();
  }
  if (server.isDoomed || pool.snapshot.poolerMode === 'session' || !code.isDue(context.nowMs)) return false;
  // The question needs default settings, the search_path above all.
  if (server.parameters !== NO_PARAMETERS || server.isSuspect) {
    server.needsReset = true;
    startCleaning(server);
    return true;
  }
  server.state = 'cleaning';
  server.cleaningSinceMs = context.nowMs;
  // Thousands of functions take a second to look through: not a statement to be cancelled after a grace.
  server.isCancelSent = true;
  const question = code.question(context.nowMs);
  server.ask({
    ...question,
    onDone() {
      question.onDone();
      if (code.readsSequences) pool.isSequenceStateUsed = true;
    },
  });
  pool.publishLoad();
  return true;
}
