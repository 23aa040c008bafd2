import { PgDogError, type SqlPlan } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import { planOfPrepared } from '../route/prepared-route.js';
import { planFor } from './client-reading.js';
import { isMisread } from './foreseen-effects.js';
import type { Session } from './session.js';
import type { UnnamedStatement } from './unnamed-statement.js';

/*
 * [multi_tenant]: refuses, before it is sent, what may reach rows of several tenants. All functions return null at once
 * for a database without it.
 */

/** Of the text bytes[start, end); `isWhole` false: it is too long to be looked at. */
export function guardText(
  session: Session,
  server: ServerConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
  isWhole = true,
): PgDogError | null {
  if (server.pool.code.tenantColumn === null) return null;
  if (!isWhole) return refused('the statement is too long to be checked');
  return guardPlan(session, server, planFor(session, bytes, start, end));
}

/** Of what a Bind runs: the catalog may have changed since it was prepared. `statement` null: the unnamed one. */
export function guardBound(
  session: Session,
  server: ServerConnection,
  statement: PreparedStatement | null,
  unnamed: UnnamedStatement,
): PgDogError | null {
  if (server.pool.code.tenantColumn === null) return null;
  const { plans } = session.context;
  const plan = statement === null ? unnamed.wholePlan(plans) : planOfPrepared(statement, plans);
  return plan === null ? null : guardPlan(session, server, plan);
}

/** Of a function that is called by its number. */
export function guardFunctionCall(server: ServerConnection): PgDogError | null {
  if (server.pool.code.tenantColumn === null) return null;
  return refused('a function called by its number cannot be checked');
}

function guardPlan(session: Session, server: ServerConnection, plan: SqlPlan): PgDogError | null {
  const { context } = session;
  const { tenant, flags, route } = plan;
  if (tenant === undefined) return refused('the statement cannot be read, so it cannot be checked');
  // Where a backslash escapes, or is half a character, a string may end elsewhere than we have read.
  if (isMisread(flags, server)) {
    return refused(
      'a backslash cannot be checked while standard_conforming_strings is off, nor other characters than ASCII in this client_encoding',
    );
  }
  const reason = server.pool.code.tenantRefusal(tenant, context.parser);
  if (reason !== null) return refused(reason);
  for (const name of route.executes) {
    const statement = session.statements.get(name);
    if (statement === undefined) continue;
    const refusal = guardPlan(session, server, planOfPrepared(statement, context.plans));
    if (refusal !== null) return refusal;
  }
  return null;
}

function refused(reason: string): PgDogError {
  return new PgDogError('tenant_filter', `tenant guard: ${reason}`);
}
