import type { Refusal } from '../shard/shard-context.js';

/** What the proxy makes, each time a statement runs. */
export type MadeKind = 'uniqueId' | 'uuid';

/** bytes[start, end) of a text become `before`, the value (a literal or a parameter), `after`. */
export interface MadeEdit {
  readonly start: number;
  readonly end: number;
  readonly before: string;
  /** null: none, `before` is all. */
  readonly value: MadeKind | null;
  readonly after: string;
}

/** What of a text is the proxy's to fill in, anew with each execution. */
export interface MadeReading {
  /** In the order of the text. */
  readonly edits: readonly MadeEdit[];
  /** null: they may be made; else why not, and what to do instead. */
  readonly refusal: Refusal | null;
  /** Parameters, from 1, whose declared types must be such that each is what it is whatever stands beside it. */
  readonly alike?: readonly (readonly number[])[];
}
