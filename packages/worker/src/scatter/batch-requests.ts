import { FRONTEND, PgDogError } from '@pgdog-cluster/core';
import type { BatchFrames } from './batch-frames.js';
import { type CrossShardRequest, inPortions, isWhole } from './cross-shard-request.js';
import type { DistributedTransaction } from './distributed-transaction.js';
import { errorFrame } from './error-frame.js';
import { isOfOneStatement } from './one-statement.js';
import type { PortalBatch } from './portal-batch.js';

/** Of a batch that goes on behind a Flush, with a portal that is open. */
const PART_TYPES: ReadonlySet<number> = new Set([
  FRONTEND.Execute,
  FRONTEND.Describe,
  FRONTEND.Close,
  FRONTEND.Flush,
  FRONTEND.Sync,
]);
const PART_BYTES_MAX = 64 * 1024;

/** Whoever takes requests to several shards. */
export interface BatchHost {
  /** The client's; null: there is none. */
  readonly clientTransaction: DistributedTransaction | null;
  /** Of the batch alone: begun now, or by what came before its Flush. */
  ownTransaction(): DistributedTransaction;
  /** As it is, on its shards. */
  run(request: CrossShardRequest): void;
  refuse(problem: PgDogError): void;
  /** It has been answered, and is a part of the client's transaction. `failure`: but for its error. */
  done(failure: Uint8Array | null): void;
  commitOwn(): void;
  rollbackOwn(failure: Uint8Array): void;
  /** Its answers up to the Flush have been given. */
  flushed(): void;
  /** What comes behind the Flush is all there. */
  goesOn(): void;
}

/** Batches for several shards: as they are, or with portals whose rows are put together a portion at a time. */
export class BatchRequests {
  private readonly batch: BatchFrames;
  private readonly portals: PortalBatch;
  private readonly host: BatchHost;
  /** What comes behind a Flush, up to the Sync, belongs to this. */
  private open: CrossShardRequest | null = null;
  private partBytes = 0;

  constructor(batch: BatchFrames, portals: PortalBatch, host: BatchHost) {
    this.batch = batch;
    this.portals = portals;
    this.host = host;
  }

  /** All of it is there. */
  start(request: CrossShardRequest): void {
    const { host, portals } = this;
    const { clientTransaction: transaction } = host;
    if (transaction === null) {
      this.startPlaced(request, null);
      return;
    }
    if (transaction.hasFailed && portals.asksPortals) {
      host.refuse(new PgDogError('transaction_failed'));
      return;
    }
    const placed = portals.placed(request, transaction);
    if (placed instanceof PgDogError) {
      host.refuse(placed);
      return;
    }
    portals.closeAhead(transaction.hasFailed, placed.shards, (failure) => {
      if (failure === null) this.startPlaced(placed, transaction);
      else host.done(failure);
    });
  }

  private startPlaced(request: CrossShardRequest, transaction: DistributedTransaction | null): void {
    const { host, portals } = this;
    const known = replaces(request) ? this.batch.parsesKnown : null;
    if (known !== null) {
      const text = `prepared statement "${known}" already exists`;
      host.refuse(new PgDogError('duplicate_prepared_statement', text));
      return;
    }
    if (replaces(request) && !isOfOneStatement(this.batch.taken)) {
      host.refuse(
        new PgDogError('cross_shard', `${request.what}, and other statements are prepared with it`),
      );
      return;
    }
    if (portals.takes(request, transaction !== null)) {
      if (isWhole(request)) {
        host.refuse(inPortions(request));
        return;
      }
      if (transaction !== null) portals.start(request, transaction, (failure) => host.done(failure));
      else portals.start(request, host.ownTransaction(), (failure) => this.ownAnswered(request, failure));
      return;
    }
    const problem = this.problemOf(request, transaction !== null);
    if (problem === null) host.run(request);
    else host.refuse(problem);
  }

  /** Of what is sent as it is; null: nothing against it. */
  private problemOf(request: CrossShardRequest, isInTransaction: boolean): PgDogError | null {
    const { batch } = this;
    if (isInTransaction) return this.portals.ownProblem;
    if (request.shards.length === 1 || batch.bound === null || !batch.endsAtFlush) return null;
    return new PgDogError('cross_shard', 'a batch without its Sync cannot go to several shards');
  }

  /** Portals that it closes: nothing else of it is asked of a shard. */
  closeAhead(then: () => void): void {
    this.portals.closeAhead(false, [], (failure) => {
      if (failure === null) then();
      else this.host.done(failure);
    });
  }

  /** Of the client's transaction, sent as it was. */
  answered(request: CrossShardRequest, { depth }: DistributedTransaction): void {
    if (!this.batch.isQuery) this.portals.noteOwn(request, depth);
  }

  private ownAnswered(request: CrossShardRequest, failure: Uint8Array | null): void {
    const { host, batch } = this;
    this.open = null;
    if (failure !== null) host.rollbackOwn(failure);
    else if (!batch.endsAtFlush) host.commitOwn();
    else {
      host.flushed();
      this.open = request;
      this.partBytes = 0;
      batch.begin(false, () => this.startPart());
    }
  }

  private startPart(): void {
    const { open, host } = this;
    if (open === null) return;
    host.goesOn();
    const transaction = host.ownTransaction();
    if (transaction.hasLostMember) this.fail(new PgDogError('server_lost'));
    else this.portals.start(open, transaction, (failure) => this.ownAnswered(open, failure));
  }

  /** A frame that is about to be taken. False: it ends the batch, and has been refused. */
  admits(type: number, frameBytes: number): boolean {
    if (this.open === null) return true;
    this.partBytes += frameBytes;
    if (PART_TYPES.has(type) && this.partBytes <= PART_BYTES_MAX) return true;
    // An error of the batch: what follows is skipped up to its Sync. A Query has its own end.
    this.batch.endsAtFlush = type !== FRONTEND.Query && type !== FRONTEND.FunctionCall;
    this.fail(
      new PgDogError(
        'cross_shard',
        'a batch with a portal that is open on several shards goes on with that alone',
        {
          hint: 'Send Sync first.',
        },
      ),
    );
    return false;
  }

  private fail(problem: PgDogError): void {
    this.open = null;
    this.host.rollbackOwn(errorFrame(problem));
  }

  /** The client has gone. */
  end(): void {
    this.open = null;
  }
}

/** Shards are sent something else than the statement of the client. */
function replaces({ split, filled, rewritten, edited, moved }: CrossShardRequest): boolean {
  const isOther = rewritten !== undefined || edited !== undefined || moved !== undefined;
  return split !== null || filled !== null || isOther;
}

/** What a row is answered with that a limited Execute of a write gives. */
export function portioned(): PgDogError {
  const text = 'rows that several shards have written cannot be fetched in portions';
  return new PgDogError('cross_shard', text, { hint: 'Ask for all of them at once, without a fetch size.' });
}
