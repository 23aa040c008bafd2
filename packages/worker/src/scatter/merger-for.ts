import type { BatchFrames } from './batch-frames.js';
import type { CrossShardRequest } from './cross-shard-request.js';
import { FirstMerger } from './first-merger.js';
import { MergeState } from './merge-state.js';
import { PlanMerger } from './plan-merger.js';
import { RewriteMerger } from './rewrite-merger.js';
import type { Awaited } from './rewritten-statement.js';
import { RowCount } from './row-count.js';
import type { RowMerger } from './row-merger.js';
import type { Scatter } from './scatter.js';
import { SplitMerger } from './split-merger.js';

/** What makes one answer of those to a request. @param holdsTag CommandComplete is kept until what it tells is certain */
export function mergerFor(
  scatter: Scatter,
  batch: BatchFrames,
  request: CrossShardRequest,
  awaited: readonly Awaited[],
  holdsTag: boolean,
): RowMerger & { heldTag: Uint8Array | null } {
  const { plan, split, cursor, filled, rewritten, edited } = request;
  if (split !== null) return new SplitMerger(scatter, split, !batch.hasParse, holdsTag);
  const isOwnParse = (filled !== null || edited !== undefined) && !batch.hasParse;
  if (plan === null || cursor?.kind === 'declare') return new FirstMerger(scatter, holdsTag, isOwnParse);
  const withheld = { shape: batch.isOwnDescribe, parse: isOwnParse, tag: holdsTag };
  const count = plan.counts === undefined ? null : new RowCount();
  const merger = new PlanMerger(scatter, new MergeState(plan.counts ?? plan, request), withheld, count);
  return rewritten === undefined ? merger : new RewriteMerger(scatter, merger, rewritten, awaited);
}
