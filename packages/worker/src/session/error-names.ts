import { buildErrorResponse, type ErrorFields } from '@pgdog-cluster/core';
import { SERVER_NAME_PREFIX } from '../plan/prepared-statements.js';
import type { Session } from './session.js';
import type { PlanUse } from './transaction.js';

const NAME_LENGTH = SERVER_NAME_PREFIX.length + 32;

/**
 * Postgres quotes statement names in its errors; the client must read its own and not those we use on the
 * server. A statement that could not be prepared ahead of an EXECUTE is missing only to us: the client reads why
 * it was refused. Returns null when the error names none of ours. Position and file fields are lost in the
 * rewriting: such errors (26000, 42P05, 08P01 about a Bind) have no position.
 */
export function rewriteStatementNames(
  session: Session,
  ref: object | null,
  fields: Required<ErrorFields>,
): Uint8Array | null {
  const refused = session.server?.refusedParse ?? null;
  if (refused !== null && (fields.sqlstate === '25P02' || fields.sqlstate === '26000')) return refused;
  const at = fields.message.indexOf(SERVER_NAME_PREFIX);
  if (at < 0) return null;
  const unprepared = session.server?.refusedPrepares.get(fields.message.slice(at, at + NAME_LENGTH));
  if (unprepared !== undefined && fields.sqlstate === '26000') return unprepared;
  const message = replaceNames(session, fields.message, nameMade(ref));
  return message === null ? null : buildErrorResponse({ ...fields, message });
}

/** Of a PREPARE or DEALLOCATE that has failed: the name that stands in it. Others of the client's may have the same text. */
function nameMade(ref: object | null): string | null {
  if (ref === null || !('plan' in ref) || !('next' in ref)) return null;
  const { plan, next } = ref as PlanUse;
  const effect = plan.statements[next]?.effect ?? null;
  return effect?.type === 'prepare' || effect?.type === 'deallocate' ? effect.name : null;
}

function replaceNames(session: Session, message: string, made: string | null): string | null {
  const at = message.indexOf(SERVER_NAME_PREFIX);
  const rest = message.slice(at + NAME_LENGTH);
  if (made !== null) return message.slice(0, at) + made + rest;
  const serverName = message.slice(at, at + NAME_LENGTH);
  for (const statement of session.statements.values()) {
    if (statement.serverName !== serverName) continue;
    const clientName = session.statements.nameOf(statement) ?? '';
    return message.slice(0, at) + clientName + rest;
  }
  const underWay = session.statements.underWay?.nameOf(serverName) ?? null;
  return underWay === null ? null : message.slice(0, at) + underWay + rest;
}
