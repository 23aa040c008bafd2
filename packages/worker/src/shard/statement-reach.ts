/** What a statement does to where others look, and where it may not be asked alone. */
import {
  PREPARE_LEVEL,
  type SetConfigCall,
  type SqlEffect,
  type SqlPlan,
  type StatementPlan,
  type StatementValues,
} from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { wishOf } from './shard-wish.js';

/** Of plans: they are shared by all who send their text, and few. */
const inert = new WeakMap<SqlPlan, boolean>();

/**
 * Whether a text does nothing but what its rows and its shard are: no settings, cursors, definitions, prepared statements,
 * directives, nothing that is filled in. Most texts; all that is asked of others need not be asked of these.
 */
export function isInert(plan: SqlPlan): boolean {
  let known = inert.get(plan);
  if (known === undefined) {
    const { statements, flags, route, shards, made } = plan;
    const isQuiet = statements.every(({ effect, defines }) => effect === null && defines !== true);
    const isSettled =
      shards !== undefined && !shards.changesTransaction && !shards.cursor && !shards.hasCursors;
    const isAsIs = made === undefined && route.directive === null && (flags & PREPARE_LEVEL) === 0;
    known = isQuiet && isSettled && isAsIs && statements.length === 1;
    inert.set(plan, known);
  }
  return known;
}

/**
 * The first statement that changes where names without a schema are looked for; -1: none does. A role does, for `$user`, where
 * a schema has its name or the name of the role before it.
 * @param isAsAtStart what such names mean is what it was when the session began: RESET ALL and DISCARD ALL leave it so
 * @param isKnown what a set_config() sets is known, and nothing of the kind
 */
export function firstPathChange(
  { statements }: SqlPlan,
  user: string,
  schemas: readonly string[],
  isAsAtStart: boolean,
  isKnown: (effect: SqlEffect) => boolean,
): number {
  const isOf = (name: string | null, value: string | null | undefined): boolean => {
    if (name === 'search_path') return true;
    if (name !== 'role' && name !== 'session_authorization') return false;
    return schemas.includes(user) || (typeof value === 'string' && schemas.includes(value));
  };
  return statements.findIndex(({ effect }) => {
    switch (effect?.type) {
      case 'set':
        return isOf(effect.name, effect.value);
      case 'reset':
        return isOf(effect.name, null);
      case 'resetAll':
        return !isAsAtStart;
      case 'discard':
        return effect.what === 'all' && !isAsAtStart;
      case 'setConfig':
        return (
          !isKnown(effect) &&
          effect.calls.some(({ name }) => !('constant' in name) || isOf(name.constant, user))
        );
      default:
        return false;
    }
  });
}

/**
 * Of a transaction alone, or of a value that nobody here will know.
 * @param from of this execution
 */
export function isLocal({ effect }: StatementPlan, from: StatementValues): boolean {
  if (effect?.type === 'set') return effect.isLocal;
  return effect?.type === 'setConfig' && !effect.calls.every((call) => isForSession(call, from));
}

const FALSE_WORDS: ReadonlySet<string> = new Set(['false', 'f']);

/** set_config('…', …, false), which is SET. */
function isForSession({ name, value, isLocal: local }: SetConfigCall, from: StatementValues): boolean {
  const isSaid = 'constant' in name && 'constant' in local && FALSE_WORDS.has(local.constant ?? '');
  if (!isSaid) return false;
  if ('constant' in value) return isAscii(value.constant ?? '');
  if (!('parameter' in value) || from.isBinary[value.parameter - 1] !== 0) return false;
  return isAscii(from.parameterText(value.parameter - 1) ?? '\u0080');
}

/** The same in every encoding that a client may have. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/** Rows of omnisharded tables, not their definitions: those an operator may bring to one shard after the other. */
export function writesOmni({ shards, statements, route }: SqlPlan): boolean {
  const isForAll = shards?.groups.length === 0 && shards.home === 'every' && route.access === 'write';
  return isForAll && statements.every(({ defines }) => defines !== true);
}

/** DEALLOCATE, and DISCARD, by which pools of connections end a client's use: what they are about is the session's, on whichever shard. */
export function onlyForgets({ effect }: StatementPlan): boolean {
  return effect?.type === 'deallocate' || effect?.type === 'discard';
}

/** The session has set nothing by which names or shards are found that RESET ALL would take back. */
export function isAsAtStart({ parameters, startupParameters }: Session): boolean {
  if (parameters === startupParameters) return true;
  if (parameters.pathKey !== startupParameters.pathKey) return false;
  const [now, then] = [wishOf(parameters), wishOf(startupParameters)];
  return now.shard === then.shard && now.key === then.key;
}
