/** Of rows that have a new key each, and go where it leads. */
export interface RoutedMove {
  /** Which of the columns it is. */
  readonly keyColumn: number;
  /** Rows with equal keys may be in each other's way. */
  readonly hasUniques: boolean;
}

/**
 * Rows that leave their shards for another one, as two statements beside the client's UPDATE: the shard where they go runs
 * the UPDATE as it is, for rows of it that stay there; the others delete what it means and give each row as the UPDATE would
 * have left it; and that is inserted where it goes.
 */
export interface MovePlan {
  /** DELETE … RETURNING, with the client's own parameters; the key as it was behind the columns, where `routed` is not null. */
  readonly deleteText: string;
  /** What it returns. Text depends on settings and is asked for only where binary means something else on another shard. */
  readonly columns: readonly { readonly isBinary: boolean }[];
  /** INSERT of one such row, as $1 to $n, with the client's RETURNING. */
  readonly insertText: string;
  /** null: all rows get the same key. Else no shard runs the UPDATE itself, for rows that stay on theirs leave it, too. */
  readonly routed: RoutedMove | null;
  /** RETURNING. */
  readonly givesRows: boolean;
}
