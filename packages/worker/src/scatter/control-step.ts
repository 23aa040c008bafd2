import type { SqlPlan } from '@pgdog-cluster/core';

/** What ends a transaction, or marks a place in it; `name`: of the savepoint, as SQL. */
export type ControlStep = { readonly kind: 'commit' } | { readonly kind: 'rollback' } | SavepointStep;

export interface SavepointStep {
  readonly kind: 'savepoint' | 'release' | 'rollbackTo';
  readonly name: string;
  readonly sql: string;
  readonly tag: string;
}

/** Of a text that is one such statement; chains go on with another transaction and are none. */
export function controlStepOf({ statements }: SqlPlan): ControlStep | null {
  const effect = statements.length === 1 ? statements[0].effect : null;
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
    default:
      return null;
  }
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
