/** SET LOCAL of what changes no row and no column of an answer: every shard of a transaction can be told alike, late ones too. */
import { isTrueWord } from './boolean-setting.js';
import { quoteLiteral } from './quote-literal.js';
import type { SqlArgument, SqlEffect } from './sql-effect.js';
import type { StatementPlan } from './sql-plan.js';

const SAFE: ReadonlySet<string> = new Set(
  (
    'statement_timeout lock_timeout idle_in_transaction_session_timeout transaction_timeout deadlock_timeout work_mem ' +
    'maintenance_work_mem hash_mem_multiplier random_page_cost seq_page_cost cpu_tuple_cost cpu_index_tuple_cost ' +
    'cpu_operator_cost effective_cache_size default_statistics_target from_collapse_limit join_collapse_limit geqo jit ' +
    'plan_cache_mode max_parallel_workers_per_gather log_statement log_min_duration_statement'
  ).split(' '),
);
const OURS = 'pgdog.';

export interface LocalSetting {
  readonly name: string;
  readonly sql: string;
}

/** null: another statement, or a setting that answers depend on. */
export function localSetting({ effect }: StatementPlan): LocalSetting | null {
  return effect === null ? null : localSettingOf(effect);
}

/** DEFAULT and FROM CURRENT have no value of their own. */
export function localSettingOf(effect: SqlEffect): LocalSetting | null {
  if (effect.type !== 'set' || !effect.isLocal || (effect.value ?? '') === '') return null;
  return isForAllShards(effect.name) ? { name: effect.name, sql: effect.replay } : null;
}

/**
 * SELECT set_config(…, …, true) of such settings; null: another statement, or values that are not known.
 * @param textOf what an argument is; undefined: only the server knows
 */
export function localCallsOf(
  effect: SqlEffect,
  textOf: (argument: SqlArgument) => string | null | undefined,
): readonly LocalSetting[] | null {
  if (effect.type !== 'setConfig' || effect.calls.length === 0) return null;
  const settings: LocalSetting[] = [];
  for (const call of effect.calls) {
    const [name, value, isLocal] = [textOf(call.name), textOf(call.value), textOf(call.isLocal)];
    if (typeof name !== 'string' || typeof value !== 'string' || typeof isLocal !== 'string') return null;
    // A backslash in a literal is what the session's settings say that it is.
    const isKnown = isTrueWord(isLocal) && !value.includes('\\');
    if (!isKnown || !isForAllShards(name.toLowerCase())) return null;
    const sql = `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, true)`;
    settings.push({ name: name.toLowerCase(), sql });
  }
  return settings;
}

/** @param name in lower case */
export function isForAllShards(name: string): boolean {
  // What applications call their own (app.tenant) is read by their policies and functions, on each shard alike.
  const isOwn = name.includes('.') && !name.startsWith(OURS);
  return SAFE.has(name) || name.startsWith('enable_') || isOwn;
}
