import type { RouteFacts, SqlPlan } from '@pgdog-cluster/core';
import type { HeldTransaction } from './held-transaction.js';

/**
 * Whether the transaction on the session's server connection is one that cannot write: begun READ ONLY, and its first
 * statement was a query, after which Postgres does not let the mode be changed. What it asks counts as no write then, on
 * the primary too. Or a session that only reads would be taken for one that has just written, and read nowhere else.
 */
export class ReadOnlyTransaction {
  private isFirst = false;
  private isOpen = false;

  /** What is decided, and may be what a held BEGIN is sent in front of. */
  decided({ access }: RouteFacts, writes: string | null, plans: readonly SqlPlan[]): void {
    this.isFirst = access === 'read' && writes === null && plans.length === 1 && isSingle(plans[0]);
  }

  begun({ isReadOnly }: HeldTransaction): void {
    this.isOpen = isReadOnly === true && this.isFirst;
  }

  ended(): void {
    this.isOpen = false;
  }

  get mayLook(): boolean {
    return this.isOpen;
  }

  /** Whether a whole exchange, of one statement, leaves no doubt. AND CHAIN begins one that has read nothing yet. */
  isHarmless(plan: SqlPlan): boolean {
    const { effect } = plan.statements[0] ?? { effect: null };
    const isChained = (effect?.type === 'commit' || effect?.type === 'rollback') && effect.isChain;
    if (!isSingle(plan) || isChained) this.isOpen = false;
    return this.isOpen;
  }
}

function isSingle({ statements }: SqlPlan): boolean {
  return statements.length === 1;
}
