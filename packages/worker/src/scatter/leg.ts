import { BACKEND } from '@pgdog-cluster/core';
import type { Cluster } from '../route/cluster.js';
import type { Session } from '../session/session.js';
import type { FrameSink } from '../wire/frame-stream.js';
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
  /** ReadyForQuery that its server owes. */
  private owedCount = 0;
  /** Of the last ReadyForQuery. */
  readyStatus = 0;
  /** The row that is next in order: head[0, headSize), its whole DataRow. */
  head: Uint8Array = new Uint8Array(0);
  headSize = 0;
  hasHead = false;
  isGone = false;

  constructor(client: Session, shard: number, cluster: Cluster, reader: LegReader) {
    this.shard = shard;
    this.reader = reader;
    this.session = new LegSession(client, shard, cluster, this, {
      onAnswered: (hasError) => {
        this.owedCount--;
        if (this.owedCount === 0) reader.passed(this, hasError);
      },
      onFull: () => reader.passed(this, false),
      isIdle: () => this.isReady,
      onGone: () => {
        this.isGone = true;
        reader.gone(this);
      },
    });
  }

  /** @param aheadCount statements of ours at the beginning of `frames`, of whose answers the client hears nothing */
  begin(frames: Uint8Array, aheadCount = 0): void {
    if (this.isGone) {
      this.reader.gone(this);
      return;
    }
    this.pending = null;
    this.hasHead = false;
    this.isReady = false;
    this.aheadCount = aheadCount;
    this.owedCount = aheadCount + 1;
    this.session.prepare();
    this.session.ask(frames);
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
