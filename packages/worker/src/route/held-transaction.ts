import { READY, type SqlPlan, withModes } from '@pgdog-cluster/core';
import type { TransactionMark } from '../scatter/transaction-mark.js';

/**
 * A transaction that the client has begun and no server knows of yet: BEGIN is answered at once and sent with the first
 * statement, whose host it decides. While it is held the client may sit there as long as it likes and keeps no server
 * connection; COMMIT and ROLLBACK of nothing need none either.
 */
export class HeldTransaction {
  /** BEGIN as the client wrote it, and what SET TRANSACTION has said since. */
  text: string;
  /** READ ONLY, READ WRITE, or neither was said. */
  isReadOnly: boolean | null;
  isSerializable: boolean;
  /** A statement of it was answered with an error by us: Postgres would refuse what follows, up to its end. */
  hasFailed = false;
  /** What was marked and set in it on a shard that it has left: it goes with BEGIN. */
  marks: readonly TransactionMark[] = [];

  constructor(text: string, { route }: SqlPlan) {
    this.text = text;
    this.isReadOnly = route.begin?.isReadOnly ?? null;
    this.isSerializable = route.begin?.isSerializable === true;
  }

  /**
   * SET TRANSACTION as the statement behind BEGIN, as Sequelize, TypeORM and others write it: it goes with BEGIN to every server that
   * the transaction comes to.
   */
  says(text: string, { route }: SqlPlan): void {
    const begun = withModes(this.text, text);
    if (begun === null) throw new Error('SET TRANSACTION is not as the grammar has it');
    this.text = begun;
    this.isReadOnly = route.begin?.isReadOnly ?? this.isReadOnly;
    this.isSerializable ||= route.begin?.isSerializable === true;
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
