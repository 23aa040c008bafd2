import type { Session } from '../session/session.js';
import type { DistributedTransaction } from './distributed-transaction.js';

/** Whoever has the transaction. */
export interface PiecesHost {
  /** Over several shards: the client's, or the batch's own. */
  readonly transaction: DistributedTransaction | null;
  /** Begins one of the batch's own. */
  begin(): void;
  /** The batch's own is over. `failure`: ErrorResponse for the client, instead of what its COMMIT would have kept. */
  ended(failure: Uint8Array | null): void;
}

/**
 * A batch whose statements are for different shards, as drivers send them that put many into one round trip: taken in pieces,
 * each one statement with what belongs to it, and answered before the next, without a ReadyForQuery. Up to its Sync a batch is one transaction: the
 * client's, or one of its own over several shards, which ends with the Sync. Statements of one Query are taken likewise, each as
 * a Query of its own.
 */
export class BatchPieces {
  private readonly session: Session;
  private readonly host: PiecesHost;
  /** What the client sends, up to its Sync, is such a batch. */
  isOn = false;
  private isOwn = false;
  /** Queries that were made of one, and are about to be shown instead of it. */
  isDue = false;
  /** What is shown are such Queries. */
  isOfQuery = false;
  /** Frames of the piece to come, as far as it could be read ahead, and Bind that it may have. */
  framesLeft = Number.POSITIVE_INFINITY;
  bindsLeft = Number.POSITIVE_INFINITY;
  /** Where its statements are, in order, as far as they could be read ahead. */
  places: readonly number[] = [];

  constructor(session: Session, host: PiecesHost) {
    this.session = session;
    this.host = host;
  }

  begin(places: readonly number[]): void {
    this.isOn = true;
    this.isOwn = false;
    this.isOfQuery = false;
    this.places = places;
  }

  /** @param isLong what it binds could not be read to its end: it may bind nothing else */
  beginPiece(frameCount: number, isLong = false): void {
    this.framesLeft = frameCount;
    this.bindsLeft = isLong ? 1 : Number.POSITIVE_INFINITY;
  }

  get isOwnTransaction(): boolean {
    return this.isOn && this.isOwn;
  }

  /**
   * @param frames Queries and a Sync, instead of one of `sizeBytes` that is being shown
   * @param places where they are
   */
  beginQueries(frames: Uint8Array, sizeBytes: number, places: readonly number[]): void {
    const { session } = this;
    this.begin(places);
    this.isOfQuery = true;
    this.isDue = true;
    session.context.sharded.postpone(() => {
      this.isDue = false;
      if (session.phase !== 'ready') return;
      session.tap?.again(sizeBytes);
      session.stream.prepend(frames);
      session.resumeRequests();
    });
  }

  /** No transaction is open in which the next piece could run. */
  beginOwn(): void {
    this.isOwn = true;
    this.host.begin();
  }

  /** Its Sync. Answers ReadyForQuery, at once or when the batch's own transaction has ended. */
  end(): void {
    const { host, session, isOwn } = this;
    const { transaction } = host;
    this.isOn = false;
    this.isOwn = false;
    if (!isOwn || transaction === null) {
      session.router?.settled();
      session.sendReady();
    } else if (transaction.hasFailed) transaction.rollback(() => host.ended(null));
    else transaction.commit((failure) => host.ended(failure));
  }
}
