import { buildResult, PgDogError, systemClock, TYPE_OID } from '@pgdog-cluster/core';
import type { RequestSink } from '../session/requests.js';
import { BLOCKED } from '../wire/frame-stream.js';

const COLUMN = [{ name: 'unique_id', typeOid: TYPE_OID.int8 }];

/** SHOW pgdog.unique_id: answered once all before it is answered, by this worker. */
export function showUniqueId(requests: RequestSink): number {
  const { session } = requests;
  const { server, context } = session;
  if (server !== null && (server.pending.length > 0 || server.isBatchOpen)) {
    requests.isAwaitingQuiet = true;
    return BLOCKED;
  }
  const id = context.memory.ids.next(systemClock.nowMs(), context.config.general.uniqueIds);
  if (id === null) session.answerError(new PgDogError('unique_ids_exhausted'));
  else session.send(buildResult(COLUMN, [[String(id)]], 'SHOW'));
  session.queries++;
  session.router?.settled();
  session.sendReady();
  return requests.drop();
}
