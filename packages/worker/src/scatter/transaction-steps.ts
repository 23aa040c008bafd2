import { PgDogError } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { tagFrame } from './agree.js';
import type { BatchFrames } from './batch-frames.js';
import type { ControlStep, SavepointStep } from './control-step.js';
import type { CursorNames } from './cursor-names.js';
import { type DistributedTransaction, lostMember } from './distributed-transaction.js';
import type { Scatter } from './scatter.js';

/** Whoever has the transaction. `failure`: ErrorResponse for the client; `tag`: what is answered when there is none. */
export interface StepHost {
  end(failure: Uint8Array | null, tag: Uint8Array | null): void;
  done(failure: Uint8Array | null, tag: Uint8Array | null): void;
  refuse(problem: PgDogError): void;
}

/** COMMIT, ROLLBACK and savepoints of a transaction over several shards. */
export class TransactionSteps {
  private readonly session: Session;
  private readonly scatter: Scatter;
  private readonly batch: BatchFrames;
  private readonly names: CursorNames;
  private readonly host: StepHost;

  constructor(session: Session, scatter: Scatter, batch: BatchFrames, names: CursorNames, host: StepHost) {
    this.session = session;
    this.scatter = scatter;
    this.batch = batch;
    this.names = names;
    this.host = host;
  }

  run(step: ControlStep, transaction: DistributedTransaction): void {
    const { session, host } = this;
    session.requestSinceUs = session.context.nowUs;
    if (step.kind === 'commit' || step.kind === 'rollback') {
      if (step.kind === 'rollback' || transaction.hasFailed) {
        transaction.rollback(() => host.end(null, this.tagged('ROLLBACK')));
        return;
      }
      transaction.commit((failure) => host.end(failure, failure === null ? this.tagged('COMMIT') : null));
      return;
    }
    if (transaction.hasFailed && step.kind !== 'rollbackTo')
      host.refuse(new PgDogError('transaction_failed'));
    else if (transaction.hasLostMember) host.refuse(lostMember());
    else this.mark(step, transaction);
  }

  private tagged(tag: string): Uint8Array {
    return this.batch.answers(tagFrame(tag));
  }

  /** A savepoint on every member. */
  private mark(step: SavepointStep, transaction: DistributedTransaction): void {
    const { scatter, host } = this;
    const legs = transaction.shards.map((shard) => scatter.legOf(shard));
    scatter.order(
      legs.map((leg) => ({ leg, sql: step.sql })),
      ([failure]) => {
        if (failure !== undefined) {
          host.done(failure.frame, null);
          return;
        }
        if (step.kind === 'savepoint') transaction.noteSavepoint(step.name);
        else this.released(step, transaction);
        host.done(null, this.tagged(step.tag));
      },
    );
  }

  private released({ name, kind }: SavepointStep, transaction: DistributedTransaction): void {
    const isKept = kind === 'rollbackTo';
    transaction.noteReleased(name, isKept);
    if (isKept) this.names.rolledBack(transaction.depth);
    else this.names.released(transaction.depth);
  }
}
