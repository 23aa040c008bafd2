import type { PgDogError } from '@pgdog-cluster/core';
import type { Leg } from './leg.js';
import type { RowMerger } from './row-merger.js';

/** What is asked of several shards at once. */
export interface ScatterTask {
  readonly shards: readonly number[];
  /** For every shard: a Query, or a batch up to its Sync. */
  framesFor(leg: Leg): Uint8Array;
  /**
   * Shards are asked in their order, each when the one before is done: two statements that write on the same shards then wait
   * for each other in one order, and never both for one another, which no server could see.
   */
  readonly isInTurn: boolean;
  /** It is of a transaction: what it asks keeps its server connection. By whether it may write. Absent: each is given back once it has answered. */
  readonly keeps?: 'read' | 'write';
  /** Server connections are all it wants, for what is asked next. */
  readonly asksNothing?: boolean;
  /** Makes one answer of theirs. */
  readonly merger: RowMerger;
  /** What a row is answered with that comes all the same. */
  readonly rowRefusal?: PgDogError | null;
  /** Statements of ours that go ahead; gives the leg the prepared statements that the frames name. */
  prepare(leg: Leg): string[];
  /** A whole ParameterDescription as the client may see it. */
  described(frame: Uint8Array): Uint8Array;
  /** What comes of data that the shards ask the client for; absent: nothing that is asked makes them. */
  readonly copy?: {
    /** What is asked is a batch, with its Sync. */
    readonly isBatch: boolean;
    /** Every leg waits; `frames`: their CopyInResponse. @returns why it cannot be */
    begins(legs: readonly Leg[], frames: readonly Uint8Array[]): PgDogError | null;
  };
  /** All has been answered. `failure`: with an error, which the client has not got yet. */
  done(legs: readonly Leg[], failure: Uint8Array | null): void;
}

/** A statement of ours. */
export interface Order {
  readonly leg: Leg;
  readonly sql: string;
  /** Of texts that differ in numbers alone: which one it is. Absent: it is read as any other. */
  readonly kind?: string;
}

export interface OrderFailure {
  readonly leg: Leg;
  /** ErrorResponse for the client. */
  readonly frame: Uint8Array;
}
