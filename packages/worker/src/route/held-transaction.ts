import { READY, type SqlPlan } from '@pgdog-cluster/core';

/**
 * A transaction that the client has begun and no server knows of yet: BEGIN is answered at once and sent with the first
 * statement, whose host it decides. While it is held the client may sit there as long as it likes and keeps no server
 * connection; COMMIT and ROLLBACK of nothing need none either.
 */
export class HeldTransaction {
  /** BEGIN as the client wrote it. */
  readonly text: string;
  /** READ ONLY, READ WRITE, or neither was said. */
  readonly isReadOnly: boolean | null;
  readonly isSerializable: boolean;
  /** A statement of it was answered with an error by us: Postgres would refuse what follows, up to its end. */
  hasFailed = false;

  constructor(text: string, { route }: SqlPlan) {
    this.text = text;
    this.isReadOnly = route.begin?.isReadOnly ?? null;
    this.isSerializable = route.begin?.isSerializable === true;
  }

  /** For ReadyForQuery. */
  get readyStatus(): number {
    return this.hasFailed ? READY.Failed : READY.InTransaction;
  }
}

/** Of BEGIN or START TRANSACTION, as the one statement of `plan`. */
export function beginTag({ statements }: SqlPlan): string {
  const effect = statements[0]?.effect;
  return effect?.type === 'begin' && effect.isStart === true ? 'START TRANSACTION' : 'BEGIN';
}

/** What a text that consists of one statement does with a held transaction. */
export type TransactionStep = 'begin' | 'commit' | 'rollback';

/** null: something else, or more than that. Chains go on with another transaction: a server's to do. */
export function stepOf({ statements }: SqlPlan): TransactionStep | null {
  const effect = statements.length === 1 ? statements[0].effect : null;
  if (effect === null) return null;
  if (effect.type === 'begin') return 'begin';
  if (effect.type === 'commit' || effect.type === 'rollback') return effect.isChain ? null : effect.type;
  return null;
}
