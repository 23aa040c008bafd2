import { type CursorUse, FRONTEND, PgDogError, readExecute, SYNC } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { tagFrame } from './agree.js';
import type { BatchFrames } from './batch-frames.js';
import { bindParts } from './bind-parts.js';
import type { CountedRequest } from './counted-request.js';
import { CrossCursor } from './cross-cursor.js';
import type { CrossShardRequest } from './cross-shard-request.js';
import { CursorFetch, type FetchTerms } from './cursor-fetch.js';
import { CursorNames, type SpreadPlace } from './cursor-names.js';
import { boundCursor, type CursorSource, queriedCursor } from './cursor-source.js';
import type { DistributedTransaction } from './distributed-transaction.js';
import { errorFrame } from './error-frame.js';
import { FirstMerger } from './first-merger.js';
import type { Leg } from './leg.js';
import { MergeState, STATE_BYTES_MAX } from './merge-state.js';
import type { RowMerger } from './row-merger.js';
import type { Scatter } from './scatter.js';

const HEADER_BYTES = 5;

/** Null: all is well; else the ErrorResponse for the client. */
type Outcome = (failure: Uint8Array | null) => void;
type Fetch = Extract<CursorUse, { kind: 'fetch' | 'move' }>;

/** The cursors of a transaction over several shards. */
export class CursorDesk {
  readonly names = new CursorNames();
  private readonly session: Session;
  private readonly scatter: Scatter;
  private readonly batch: BatchFrames;
  private readonly counted: CountedRequest;
  /** A portion under way. */
  private fetch: CursorFetch | null = null;

  constructor(session: Session, scatter: Scatter, batch: BatchFrames, counted: CountedRequest) {
    this.session = session;
    this.scatter = scatter;
    this.batch = batch;
    this.counted = counted;
  }

  get isBusy(): boolean {
    return this.fetch !== null;
  }

  /** Where it is asked; null: it says nothing of that, or nobody knows. */
  shardsOf(use: CursorUse | null, transaction: DistributedTransaction | null): readonly number[] | null {
    if (use === null || use.kind === 'declare' || transaction === null) return null;
    if (use.name === null) return transaction.shards.length === 0 ? null : transaction.shards;
    const place = this.names.get(use.name);
    if (place === null) return transaction.adoptedShard === null ? null : [transaction.adoptedShard];
    if (place.kind === 'shard') return use.kind === 'close' ? place.shards : place.shards.slice(0, 1);
    return place.cursor.legs.map(({ shard }) => shard);
  }

  /** The cursor over several shards that it fetches from. */
  spreadOf(use: CursorUse | null): SpreadPlace | null {
    if (use === null || use.kind === 'declare' || use.name === null) return null;
    const place = this.names.get(use.name);
    return place?.kind === 'spread' ? place : null;
  }

  /** Why there cannot be another one of this name. */
  problemOf(name: string): PgDogError | null {
    if (this.names.get(name) === null) return this.names.problemOf(1);
    return new PgDogError('duplicate_cursor', `cursor "${name}" already exists`);
  }

  /** Declared, on the legs. */
  declared(
    { name, isBinary }: Extract<CursorUse, { kind: 'declare' }>,
    request: CrossShardRequest,
    legs: readonly Leg[],
    depth: number,
  ): void {
    if (legs.length === 1 || request.plan === null) {
      this.names.set(name, { kind: 'shard', shards: legs.map(({ shard }) => shard) }, depth);
      return;
    }
    const cursor = new CrossCursor(legs, this.newState(request, request.plan));
    this.names.set(name, { kind: 'spread', cursor, isCursor: true, isBinary }, depth);
  }

  /** Each gets half of what is left, so that there is always something for one more. */
  newState(request: CrossShardRequest, plan: MergeState['plan']): MergeState {
    const free = STATE_BYTES_MAX - this.names.stateBytesMax;
    return new MergeState(plan, request, free / 2);
  }

  /** FETCH or MOVE of a cursor over several shards, which has been asked by a Query or is in a batch that is all there. */
  portion(use: Fetch, place: SpreadPlace, isQuery: boolean, then: Outcome): void {
    const problem = fetchProblem(use, place) ?? (isQuery ? null : this.boundProblem(use));
    if (problem !== null) then(errorFrame(problem));
    else if (!isQuery) this.runBatch(use, place, then);
    else this.run(use, place, queriedCursor(use.name, place.isBinary), use.kind === 'fetch', then);
  }

