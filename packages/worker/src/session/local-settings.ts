import {
  type LocalSetting,
  localCallsOf,
  localSettingOf,
  type SqlArgument,
  type SqlEffect,
  type StatementValues,
} from '@pgdog-cluster/core';
import { isUtf8Session } from '../pubsub/listener.js';
import type { BindValues } from './effects.js';
import { isWide } from './parameter-set.js';
import type { Session } from './session.js';

type TextOf = (argument: SqlArgument) => string | null | undefined;

/** What a statement sets for its transaction that other shards can be told, too; null: it does something else. */
function settingsOf(session: Session, effect: SqlEffect, textOf: TextOf): readonly LocalSetting[] | null {
  const setting = localSettingOf(effect);
  if (setting !== null) return [setting];
  return localCallsOf(effect, (argument) => {
    const text = textOf(argument);
    // What the client's bytes are is known where they are ASCII or UTF-8.
    return typeof text === 'string' && isWide(text) && !isUtf8Session(session) ? undefined : text;
  });
}

/** Of a statement that has run. */
export function localSettingsDone(
  session: Session,
  effect: SqlEffect,
  values: BindValues | null,
): readonly LocalSetting[] | null {
  return settingsOf(session, effect, (argument) => {
    if ('constant' in argument) return argument.constant;
    return 'parameter' in argument ? values?.[argument.parameter - 1] : undefined;
  });
}

/** Of one that is being read: what will be known of it when it has run. */
export function localSettingsAhead(
  session: Session,
  effect: SqlEffect,
  values: StatementValues,
): readonly LocalSetting[] | null {
  return settingsOf(session, effect, (argument) => {
    if ('constant' in argument) return argument.constant;
    return 'parameter' in argument && values.isBound ? values.plainText(argument.parameter - 1) : undefined;
  });
}
