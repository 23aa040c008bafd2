import { type LocalSetting, localSetting, type SqlPlan, type StatementPlan } from '@pgdog-cluster/core';

/** What ends a transaction, marks a place in it, or forgets what the client has prepared. */
export type ControlStep =
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | SavepointStep
  | LocalStep
  | DeallocateStep;

/** `name`: of the savepoint, as SQL. */
export interface SavepointStep {
  readonly kind: 'savepoint' | 'release' | 'rollbackTo';
  readonly name: string;
  readonly sql: string;
  readonly tag: string;
}

/** SET LOCAL of what all shards can be told. */
export interface LocalStep {
  readonly kind: 'local';
  readonly setting: LocalSetting;
  readonly sql: string;
  readonly tag: string;
}

/** `name`: null: all. */
export interface DeallocateStep {
  readonly kind: 'deallocate';
  readonly name: string | null;
  readonly tag: string;
}

/** Of a text that is one such statement, or several that let the transaction go on (psycopg's ROLLBACK TO; RELEASE). */
export function controlStepsOf({ statements }: SqlPlan): readonly ControlStep[] | null {
  const steps: ControlStep[] = [];
  for (const statement of statements) {
    const step = stepOf(statement);
    if (step === null) return null;
    steps.push(step);
  }
  if (steps.length === 1) return steps;
  const isWithin = steps.length > 0 && steps.every(({ kind }) => kind !== 'commit' && kind !== 'rollback');
  return isWithin ? steps : null;
}

/** Chains go on with another transaction and are none. */
function stepOf(statement: StatementPlan): ControlStep | null {
  const local = localSetting(statement);
  if (local !== null) return { kind: 'local', setting: local, sql: local.sql, tag: 'SET' };
  const { effect } = statement;
  switch (effect?.type) {
    case 'commit':
    case 'rollback':
      return effect.isChain ? null : { kind: effect.type };
    case 'savepoint': {
      const name = quoted(effect.name);
      return { kind: 'savepoint', name, sql: `SAVEPOINT ${name}`, tag: 'SAVEPOINT' };
    }
    case 'release': {
      const name = quoted(effect.name);
      return { kind: 'release', name, sql: `RELEASE SAVEPOINT ${name}`, tag: 'RELEASE' };
    }
    case 'rollbackTo': {
      const name = quoted(effect.name);
      return { kind: 'rollbackTo', name, sql: `ROLLBACK TO SAVEPOINT ${name}`, tag: 'ROLLBACK' };
    }
    case 'deallocate': {
      const tag = effect.name === null ? 'DEALLOCATE ALL' : 'DEALLOCATE';
      return { kind: 'deallocate', name: effect.name, tag };
    }
    default:
      return null;
  }
}

export function unquoted(name: string): string {
  return name.slice(1, -1).replaceAll('""', '"');
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
