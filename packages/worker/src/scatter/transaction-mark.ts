import {
  type LocalSetting,
  localSettingOf,
  PgDogError,
  type SqlPlan,
  type StatementValues,
} from '@pgdog-cluster/core';
import { localSettingsAhead } from '../session/local-settings.js';
import type { Session } from '../session/session.js';

/** So many settings are kept for shards that join later. */
export const SETTINGS_MAX = 1000;

/** What was marked or set in a transaction; who joins it later is told all of it, in order. */
export interface TransactionMark {
  /** Name of a savepoint, as SQL; null: a setting. */
  readonly savepoint: string | null;
  readonly setting: string | null;
  readonly sql: string;
}

/**
 * Whether all that a text does is what is told to shards that come later, so that nothing of it is lost with the shard that did it. Postgres
 * takes no snapshot and no lock for it. @param mayBegin no transaction is open: BEGIN may be ahead of it. @param values of what is bound
 */
export function onlyMarks(
  { statements }: SqlPlan,
  mayBegin: boolean,
  session: Session,
  values: StatementValues,
): boolean {
  // It has not been read statement by statement.
  if (statements.length === 0) return false;
  for (let index = 0; index < statements.length; index++) {
    const { effect } = statements[index];
    if (effect === null) return false;
    switch (effect.type) {
      case 'begin':
        // Within one it may change how that goes on.
        if (!mayBegin || index > 0) return false;
        break;
      case 'savepoint':
      case 'release':
      case 'rollbackTo':
        break;
      case 'setConfig':
        if (effect.isAll !== true || localSettingsAhead(session, effect, values) === null) return false;
        break;
      default:
        if (localSettingOf(effect) === null) return false;
    }
  }
  return true;
}

export function savepointMark(name: string): TransactionMark {
  return { savepoint: name, setting: null, sql: `SAVEPOINT ${name}` };
}

export function settingMark({ name, sql }: LocalSetting): TransactionMark {
  return { savepoint: null, setting: name, sql };
}

/** Between two savepoints the last word on a setting is the one that counts. */
export function withoutFormer(marks: readonly TransactionMark[]): TransactionMark[] {
  const kept: TransactionMark[] = [];
  let seen = new Set<string>();
  for (const mark of marks.toReversed()) {
    if (mark.setting === null) seen = new Set();
    else if (seen.has(mark.setting)) continue;
    else seen.add(mark.setting);
    kept.push(mark);
  }
  return kept.reverse();
}

export function tooManySettings(): PgDogError {
  return new PgDogError(
    'cross_shard',
    `a transaction over several shards keeps ${SETTINGS_MAX} settings at most`,
  );
}
