import { PgDogError } from '@pgdog-cluster/core';
import {
  type ChangeLayers,
  type ConfigurationChange,
  ConfigurationError,
  describeTarget,
  formatProblem,
  type LoadedConfig,
} from '@pgdog-cluster/core/config';
import { CHANGES_MAX } from './persist-file.js';

/** What an operator wants of the layer of changes. */
export type ChangeOrder =
  | { type: 'change'; change: ConfigurationChange; isPersisted: boolean }
  /** Keep all that is in force. */
  | { type: 'persist' }
  /** Take back what is not kept. */
  | { type: 'reset' };

export type ChangeLists = Pick<ChangeLayers, 'persisted' | 'unpersisted'>;

const isSameTarget = (a: ConfigurationChange, b: ConfigurationChange): boolean =>
  a.kind === b.kind && a.name === b.name;

/** With one more. A whole DROP makes what was ordered about the same name before pointless; an ALTER joins the one before it. */
function withChange(
  list: readonly ConfigurationChange[],
  change: ConfigurationChange,
): ConfigurationChange[] {
  if (change.verb === 'drop' && Object.keys(change.where).length === 0) {
    return [...list.filter((one) => !isSameTarget(one, change)), change];
  }
  const last = list.findLast((one) => isSameTarget(one, change));
  const isJoined = last?.verb === 'alter' && change.verb === 'alter' && isSameChoice(last, change);
  if (!isJoined) return [...list, change];
  const joined = { ...change, values: { ...last.values, ...change.values } };
  return list.map((one) => (one === last ? joined : one));
}

const isSameChoice = (a: ConfigurationChange, b: ConfigurationChange): boolean =>
  JSON.stringify(a.where) === JSON.stringify(b.where);

/** As an operator is told of it. */
export function refused(error: unknown): unknown {
  if (!(error instanceof ConfigurationError)) return error;
  const errors = error.problems.filter(({ severity }) => severity === 'error');
  return new PgDogError('configuration', errors.map(formatProblem).join('; '), { cause: error });
}

function listsAfter(layers: ChangeLists, order: ChangeOrder): ChangeLists {
  const { persisted, unpersisted } = layers;
  if (order.type === 'persist') return { persisted: [...persisted, ...unpersisted], unpersisted: [] };
  if (order.type === 'reset') return { persisted, unpersisted: [] };
  const { change, isPersisted } = order;
  if (!isPersisted) return { persisted, unpersisted: withChange(unpersisted, change) };
  // With what was ordered before about the same name: left behind it would come later, and win.
  const isMeant = (one: ConfigurationChange) => isSameTarget(one, change);
  return {
    persisted: withChange([...persisted, ...unpersisted.filter(isMeant)], change),
    unpersisted: unpersisted.filter((one) => !isMeant(one)),
  };
}

/**
 * The configuration after an order, with its layers. Files are as they were read last: an order takes up nothing else.
 * @throws PgDogError
 */
export function planChange(loaded: LoadedConfig, order: ChangeOrder): LoadedConfig {
  const { layers } = loaded;
  const { again } = layers;
  if (again === undefined)
    throw new PgDogError('order_refused', 'this configuration cannot be changed by orders');
  const lists = listsAfter(layers, order);
  if (lists.persisted.length > CHANGES_MAX || lists.unpersisted.length > CHANGES_MAX) {
    throw new PgDogError('order_refused', `more than ${CHANGES_MAX} changes by orders`, {
      hint: 'Write them into the files.',
    });
  }
  let after: LoadedConfig;
  try {
    after = again(lists.persisted, lists.unpersisted);
  } catch (error) {
    throw refused(error);
  }
  if (order.type === 'change') after = withoutPointless(layers, after, order.change);
  checkAlone(after, order);
  return after;
}

/** A change that names nothing: an error, unless it is a DROP of what only orders had made. */
function withoutPointless(
  before: ChangeLists,
  after: LoadedConfig,
  change: ConfigurationChange,
): LoadedConfig {
  const { layers } = after;
  const isMeant = (one: ConfigurationChange) =>
    one.verb === change.verb && isSameTarget(one, change) && isSameChoice(one, change);
  if (![...layers.unmatched].some(isMeant)) return after;
  const all = (lists: ChangeLists) => lists.persisted.length + lists.unpersisted.length;
  // It was added itself: with nothing gone there is one more.
  const goneCount = all(before) + 1 - all(layers);
  if (goneCount <= 0) throw new PgDogError('order_refused', `there is no ${describeTarget(change)}`);
  const without = (list: readonly ConfigurationChange[]) => list.filter((one) => one !== change);
  const lists = { persisted: without(layers.persisted), unpersisted: without(layers.unpersisted) };
  return {
    ...after,
    layers: { ...layers, ...lists },
    warnings: after.warnings.filter(({ source }) => source !== change.source),
  };
}

/** What is kept must be a configuration by itself: a restart has nothing else. */
function checkAlone({ layers }: LoadedConfig, order: ChangeOrder): void {
  const isKept = order.type === 'change' && order.isPersisted;
  if (!isKept || layers.unpersisted.length === 0) return;
  try {
    layers.again?.(layers.persisted, []);
  } catch (error) {
    const reason = refused(error);
    const text = reason instanceof Error ? reason.message : String(reason);
    throw new PgDogError(
      'order_refused',
      `after a restart, without the changes that are not persisted: ${text}`,
      { hint: 'PERSIST by itself keeps all changes that are in force.' },
    );
  }
}
