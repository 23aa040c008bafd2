/** UPDATE of the sharding key over several shards: rows leave, then arrive, in one transaction. */
import { PgDogError } from '@pgdog-cluster/core';
import type { BatchFrames } from './batch-frames.js';
import { portioned } from './batch-requests.js';
import type { DistributedTransaction } from './distributed-transaction.js';
import { errorFrame } from './error-frame.js';
import type { Leg } from './leg.js';
import { ArriveMerger, LeaveMerger, type MoveOutput, unlike } from './move-merger.js';
import type { RowMove } from './row-move.js';
import type { Scatter } from './scatter.js';

/** @param tag what the client is told when all is done, that is, committed. `failure`: ErrorResponse for it */
export type MoveDone = (legs: readonly Leg[], failure: Uint8Array | null, tag: Uint8Array | null) => void;

/**
 * 1. Each shard in its order: rows leave it by a DELETE, or, where they go, stay and are changed by the client's own UPDATE.
 *    No row has come there yet, so none is changed twice.
 * 2. Those that have left are inserted where they go, a portion at a time.
 * An error, or the loss of a shard, leaves nothing done: the transaction is rolled back by whoever is told.
 */
export function moveRows(
  scatter: Scatter,
  batch: BatchFrames,
  move: RowMove,
  shards: readonly number[],
  transaction: DistributedTransaction,
  done: MoveDone,
): void {
  const problem = problemOf(scatter, batch, move);
  if (problem !== null) {
    done([], errorFrame(problem), null);
    return;
  }
  const output: MoveOutput = {
    pass: (bytes, start, end, buffer) => scatter.pass(bytes, start, end, buffer),
    described: (frame) => batch.described(frame),
  };
  const { bound } = batch;
  const merger = new LeaveMerger(output, move);
  scatter.start({
    shards,
    merger,
    isInTurn: true,
    framesFor: ({ shard }) =>
      shard === move.target ? batch.framesFor(shard, null, null) : move.leaveFrames(bound),
    prepare: (leg) => {
      batch.giveStatements(leg);
      const ahead = transaction.join(leg);
      transaction.noteWrite(leg);
      return ahead;
    },
    described: (frame) => frame,
    done: (legs, failure) => {
      if (failure !== null) done(legs, failure, null);
      else arrive(scatter, output, move, bound, (failure) => done(legs, failure, merger.completion));
    },
  });
}

function arrive(
  scatter: Scatter,
  output: MoveOutput,
  move: RowMove,
  bound: Uint8Array | null,
  then: (failure: Uint8Array | null) => void,
): void {
  const merger = new ArriveMerger(output);
  const next = (failure: Uint8Array | null): void => {
    const frames = failure === null ? move.arriveFrames(bound) : null;
    if (frames === null) {
      const isAll = merger.arrivedCount === move.count;
      then(failure ?? (isAll ? null : errorFrame(unlike())));
      return;
    }
    scatter.start({
      shards: [move.target],
      merger,
      isInTurn: false,
      framesFor: () => frames,
      // It is a member of the transaction.
      prepare: () => [],
      described: (frame) => frame,
      done: (_legs, failure) => next(failure),
    });
  };
  next(null);
}

function problemOf(scatter: Scatter, batch: BatchFrames, move: RowMove): PgDogError | null {
  if (batch.hasRowLimit && move.plan.givesRows) return portioned();
  // What is bound must be executed at once, and once: rows that move are no portal's.
  if (!batch.isQuery && batch.executeCount !== 1) {
    const text = 'an UPDATE that moves rows to other shards is executed once in the batch that binds it';
    return new PgDogError('cross_shard', text, { hint: 'Send Bind, Execute and Sync together.' });
  }
  const isRead = !move.hasText || (scatter.isMet('DateStyle') && scatter.isMet('extra_float_digits'));
  if (isRead) return null;
  const text =
    'rows with values of types that users have made are moved as text, which these settings do not keep';
  return new PgDogError('cross_shard', text, {
    hint: "SET DateStyle = 'ISO', and extra_float_digits to 1 or more.",
  });
}