  /** Its text, its portal and their descriptions are one shard's; only what it executes is ours. */
  private runBatch(use: Fetch, place: SpreadPlace, then: Outcome): void {
    const [first] = place.cursor.legs;
    const { bound } = this.batch;
    const results = bound === null ? null : bindParts(bound)?.results;
    const source = boundCursor(use.name, results ?? NO_FORMATS);
    const steps = this.batch.steps();
    const next: Outcome = (failure) => {
      const step = failure === null ? steps.shift() : undefined;
      if (step === undefined) then(failure);
      else if (step[0] === FRONTEND.Execute) this.run(use, place, source, false, next);
      else this.forward(step, [first], new FirstMerger(this.scatter, false), next);
    };
    next(null);
  }

  private boundProblem({ kind, count }: Fetch): PgDogError | null {
    // It only prepares.
    if (this.batch.bound === null) return null;
    const executes = this.batch.steps().filter((step) => step[0] === FRONTEND.Execute);
    const fields = executes.map((frame) => readExecute(frame, HEADER_BYTES, frame.length));
    const [only] = fields;
    const isWhole = kind === 'move' || only?.rowsMax === 0 || (only?.rowsMax ?? 0) > count;
    if (fields.length === 1 && only?.portalStart === only?.portalEnd && isWhole) return null;
    const text =
      'what FETCH gives of several shards cannot be had in portions once more, or by a named portal';
    return new PgDogError('cross_shard', text, { hint: 'FETCH fewer rows, without a fetch size.' });
  }

  private run(
    { kind, count: wanted }: Fetch,
    { cursor }: SpreadPlace,
    source: CursorSource,
    showsShape: boolean,
    then: Outcome,
  ): void {
    this.fetchFrom({ cursor, source, wanted, isMove: kind === 'move', showsShape }, (failure, count) => {
      if (failure === null) {
        this.counted.gave(count, true);
        this.session.send(tagFrame(`${kind.toUpperCase()} ${count}`));
      }
      then(failure);
    });
  }

  /** @param then told of the rows it came to */
  fetchFrom(
    asked: Pick<FetchTerms, 'cursor' | 'source' | 'wanted' | 'isMove' | 'showsShape'>,
    then: (failure: Uint8Array | null, count: number) => void,
  ): void {
    const { session } = this;
    const startedUs = session.context.nowUs;
    const terms: FetchTerms = {
      ...asked,
      othersBytes: this.names.heldBytes - asked.cursor.heldBytes,
      isClientFull: () => session.connection.isFull,
    };
    const fetch = new CursorFetch(this.scatter, terms, (failure) => {
      this.fetch = null;
      session.requestSinceUs = startedUs;
      then(failure, fetch.count);
    });
    this.fetch = fetch;
    fetch.start();
  }

  /** Frames without an Execute, as they are. */
  private forward(frames: Uint8Array, legs: readonly Leg[], merger: RowMerger, then: Outcome): void {
    this.scatter.start({
      shards: legs.map(({ shard }) => shard),
      framesFor: () => Buffer.concat([frames, SYNC]),
      isInTurn: false,
      merger,
      prepare: (leg) => {
        this.batch.giveStatements(leg);
        return [];
      },
      described: (frame) => this.batch.described(frame),
      done: (_legs, failure) => then(failure),
    });
  }

  // What the client does meanwhile.

  /** It has read what was queued. */
  drained(): void {
    if (this.fetch?.isPaused === true) this.fetch.goOn();
  }

  cancel(): void {
    if (this.fetch?.isPaused === true) this.fetch.cancel();
  }

  /** The transaction is over. */
  clear(): void {
    this.names.clear();
  }

  /** The client has gone. */
  end(): void {
    this.fetch = null;
    this.names.clear();
  }
}

const NO_FORMATS = Uint8Array.of(0, 0);

function fetchProblem({ refusal }: Fetch, { isCursor }: SpreadPlace): PgDogError | null {
  if (refusal !== null) return new PgDogError('cross_shard', refusal.reason, { hint: refusal.remedy });
  if (isCursor) return null;
  return new PgDogError('cross_shard', 'FETCH from a portal over several shards', {
    hint: 'Execute the portal, or DECLARE a cursor.',
  });
}
