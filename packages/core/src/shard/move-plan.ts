/**
 * Rows that leave their shards for another one, as two statements beside the client's UPDATE: the shard where they go runs
 * the UPDATE as it is, for rows of it that stay there; the others delete what it means and give each row as the UPDATE would
 * have left it; and that is inserted where it goes.
 */
export interface MovePlan {
  /** DELETE … RETURNING, with the client's own parameters. */
  readonly deleteText: string;
  /** What it returns. Text depends on settings and is asked for only where binary means something else on another shard. */
  readonly columns: readonly { readonly isBinary: boolean }[];
  /** INSERT of one such row, as $1 to $n, with the client's RETURNING. */
  readonly insertText: string;
  /** RETURNING. */
  readonly givesRows: boolean;
}
