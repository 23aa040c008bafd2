import { withEdits } from '@pgdog-cluster/core';
import type { PreparedText } from '../shard/prepared-text.js';
import type { TextEdit } from './cross-shard-request.js';
import { declaredTypes } from './split-insert.js';
import { unnamedBatch, unnamedParse } from './unnamed-batch.js';

/** A statement that was prepared with the numbers of LIMIT and OFFSET in its text: shards are asked for others. */
export class EditedStatement {
  private readonly parse: Uint8Array;

  constructor({ bytes, textStart, textEnd, ...rest }: PreparedText, edits: readonly TextEdit[]) {
    const types = declaredTypes({ bytes, textStart, textEnd, ...rest });
    this.parse = unnamedParse(withEdits(bytes, textStart, textEnd, edits), types);
  }

  /** Frames of a batch up to its Sync. */
  batchFrames(frames: readonly Uint8Array[]): Uint8Array {
    return unnamedBatch(this.parse, frames);
  }
}
