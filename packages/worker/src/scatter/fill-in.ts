import { PgDogError } from '@pgdog-cluster/core';
import type { DistributedTransaction } from './distributed-transaction.js';
import { errorFrame, sqlstateOf } from './error-frame.js';
import type { FilledStatement } from './filled-statement.js';
import type { Leg } from './leg.js';
import { queryFrame } from './query-frame.js';
import type { Scatter } from './scatter.js';
import { ValueMerger } from './value-merger.js';

/**
 * Asks one shard for what all are to store, within the transaction, so that its time is the one that all its statements see.
 * @param then `failure`: ErrorResponse for the client; null: the statement is filled in
 */
export function fillIn(
  scatter: Scatter,
  filled: FilledStatement,
  transaction: DistributedTransaction | null,
  then: (legs: readonly Leg[], failure: Uint8Array | null) => void,
): void {
  if (filled.hasTime && !scatter.isMet('DateStyle')) {
    then([], errorFrame(unreadTime()));
    return;
  }
  const merger = new ValueMerger();
  scatter.start({
    shards: [filled.needsFirst ? 0 : (transaction?.firstShard ?? 0)],
    merger,
    isInTurn: false,
    ...(transaction === null ? {} : { keeps: 'read' }),
    framesFor: () => queryFrame(filled.question),
    prepare: (leg) => transaction?.join(leg) ?? [],
    described: (frame) => frame,
    done: (legs, error) => {
      const failure = error === null ? null : failureOf(error, filled);
      const isFilled = failure === null && filled.fillIn(merger.values);
      then(legs, failure ?? (isFilled ? null : errorFrame(unanswered())));
    },
  });
}

/** One server asks nobody for rights on the sequence of an identity column; we cannot but ask by name. */
function failureOf(error: Uint8Array, { hasIdentity }: FilledStatement): Uint8Array {
  if (!hasIdentity || sqlstateOf(error) !== '42501') return error;
  const text = 'the number of an identity column is asked for, which needs rights on its sequence';
  const hint = 'GRANT USAGE ON SEQUENCE … on the first shard, or give the number.';
  return errorFrame(new PgDogError('cross_shard', text, { hint }));
}

/** What one shard writes another must read as the same time. */
function unreadTime(): PgDogError {
  return new PgDogError(
    'cross_shard',
    'a time is the same on all shards only if it is written in ISO style',
    {
      hint: "SET DateStyle = 'ISO', or give the time as a parameter.",
    },
  );
}

function unanswered(): PgDogError {
  return new PgDogError('internal', 'a shard has not given what it was asked for');
}
