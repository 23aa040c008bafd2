/** UPDATE of the sharding key over several shards: rows leave, then arrive, in one transaction. */
import { PgDogError } from '@pgdog-cluster/core';
import type { BatchFrames } from './batch-frames.js';
import { portioned } from './batch-requests.js';
import type { DistributedTransaction } from './distributed-transaction.js';
import { errorFrame } from './error-frame.js';
import type { Leg } from './leg.js';
import { ArriveMerger, LeaveMerger, type MoveOutput, OwnAnswer } from './move-merger.js';
import { type MovedRows, unlike } from './moved-rows.js';
import type { RowMerger } from './row-merger.js';
import type { RowMove } from './row-move.js';
import type { Scatter } from './scatter.js';

/** No shard. */
const NONE = -1;

/** @param tag what the client is told when all is done, that is, committed. `failure`: ErrorResponse for it */
export type MoveDone = (legs: readonly Leg[], failure: Uint8Array | null, tag: Uint8Array | null) => void;

/** What a move takes place in. */
export interface MovePlace {
  readonly scatter: Scatter;
  readonly batch: BatchFrames;
  readonly transaction: DistributedTransaction;
}

/**
 * 1. Each shard in its order: rows leave it by a DELETE, or, where all go, stay and are changed by the client's own UPDATE.
 *    No row has come there yet, so none is changed twice.
 * 2. Where each row finds its own shard, the client's UPDATE is asked now, for what the client is to be told: no row is left
 *    for it, unless another transaction has made one.
 * 3. Those that have left are inserted where they go, a portion at a time.
 * An error, or the loss of a shard, leaves nothing done: the transaction is rolled back by whoever is told.
 */
export function moveRows(place: MovePlace, move: RowMove, shards: readonly number[], done: MoveDone): void {
  const problem = problemOf(place, move);
  if (problem !== null) done([], errorFrame(problem), null);
  else new Moving(place, move, shards, done).leave();
}

class Moving {
  private readonly place: MovePlace;
  private readonly move: RowMove;
  private readonly shards: readonly number[];
  private readonly done: MoveDone;
  private readonly rows: MovedRows;
  private readonly output: MoveOutput;
  private readonly own: OwnAnswer;
  private legs: readonly Leg[] = [];

  constructor(place: MovePlace, move: RowMove, shards: readonly number[], done: MoveDone) {
    const { scatter, batch } = place;
    this.place = place;
    this.move = move;
    this.shards = shards;
    this.done = done;
    this.rows = move.newRows();
    this.output = {
      pass: (bytes, start, end, buffer) => scatter.pass(bytes, start, end, buffer),
      described: (frame) => batch.described(frame),
    };
    this.own = new OwnAnswer(this.output, typeof move.target !== 'number');
  }

  leave(): void {
    const { move, rows, own, output, shards } = this;
    const { batch } = this.place;
    const { bound } = batch;
    const ownShard = typeof move.target === 'number' ? move.target : NONE;
    this.ask(
      shards,
      new LeaveMerger(output, rows, own, ownShard),
      (shard) => (shard === ownShard ? batch.framesFor(shard, null, null) : move.leaveFrames(bound)),
      (legs) => {
        this.legs = legs;
        const problem = rows.close();
        if (problem !== null) this.end(errorFrame(problem));
        else if (ownShard === NONE) this.tell();
        else this.arrive(new ArriveMerger(output, own));
      },
    );
  }

  private tell(): void {
    const { shards, rows, own, output } = this;
    const { batch } = this.place;
    const [first] = shards;
    this.ask(
      [first],
      new LeaveMerger(output, rows, own, first),
      (shard) => batch.framesFor(shard, null, null),
      () => this.arrive(new ArriveMerger(output, own)),
    );
  }

  private arrive(merger: ArriveMerger): void {
    const { move, rows } = this;
    const arrival = move.arrival(rows, this.place.batch.bound);
    if (arrival === null) this.end(merger.arrivedCount === rows.count ? null : errorFrame(unlike()));
    else
      this.ask(
        [arrival.shard],
        merger,
        () => arrival.frames,
        () => this.arrive(merger),
      );
  }

  private ask(
    shards: readonly number[],
    merger: RowMerger,
    framesFor: (shard: number) => Uint8Array,
    then: (legs: readonly Leg[]) => void,
  ): void {
    const { scatter, batch, transaction } = this.place;
    scatter.start({
      shards,
      merger,
      isInTurn: true,
      keeps: 'write',
      framesFor: ({ shard }) => framesFor(shard),
      prepare: (leg) => {
        batch.giveStatements(leg);
        const ahead = transaction.join(leg);
        transaction.noteWrite(leg);
        return ahead;
      },
      described: (frame) => frame,
      done: (legs, failure) => {
        if (failure === null) then(legs);
        else this.end(failure);
      },
    });
  }

  private end(failure: Uint8Array | null): void {
    this.done(this.legs, failure, failure === null ? this.own.completion(this.rows.count) : null);
  }
}

function problemOf({ scatter, batch }: MovePlace, move: RowMove): PgDogError | null {
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
