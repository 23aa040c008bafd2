import type { PgDogError, SettingNeed } from '@pgdog-cluster/core';
import type { Leg } from './leg.js';

/** What goes to the client. */
export interface MergeOutput {
  pass(bytes: Uint8Array, start: number, end: number, buffer: number): void;
  /** A CommandComplete, whole. */
  complete(frame: Uint8Array): void;
  /** Whether the session has a setting as a merge needs it. */
  isMet(need: SettingNeed): boolean;
  /** Rows that were kept have been given: legs that wait at a frame may meet. */
  tryMeet(): void;
  /** The client does not read: it is told when it does again. */
  readonly isFull: boolean;
  /** When others have had their turn. */
  later(work: () => void): void;
  /** Of a question of ours, asked of one shard when all have answered: the values of its one row. Else the answer is an error. */
  ask(sql: string, then: (values: readonly (string | null)[]) => void): void;
  /** What took several turns is done, or there is a problem. */
  worked(): void;
}

/** Makes one answer of what the shards say. One per scatter. */
export interface RowMerger {
  /** Rows that are longer than a buffer may pass in pieces. */
  readonly passesLongRows: boolean;
  /** What has gone wrong; null: nothing. */
  readonly problem: PgDogError | null;
  /** What the legs met for takes several turns: they wait. Absent: it never does. */
  readonly isWorking?: boolean;
  /** CommandComplete, kept until what it tells is certain: what comes behind it waits, too. Absent, null: none is. */
  readonly heldTag?: Uint8Array | null;
  begin(legs: readonly Leg[]): void;
  /** bytes[start, end) is a DataRow's or CopyData's frame, or the head of a long one. CONSUMED, or BLOCKED until it is its turn. */
  row(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number): number;
  /** A leg has come to a frame that is no row, `leg.pending`. */
  legMeets(leg: Leg): void;
  /** Of a merger that takes what each leg says by itself, bytes[start, end) being no row: none waits for the others. */
  said?(leg: Leg, bytes: Uint8Array, start: number, end: number): void;
  /** Whether the client gets a leg's NoticeResponse, bytes[start, end). Absent: each. */
  isNews?(leg: Leg, bytes: Uint8Array, start: number, end: number): boolean;
  /** All have: the frames, by leg, for the client to have one of. */
  meet(type: number, frames: readonly Uint8Array[]): void;
  /** The client has read what was queued. */
  drained?(): void;
  /** There is nobody any more to get an answer. */
  stop?(): void;
}
