import {
  FRONTEND,
  FrameWriter,
  findInsertRows,
  findRowArrays,
  type PartialInsert,
  takeArrayRows,
  takeInsertRows,
} from '@pgdog-cluster/core';
import type { PreparedText } from '../shard/prepared-text.js';
import { bindFrame, bindParts } from './bind-parts.js';
import { unnamedBatch, unnamedParse } from './unnamed-batch.js';

const writer = new FrameWriter(4096);
const UNNAMED = Uint8Array.of(0);

/** An INSERT of several rows, as one statement for each shard that gets some of them. */
export class SplitInsert {
  /** Shard of each row. */
  readonly sequence: readonly number[];
  private readonly parts = new Map<number, PartialInsert>();
  /** Of the whole, as its Parse declares them. */
  private readonly types: readonly number[];

  private readonly arrays: number;

  private constructor(sequence: readonly number[], types: readonly number[], arrays: number) {
    this.sequence = sequence;
    this.arrays = arrays;
    this.types = types;
  }

  /**
   * @param text the whole statement
   * @param arrays so many have the rows (unnest()); 0: VALUES has
   * @returns null: its rows do not stand where they are looked for
   */
  static of(
    text: Text,
    types: readonly number[],
    sequence: readonly number[],
    arrays = 0,
  ): SplitInsert | null {
    const take =
      arrays === 0 ? valuesTaker(text, sequence.length) : arraysTaker(text, sequence.length, arrays);
    if (take === null) return null;
    const split = new SplitInsert(sequence, types, arrays);
    for (const [at, shard] of split.shards.entries()) {
      const chosen = sequence.flatMap((each, row) => (each === shard ? [row] : []));
      split.parts.set(shard, take(chosen, at === 0));
    }
    return split.usesAll ? split : null;
  }

  /** The same rows in a text that has been filled in. */
  of(bytes: Uint8Array): SplitInsert | null {
    const text = { bytes, textStart: 0, textEnd: bytes.length };
    return SplitInsert.of(text, this.types, this.sequence, this.arrays);
  }

  /** Of a parameter that no row has Postgres says that its type is not known; a part without it would not. */
  private get usesAll(): boolean {
    const used = new Set([...this.parts.values()].flatMap(({ parameters }) => parameters));
    return Math.max(-1, ...used) < used.size;
  }

  get shards(): number[] {
    return [...new Set(this.sequence)].sort((a, b) => a - b);
  }

  queryFrame(shard: number): Uint8Array {
    writer.reset().begin(FRONTEND.Query).bytes(this.part(shard).text).byte(0).end();
    return writer.take();
  }

  /** Frames of a batch up to its Sync, for one shard. */
  batchFrames(shard: number, frames: readonly Uint8Array[]): Uint8Array {
    return unnamedBatch(this.parseFrame(shard), frames, (frame) => this.bindFrame(shard, frame));
  }

  /** Of each parameter of a shard's statement, its number in the whole, from 0. */
  parametersOf(shard: number): readonly number[] {
    return this.part(shard).parameters;
  }

  private part(shard: number): PartialInsert {
    const part = this.parts.get(shard);
    if (part === undefined) throw new Error('a shard is asked that gets no rows');
    return part;
  }

  private parseFrame(shard: number): Uint8Array {
    const { text, parameters } = this.part(shard);
    const types = parameters.map((parameter) => this.types[parameter] ?? 0);
    return unnamedParse(text, types);
  }

  /** The same portal and result formats, with the parameters that this shard's rows have. */
  private bindFrame(shard: number, frame: Uint8Array): Uint8Array {
    const { parameters } = this.part(shard);
    const whole = bindParts(frame);
    if (whole === null) return frame;
    return bindFrame({
      ...whole,
      statement: UNNAMED,
      formats: parameters.map((parameter) => whole.formats[parameter] ?? 0),
      values: parameters.flatMap((parameter) => whole.values[parameter] ?? []),
    });
  }
}

type Text = Pick<PreparedText, 'bytes' | 'textStart' | 'textEnd'>;
/** @param isFirst of the shards that get some */
type Taker = (chosen: readonly number[], isFirst: boolean) => PartialInsert;

function valuesTaker({ bytes, textStart, textEnd }: Text, count: number): Taker | null {
  const rows = findInsertRows(bytes, textStart, textEnd);
  if (rows === null || rows.starts.length !== count) return null;
  return (chosen) => takeInsertRows(bytes, textStart, textEnd, rows, chosen);
}

function arraysTaker({ bytes, textStart, textEnd }: Text, count: number, arrays: number): Taker | null {
  const place = findRowArrays(bytes, textStart, textEnd);
  if (place === null) return null;
  return (chosen, hasRest) =>
    takeArrayRows(bytes, textStart, textEnd, place, arrays, { chosen, count, hasRest });
}

/** Types that a Parse declares. */
export function declaredTypes({ bytes, typesStart, typeCount }: PreparedText): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: typeCount }, (_, index) => view.getUint32(typesStart + 4 * index));
}
