import { decodeName, FRONTEND, readBind, readParse, type SqlPlan } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { planFor } from '../session/client-reading.js';
import type { RequestSink } from '../session/requests.js';
import { refuseQuery } from '../session/simple-query.js';
import { planOfPrepared } from './prepared-route.js';
import type { SessionRouter } from './session-router.js';

const HEADER_BYTES = 5;

/** Whether a message would write on a replica, where a read has put its transaction: it has been refused then. */
export function refuseWrite(
  requests: RequestSink,
  server: ServerConnection,
  router: SessionRouter,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const plan = planOf(requests, type, bytes, start, end);
  const refusal = plan === null ? null : router.choice.refusal(plan);
  if (refusal === null) return false;
  if (type === FRONTEND.Query) refuseQuery(requests, server, refusal);
  else requests.extended.refuse(server, refusal);
  return true;
}

function planOf(
  { session, extended }: RequestSink,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): SqlPlan | null {
  const { plans } = session.context;
  const body = start + HEADER_BYTES;
  if (type === FRONTEND.Query) return planFor(session, bytes, body, end - 1);
  if (type === FRONTEND.Parse) {
    const fields = readParse(bytes, body, end);
    return fields === null ? null : planFor(session, bytes, fields.textStart, fields.textEnd);
  }
  if (type !== FRONTEND.Bind) return null;
  const fields = readBind(bytes, body, end);
  if (fields === null) return null;
  if (fields.statementStart === fields.statementEnd) return extended.unnamed.wholePlan(plans);
  const statement = session.statements.get(decodeName(bytes, fields.statementStart, fields.statementEnd));
  return statement === undefined ? null : planOfPrepared(statement, plans);
}
