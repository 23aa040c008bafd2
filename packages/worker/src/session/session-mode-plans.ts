import { decodeName, isPlainSql, type ParseFields, PgDogError, type SqlPlan } from '@pgdog-cluster/core';
import type { StatementUse } from '../backend/own-exchange.js';
import { READ_BYTES_MAX } from '../plan/plan-cache.js';
import { planFor } from './client-reading.js';
import { isSettingEffect } from './effects.js';
import { NO_PARAMETERS } from './parameter-set.js';
import type { Session } from './session.js';

/**
 * In session mode the server connection itself keeps what the client does, with one exception: RESET and DISCARD ALL
 * lead to the server's default where the client's start-up settings are meant, which the server connection was given by
 * SET. So the settings of clients that had some at start-up are followed. Null: nothing in the text concerns them.
 */
export function settingsPlan(
  session: Session,
  bytes: Uint8Array,
  start: number,
  end: number,
): SqlPlan | null {
  if (session.startupParameters === NO_PARAMETERS || end - start > READ_BYTES_MAX) return null;
  if (isPlainSql(bytes, start, end)) return null;
  const plan = planFor(session, bytes, start, end);
  return plan.statements.some(({ effect }) => effect !== null && isSettingEffect(effect)) ? plan : null;
}

/** Plans of the statements that a client in session mode has prepared, of those alone that concern its settings. */
export class SessionModePlans {
  private readonly session: Session;
  private byName: Map<string, SqlPlan> | null = null;

  constructor(session: Session) {
    this.session = session;
  }

  /** A Parse is being passed on. Returns the `ref` of its pending reply, or why it must not be. */
  parsed(bytes: Uint8Array, fields: ParseFields): StatementUse | PgDogError | null {
    const { session } = this;
    const plan = settingsPlan(session, bytes, fields.textStart, fields.textEnd);
    if (plan === null && this.byName === null) return null;
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    const before = this.byName?.get(name) ?? null;
    if (plan === before) return null;
    const limit = session.context.config.general.clientPreparedStatementsLimit;
    if (before === null && (this.byName?.size ?? 0) >= limit)
      return new PgDogError('prepared_statements_limit');
    this.put(name, plan);
    return { kind: 'statementUse', serverName: '', undo: () => this.put(name, before) };
  }

  get isUsed(): boolean {
    return this.byName !== null;
  }

  /** bytes[start, end) is the statement's name. */
  find(bytes: Uint8Array, start: number, end: number): SqlPlan | null {
    return this.byName?.get(decodeName(bytes, start, end)) ?? null;
  }

  private put(name: string, plan: SqlPlan | null): void {
    if (plan === null) {
      this.byName?.delete(name);
      return;
    }
    this.byName ??= new Map();
    this.byName.set(name, plan);
  }
}
