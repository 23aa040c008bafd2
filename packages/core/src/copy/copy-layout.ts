/** How the rows of one COPY FROM STDIN are written, and which of their fields say where they go. */
export interface CopyLayout {
  readonly format: 'text' | 'csv' | 'binary';
  /** ASCII bytes; `quote` and `escape` are of csv. */
  readonly delimiter: number;
  readonly quote: number;
  readonly escape: number;
  /** In ASCII. */
  readonly nullText: string;
  /** What stands for a column's default; null: nothing does. */
  readonly defaultText: string | null;
  readonly hasHeader: boolean;
  /** ENCODING; null: that of the client. */
  readonly encoding: string | null;
  /** Of a row. */
  readonly columnCount: number;
  /** null: every shard gets every row. */
  readonly key: CopyKeyField | null;
  /** Fields of a date or a time, which may be written as 'now'. */
  readonly times: readonly number[];
}

/** The sharding key among the fields of a row. */
export interface CopyKeyField {
  /** Position in ShardingSnapshot.tables. */
  readonly rule: number;
  /** For messages: `orders.customer_id`. */
  readonly label: string;
  readonly index: number;
  /** Of varchar(n): n; Infinity: any number. */
  readonly charactersMax: number;
  /** FORCE_NULL: quoted, it may be NULL all the same. */
  readonly isNullForced: boolean;
  /** FORCE_NOT_NULL: it never is. */
  readonly isNullBarred: boolean;
}

/** Why a COPY cannot go on: the data are malformed, a row is too long to be placed, or its place is not known. */
export interface CopyProblem {
  readonly kind: 'malformed' | 'tooLong' | 'unplaced';
  readonly text: string;
  /** In which line of the data, or in binary in which row, from 1. */
  readonly line: number;
}
