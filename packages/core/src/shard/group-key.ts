import type { PartialColumn, Piece } from './partial-columns.js';
import type { Top } from './query-reading.js';
import type { ShownColumn } from './shard-scope.js';
import { isDeterministic, isOfOneScaleAs } from './value-facts.js';

/** What a group is told apart by. */
export interface GroupKey extends Piece {
  /** Where it is a plain column. */
  readonly column: ShownColumn | null;
  /** Of its tree, by NodeIds. */
  readonly id: number;
}

/** What keys must be, where their type is not known. */
export function keyPlain({ column, node }: GroupKey, { level }: Top): PartialColumn['plain'] {
  if (column?.type != null) return null;
  const isOfOneScale = isOfOneScaleAs(node, level);
  const mayBeText = isDeterministic(node, level);
  return { mayBeText, mayBeInexact: isOfOneScale, mayBeFloat: isOfOneScale };
}
