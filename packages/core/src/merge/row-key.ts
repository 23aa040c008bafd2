// ● per-frame path
import { keyOfColumn } from './column-order.js';
import { KeyBuffer } from './key-buffer.js';
import { NULL_SIZE } from './row-places.js';
import type { RowShape } from './row-shape.js';
import { sameBytes, type WriteValueKey } from './value-key.js';
import { typeName } from './value-types.js';

/** Columns of a row as one key: equal keys are rows that Postgres calls not distinct, NULL being like NULL. */
export class RowKey {
  /** The key written last. */
  readonly key = new KeyBuffer();
  readonly #columns: readonly number[];
  readonly #writers: readonly WriteValueKey[];
  /** Is a key the values themselves, each behind its size as in a DataRow? */
  readonly isValues: boolean;

  private constructor(columns: readonly number[], writers: readonly WriteValueKey[]) {
    this.#columns = columns;
    this.#writers = writers;
    this.isValues = writers.every((writer) => writer === sameBytes);
  }

  /** @param columns positions in the answer. @returns why rows cannot be told apart here, in words, if so */
  static of(shape: RowShape, columns: readonly number[]): RowKey | string {
    const writers: WriteValueKey[] = [];
    for (const column of columns) {
      const described = shape.columns[column];
      if (described === undefined) return `the answer has no column ${column + 1} to tell rows apart by`;
      const writer = keyOfColumn(described);
      if (writer === null) {
        return (
          `rows of several shards cannot be told apart by column "${described.name}" of ` +
          typeName(described.typeOid)
        );
      }
      writers.push(writer);
    }
    return new RowKey(columns, writers);
  }

  /**
   * Leaves the row's key in `key`.
   * @param places of placeValues(): start and size of every column
   * @returns false when a value is none of its type
   */
  write(bytes: Uint8Array, places: Int32Array): boolean {
    const { key } = this;
    key.length = 0;
    for (let index = 0; index < this.#columns.length; index++) {
      const at = places[2 * this.#columns[index]];
      const size = places[2 * this.#columns[index] + 1];
      if (size === NULL_SIZE) {
        key.int32(NULL_SIZE);
        continue;
      }
      const sizeAt = key.length;
      key.int32(0);
      if (!this.#writers[index](key, bytes, at, at + size)) return false;
      key.int32At(sizeAt, key.length - sizeAt - 4);
    }
    return true;
  }
}

/** Cells for placeValues() when all columns are wanted, column by column. */
export function allCells(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, column) => 2 * column);
}
