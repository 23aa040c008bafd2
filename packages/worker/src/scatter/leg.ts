import { BACKEND, type PgDogError, type SqlPlan, SYNC } from '@pgdog-cluster/core';
import type { Cluster } from '../route/cluster.js';
import type { Session } from '../session/session.js';
import type { FrameSink } from '../wire/frame-stream.js';
import { COPY_END, type CopyEnd } from './copy-end.js';
import { LegSession } from './leg-session.js';

const HEADER_BYTES = 5;
/** Longer rows stream through, while all others wait. */
const WHOLE_BYTES = 64 * 1024;
/** A row that is compared with others must be whole; each shard's next one is kept. */
const MERGED_BYTES_MAX = 16 * 1024 * 1024;

/** Whom a leg tells what its shard says. */
export interface LegReader {
  /** Rows need not be whole. */
  readonly passesLongRows: boolean;
  frame(
    leg: Leg,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number;
  restOf(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number, isLast: boolean): void;
  /** What it was asked has been done, or waits for its answers to be read. */
  passed(leg: Leg, hasError: boolean): void;
  /** Its server waits for data of COPY. */
  copyBegan(leg: Leg): void;
  /** Its server connection has taken what was queued. */
  drained(): void;
  /** It has a server connection, for which it has waited. */
  served(leg: Leg, waitedUs: number): void;
  /** Its server connection was lost, and it asks another one. */
  retried(leg: Leg): void;
  /** It has waited in vain for a server connection that was to be taken. */
  refused(error: PgDogError): void;
  /** The one that was taken was lost. */
  takenLost(): void;
  /** Its session has ended, by itself or by us. */
  gone(leg: Leg): void;
  violated(leg: Leg, reason: string): void;
}

/** One shard's part of a scatter. */
export class Leg implements FrameSink {
  readonly shard: number;
  readonly session: LegSession;
  private readonly reader: LegReader;
  /** A frame that all legs must have before it goes to the client, whole. */
  pending: Uint8Array | null = null;
  /** ReadyForQuery has come, or there is nothing more to come. */
  isReady = true;
  /** ReadyForQuery to come of statements that went ahead. */
  aheadCount = 0;
  private isCancelDue = false;
  /** ReadyForQuery that its server owes. */
  private owedCount = 0;
  /** Of the last ReadyForQuery. */
  readyStatus = 0;
  /** BindComplete of what the client asks under way. */
  bindCount = 0;
  /** Of the last statement that was ordered. */
  orderTag = '';
  /** The row that is next in order: head[0, headSize), its whole DataRow. */
  head: Uint8Array = new Uint8Array(0);
  headSize = 0;
  hasHead = false;
  isGone = false;
  /** Its server waits for data of COPY, and has not been told their end. */
  private isCopying = false;
  /** What it was asked is a batch. */
  private isBatch = false;

  constructor(client: Session, shard: number, cluster: Cluster, reader: LegReader) {
    this.shard = shard;
    this.reader = reader;
    this.session = new LegSession(client, shard, cluster, this, {
      onAnswered: (hasError) => {
        this.owedCount--;
        if (this.owedCount === 0) reader.passed(this, hasError);
      },
      onFull: () => reader.passed(this, false),
      onCopyIn: () => {
        this.isCopying = true;
        reader.copyBegan(this);
      },
      onDrained: () => reader.drained(),
      onServed: (waitedUs) => reader.served(this, waitedUs),
      onRetried: () => reader.retried(this),
      onRefused: (error) => reader.refused(error),
      onTakenLost: () => reader.takenLost(),
      isIdle: () => this.isReady,
      onGone: () => {
        this.isGone = true;
        reader.gone(this);
      },
    });
  }

  /**
   * @param aheadCount statements of ours at the beginning of `frames`, of whose answers the client hears nothing
   * @param plan of the one Query that `frames` is; null: it is read
   */
  begin(frames: Uint8Array, aheadCount = 0, isBatch = false, plan: SqlPlan | null = null): void {
    if (this.isGone) {
      this.reader.gone(this);
      return;
    }
    this.pending = null;
    this.hasHead = false;
    this.isCopying = false;
    this.isBatch = isBatch;
    this.isReady = false;
    this.aheadCount = aheadCount;
    this.isCancelDue = false;
    this.owedCount = aheadCount + 1;
    this.session.prepare();
    this.session.ask(frames, plan);
  }

  /** One of the statements that went ahead has been answered. */
  aheadAnswered(): void {
    this.aheadCount--;
    if (this.aheadCount > 0 || !this.isCancelDue) return;
    this.isCancelDue = false;
    this.session.cancel();
  }

  /** Not of BEGIN: what stands behind it would be done by itself. */
  cancel(): void {
    if (this.aheadCount > 0 && this.session.server !== null) this.isCancelDue = true;
    else this.session.cancel();
  }

  /** bytes[start, end) is a CopyData. */
  sendCopy(bytes: Uint8Array, start: number, end: number): void {
    if (this.isCopying) this.session.copy(bytes, start, end);
  }

  /** The Sync of a batch was read past: what ends the data has another. */
  endCopy({ plain, inBatch }: CopyEnd): void {
    if (!this.isCopying) return;
    this.isCopying = false;
    this.session.ask(this.isBatch ? inBatch : plain);
  }

  /** Some shard has failed, `isItself`: this one, which reads past everything up to a Sync. */
  abortCopy(isItself: boolean): void {
    if (!isItself) this.endCopy(COPY_END.failed);
    else if (this.isBatch) this.endCopy({ plain: SYNC, inBatch: SYNC });
    this.isCopying = false;
  }

  beginOrder(): void {
    this.isReady = false;
    this.orderTag = '';
  }

  /** Keeps a row until its turn comes. */
  keepHead(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    // exempt: grows to the longest row
    if (this.head.length < size) this.head = new Uint8Array(Math.max(256, 2 * size));
    for (let i = 0; i < size; i++) this.head[i] = bytes[start + i];
    this.headSize = size;
    this.hasHead = true;
  }

  headBytes(type: number, frameBytes: number): number {
    const streams = type === BACKEND.DataRow || type === BACKEND.CopyData;
    const wholeBytesMax = this.reader.passesLongRows ? WHOLE_BYTES : MERGED_BYTES_MAX;
    return streams && frameBytes > wholeBytesMax ? HEADER_BYTES : frameBytes;
  }

  onFrame(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    return this.reader.frame(this, type, bytes, start, end, buffer, frameBytes);
  }

  onRest(bytes: Uint8Array, start: number, end: number, buffer: number, isLast: boolean): void {
    this.reader.restOf(this, bytes, start, end, buffer, isLast);
  }

  onChunkEnd(): void {}

  onViolation(reason: string): void {
    this.reader.violated(this, reason);
  }
}
