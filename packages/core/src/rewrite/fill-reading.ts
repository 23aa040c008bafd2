/** Stands in the `sql` of a value for the number of rows that an execution has. */
export const ROW_COUNT = '{rows}';

/** What one server is asked for, so that all shards store the same. */
export interface FillValue {
  /** An expression without columns and parameters. */
  readonly sql: string;
  readonly type: string;
  /** Its number is the first shard's to give. */
  readonly isSequence: boolean;
  /** Of an identity column: a server takes it from the sequence without asking whether the user may. */
  readonly isIdentity?: boolean;
}

/** bytes[start, end) of a text become these, one behind the other. */
export interface FillEdit {
  readonly start: number;
  readonly end: number;
  readonly parts: readonly (string | FillValue)[];
}

/** A statement that would store something else on each shard, but for these. */
export interface FillReading {
  /** In the order of the text. */
  readonly edits: readonly FillEdit[];
  /** The parameter, from 1, whose array has an item for each row; absent: no value depends on their number. */
  readonly rowsOf?: number;
}

/** What is asked for, in the order of the text. */
export function valuesOf({ edits }: FillReading): FillValue[] {
  return edits.flatMap(({ parts }) => parts.filter((part) => typeof part !== 'string'));
}

/** The text of an edit with a text for each value. */
export function partsText(parts: FillEdit['parts'], textOf: (value: FillValue) => string): string {
  return parts.map((part) => (typeof part === 'string' ? part : textOf(part))).join('');
}
