import { PgDogError, type RoleWish, type SqlPlan } from '@pgdog-cluster/core';
import type { ParameterSet } from '../session/parameter-set.js';

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

/** Why a text must not run: it asks for a route that there is not. To Postgres such settings are mere words. */
export function settingProblem(plan: SqlPlan): PgDogError | null {
  if (plan.route.directive?.error != null) return invalid(plan.route.directive.error);
  if (plan.route.directive !== null && (plan.route.directive.shard ?? 0) !== 0) {
    return invalid(`there is no shard ${plan.route.directive.shard}: this database has one`);
  }
  for (const { effect } of plan.statements) {
    if (effect?.type !== 'set' || !effect.name.startsWith('pgdog.')) continue;
    const { name, value = '' } = effect;
    if (name === ROLE && roleWish(value) === undefined) {
      return invalid(`invalid value for parameter "${ROLE}": "${value}" (primary, replica or auto)`);
    }
    if (name === SHARD && value !== '' && value !== '0') {
      return invalid(`invalid value for parameter "${SHARD}": "${value}" (this database has one shard, 0)`);
    }
  }
  return null;
}

/** The same for what a client asks for at start-up. */
export function startupProblem(parameters: ParameterSet): PgDogError | null {
  const value = parameters.entries.get(ROLE)?.value;
  if (value === undefined || roleWish(value) !== undefined) return null;
  return invalid(`invalid value for parameter "${ROLE}": "${value}" (primary, replica or auto)`);
}

function invalid(text: string): PgDogError {
  return new PgDogError('invalid_parameter_value', text);
}
