import type { ErrorFields } from '@pgdog-cluster/core';
import { SERVER_NAME_PREFIX } from '../plan/prepared-statements.js';
import { isStatementUse, type OwnExchange } from './own-exchange.js';
import { DISPOSITION_MASK, FORWARD, KIND_MASK, KIND_QUERY, KIND_SYNC, SWALLOW } from './pending-replies.js';
import type { ServerConnection } from './server-connection.js';
import { skipToSync } from './skipped-replies.js';

/**
 * Two errors that a client of one Postgres would not have met, because they come from sharing: a statement kept
 * on the server whose result type a DDL has changed (0A000; the client prepared it after the change, the server
 * connection before), and one that somebody removed from the server behind our back (26000).
 *
 * They are healed once per exchange, when nothing of the answer has reached the client and no transaction was
 * open: the server forgets its statements and the exchange runs again. Returns true when it will.
 */
export function tryHeal(server: ServerConnection, ref: object | null, fields: ErrorFields): boolean {
  const session = server.session;
  if (session === null || server.isHealing || session.isSessionMode || !isStale(fields)) return false;
  if (!(ref !== null && (isStatementUse(ref) || 'serverName' in ref || 'plan' in ref))) return false;
  const frames = server.requestLog.take();
  if (frames === null || session.transaction.isOpen) return false;
  const isSimple = (server.pending.head() & KIND_MASK) === KIND_QUERY;
  if (!isSimple && !endsInOneSync(server)) return false;
  server.isHealing = true;
  // What the client sends meanwhile comes behind what is repeated.
  server.hasEffectPending = true;
  if (!isSimple) skipToSync(server);
  const kind = server.pending.head() & KIND_MASK;
  const again: OwnExchange = {
    sql: '',
    onError() {},
    onDone() {
      forgetStatements(server);
      server.hasEffectPending = false;
      server.relay.beginRepeat();
      session.repeat(frames);
    },
  };
  server.pending.setCodeAt(0, kind | SWALLOW, again);
  return true;
}

function isStale(fields: ErrorFields): boolean {
  // Of a name that is not one of ours the client has to hear; the unnamed statement has none.
  if (fields.sqlstate === '26000')
    return fields.message.includes(SERVER_NAME_PREFIX) || !fields.message.includes('"');
  // The same SQLSTATE means many things; the text is fixed in plancache.c, but may be translated.
  return fields.sqlstate === '0A000' && fields.message.startsWith('cached plan must not change result type');
}

/** The rest of what is owed is this batch alone, up to its Sync, and all of it the client's. */
function endsInOneSync(server: ServerConnection): boolean {
  const { pending } = server;
  for (let index = 0; index < pending.length; index++) {
    const isSync = (pending.codeAt(index) & KIND_MASK) === KIND_SYNC;
    if (isSync) return index === pending.length - 1 && (pending.codeAt(index) & DISPOSITION_MASK) === FORWARD;
  }
  return false;
}

/** Which statements are stale is not known, and parsing anew is cheap. */
function forgetStatements(server: ServerConnection): void {
  server.prepared.clear();
  server.unnamedId = 0;
  server.ask({ sql: 'DEALLOCATE ALL', onError() {}, onDone() {} });
}
