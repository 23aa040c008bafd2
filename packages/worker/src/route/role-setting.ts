import { PgDogError, type RoleWish, type SqlPlan } from '@pgdog-cluster/core';
import type { ParameterSet } from '../session/parameter-set.js';
import type { Session } from '../session/session.js';

const ROLE = 'pgdog.role';
const SHARD = 'pgdog.shard';
const READ_ONLY = 'default_transaction_read_only';
const ISOLATION = 'default_transaction_isolation';

/** What a session's settings say about its hosts. */
export interface RoleSettings {
  readonly role: RoleWish;
  /** null: not set by the session. */
  readonly isReadOnly: boolean | null;
  readonly isSerializable: boolean;
}

export const NO_ROLE_SETTINGS: RoleSettings = { role: null, isReadOnly: null, isSerializable: false };

/** One per set of settings: sets are shared and never change. */
const known = new WeakMap<ParameterSet, RoleSettings>();

export function roleSettingsOf(parameters: ParameterSet): RoleSettings {
  if (parameters.entries.size === 0) return NO_ROLE_SETTINGS;
  let settings = known.get(parameters);
  if (settings === undefined) {
    const readOnly = parameters.entries.get(READ_ONLY)?.value;
    settings = {
      role: roleWish(parameters.entries.get(ROLE)?.value ?? '') ?? null,
      isReadOnly: readOnly === undefined ? null : isOn(readOnly),
      isSerializable: parameters.entries.get(ISOLATION)?.value?.toLowerCase() === 'serializable',
    };
    known.set(parameters, settings);
  }
  return settings;
}

/** `auto` and nothing at all mean: as the statement says. undefined: no such role. */
function roleWish(text: string): RoleWish | undefined {
  switch (text.toLowerCase()) {
    case 'primary':
      return 'primary';
    case 'replica':
      return 'replica';
    case '':
    case 'auto':
      return null;
    default:
      return undefined;
  }
}

/** Input of type boolean (bool.c). */
function isOn(text: string): boolean {
  const word = text.trim().toLowerCase();
  return (
    word === '1' || word === 'on' || (word !== '' && ('true'.startsWith(word) || 'yes'.startsWith(word)))
  );
}

/** SET LOCAL pgdog.role of this text; undefined: none. */
export function localRole({ statements }: SqlPlan): RoleWish | undefined {
  for (const { effect } of statements) {
    if (effect?.type === 'set' && effect.isLocal && effect.name === ROLE) return roleWish(effect.value ?? '');
  }
  return undefined;
}

/**
 * Why a text must not run: it asks for a route that there is not. To Postgres such settings are mere words.
 * @param shardCount of the database
 */
export function settingProblem(plan: SqlPlan, shardCount: number): PgDogError | null {
  const { directive } = plan.route;
  if (directive?.error != null) return invalid(directive.error);
  if (directive !== null && (directive.shard ?? 0) >= shardCount) {
    const those = shardCount === 1 ? 'one' : `${shardCount}, from 0 on`;
    return invalid(`there is no shard ${directive.shard}: this database has ${those}`);
  }
  for (const { effect } of plan.statements) {
    if (effect?.type !== 'set' || !effect.name.startsWith('pgdog.')) continue;
    const { name, value = '' } = effect;
    if (name === ROLE && roleWish(value) === undefined) {
      return invalid(`invalid value for parameter "${ROLE}": "${value}" (primary, replica or auto)`);
    }
    const problem = name === SHARD ? shardProblem(value, shardCount) : null;
    if (problem !== null) return problem;
  }
  return null;
}

/** Of its database. */
export function shardCountOf({ router }: Session): number {
  return router?.shardCount ?? 1;
}

function shardProblem(value: string, shardCount: number): PgDogError | null {
  const number = Number(value);
  if (value === '' || (Number.isInteger(number) && number >= 0 && number < shardCount)) return null;
  const those = shardCount === 1 ? 'one shard, 0' : `shards 0 to ${shardCount - 1}`;
  return invalid(`invalid value for parameter "${SHARD}": "${value}" (this database has ${those})`);
}

/** The same for what a client asks for at start-up. */
export function startupProblem(parameters: ParameterSet, shardCount: number): PgDogError | null {
  const value = parameters.entries.get(ROLE)?.value;
  if (value !== undefined && roleWish(value) === undefined) {
    return invalid(`invalid value for parameter "${ROLE}": "${value}" (primary, replica or auto)`);
  }
  return shardProblem(parameters.entries.get(SHARD)?.value ?? '', shardCount);
}

function invalid(text: string): PgDogError {
  return new PgDogError('invalid_parameter_value', text);
}
