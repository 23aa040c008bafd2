import { type LocalSetting, PgDogError } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { tagFrame } from './agree.js';
import type { BatchFrames } from './batch-frames.js';
import type { ControlStep, LocalStep, SavepointStep } from './control-step.js';
import type { CursorNames } from './cursor-names.js';
import { type DistributedTransaction, lostMember } from './distributed-transaction.js';
import { queryFrame } from './query-frame.js';
import type { Scatter } from './scatter.js';
import { SETTINGS_MAX, tooManySettings } from './transaction-mark.js';
import { ValueMerger } from './value-merger.js';

/** Whoever has the transaction. `failure`: ErrorResponse for the client; `tag`: what is answered when there is none. */
export interface StepHost {
  end(failure: Uint8Array | null, tag: Uint8Array | null): void;
  done(failure: Uint8Array | null, tag: Uint8Array | null): void;
  refuse(problem: PgDogError): void;
  /** The transaction is that of a batch, which the client has not begun. */
  isBatchOwn(): boolean;
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

  run(steps: readonly ControlStep[], transaction: DistributedTransaction): void {
    const { session, host } = this;
    session.requestSinceUs = session.context.nowUs;
    const [{ kind }] = steps;
    if (kind === 'commit' || kind === 'rollback') {
      if (kind === 'rollback' || transaction.hasFailed) {
        transaction.rollback(() => host.end(null, this.tagged('ROLLBACK')));
        return;
      }
      transaction.commit((failure) => host.end(failure, failure === null ? this.tagged('COMMIT') : null));
      return;
    }
    this.next(steps, 0, transaction);
  }

  /** Those ahead of it have been done. */
  private next(steps: readonly ControlStep[], index: number, transaction: DistributedTransaction): void {
    const { host } = this;
    const step = steps[index];
    if (step === undefined) {
      host.done(null, this.tagged(...steps.map((each) => ('tag' in each ? each.tag : ''))));
      return;
    }
    const problem = problemOf(step, transaction, host.isBatchOwn());
    if (problem !== null) this.refuse(problem, steps.slice(0, index));
    else if (step.kind === 'deallocate') {
      const { statements } = this.session;
      if (step.name !== null && statements.get(step.name) === undefined) {
        const text = `prepared statement "${step.name}" does not exist`;
        this.refuse(new PgDogError('unknown_prepared_statement', text), steps.slice(0, index));
        return;
      }
      if (step.name === null) statements.clear();
      else statements.remove(step.name);
      this.next(steps, index + 1, transaction);
    } else if (step.kind !== 'commit' && step.kind !== 'rollback') {
      this.mark(step, transaction, (failure) => {
        if (failure === null) this.next(steps, index + 1, transaction);
        else {
          this.tell(steps.slice(0, index));
          host.done(failure, null);
        }
      });
    }
  }

  private refuse(problem: PgDogError, done: readonly ControlStep[]): void {
    this.tell(done);
    this.host.refuse(problem);
  }

  /** What was done ahead of an error. */
  private tell(done: readonly ControlStep[]): void {
    for (const step of done) if ('tag' in step) this.session.send(tagFrame(step.tag));
  }

  private tagged(...tags: readonly string[]): Uint8Array {
    return this.batch.answers(Buffer.concat(tags.map(tagFrame)));
  }

  /** A savepoint on every member, or a setting. */
  private mark(
    step: SavepointStep | LocalStep,
    transaction: DistributedTransaction,
    then: (failure: Uint8Array | null) => void,
  ): void {
    const { scatter } = this;
    if (step.kind === 'local' && transaction.firstShard === null) {
      this.try(step.setting, transaction, then);
      return;
    }
    const legs = transaction.shards.map((shard) => scatter.legOf(shard));
    scatter.order(
      legs.map((leg) => ({ leg, sql: step.sql })),
      ([failure]) => {
        if (failure !== undefined) {
          then(failure.frame);
          return;
        }
        if (step.kind === 'local') transaction.noteSetting(step.setting);
        else if (step.kind === 'savepoint') transaction.noteSavepoint(step.name);
        else this.released(step, transaction);
        then(null);
      },
    );
  }

  /** Whether a setting can be had is for a server to say: the first one joins with it. */
  private try(
    setting: LocalSetting,
    transaction: DistributedTransaction,
    then: (failure: Uint8Array | null) => void,
  ): void {
    this.scatter.start({
      shards: [0],
      merger: new ValueMerger(),
      isInTurn: false,
      keeps: 'read',
      framesFor: () => queryFrame(setting.sql),
      prepare: (leg) => transaction.join(leg),
      described: (frame) => frame,
      done: (_, failure) => {
        if (failure === null) transaction.noteSetting(setting);
        then(failure);
      },
    });
  }

  private released({ name, kind }: SavepointStep, transaction: DistributedTransaction): void {
    const isKept = kind === 'rollbackTo';
    transaction.noteReleased(name, isKept);
    if (isKept) this.names.rolledBack(transaction.depth);
    else this.names.released(transaction.depth);
  }
}

function problemOf(
  step: ControlStep,
  transaction: DistributedTransaction,
  isBatchOwn: boolean,
): PgDogError | null {
  const { kind } = step;
  const isMark = kind === 'savepoint' || kind === 'release' || kind === 'rollbackTo';
  if (isMark && isBatchOwn)
    return new PgDogError('outside_block', `${WORDS[kind]} can only be used in transaction blocks`);
  if (transaction.hasFailed && (kind !== 'rollbackTo' || transaction.isAborted))
    return new PgDogError('transaction_failed');
  if (transaction.hasLostMember) return lostMember();
  if (kind === 'local' && transaction.settingCount >= SETTINGS_MAX) return tooManySettings();
  // Shards say so themselves, if there are any yet.
  const isUnknown =
    isMark && kind !== 'savepoint' && transaction.firstShard === null && !transaction.hasSavepoint(step.name);
  return isUnknown ? new PgDogError('unknown_savepoint', `savepoint ${step.name} does not exist`) : null;
}

const WORDS = {
  savepoint: 'SAVEPOINT',
  release: 'RELEASE SAVEPOINT',
  rollbackTo: 'ROLLBACK TO SAVEPOINT',
} as const;
