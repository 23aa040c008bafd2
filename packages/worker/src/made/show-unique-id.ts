import { buildResult, PgDogError, TYPE_OID } from '@pgdog-cluster/core';
import type { RequestSink } from '../session/requests.js';
import { BLOCKED } from '../wire/frame-stream.js';
import { WAIT } from './claimed-ids.js';
import { nextId } from './next-id.js';

const COLUMN = [{ name: 'unique_id', typeOid: TYPE_OID.int8 }];

/** SHOW pgdog.unique_id: answered once all before it is answered, by this worker. */
export function showUniqueId(requests: RequestSink): number {
  const { session } = requests;
  const { server } = session;
  if (server !== null && (server.pending.length > 0 || server.isBatchOpen)) {
    requests.isAwaitingQuiet = true;
    return BLOCKED;
  }
  const id = nextId(session);
  if (id === WAIT) return BLOCKED;
  if (id instanceof PgDogError) session.answerError(id);
  else session.send(buildResult(COLUMN, [[String(id)]], 'SHOW'));
  session.queries++;
  session.router?.settled();
  session.sendReady();
  return requests.drop();
}
