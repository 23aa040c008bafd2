/** Where COPY FROM STDIN begins and ends in what several shards are asked. */
import type { PgDogError } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { copyShapeProblem } from './agree.js';
import { CopyIn } from './copy-in.js';
import type { CopyRequest } from './cross-shard-request.js';
import type { DistributedTransaction } from './distributed-transaction.js';
import { errorFrame, withContext } from './error-frame.js';
import type { Leg } from './leg.js';
import type { Scatter } from './scatter.js';

/** Every leg waits for data: the client is asked for them. @returns why it is not */
export function beginCopy(
  session: Session,
  scatter: Scatter,
  request: CopyRequest | null,
  legs: readonly Leg[],
  frames: readonly Uint8Array[],
): PgDogError | null {
  const [first] = frames;
  const problem = copyShapeProblem(frames, request?.layout ?? null);
  if (problem !== null) return problem;
  scatter.copying = new CopyIn(session, legs, request, (error) => scatter.fail(errorFrame(error)));
  session.passBytes(first, 0, first.length);
  // What has been sent ahead waits; nothing may go to a leg whose answer is being shown.
  session.context.sharded.postpone(() => {
    if (session.phase !== 'closed') session.resumeRequests();
  });
  return null;
}

/** The data have been taken, or (`failure`) not. @returns the failure, with what is known here */
export function endCopy(
  scatter: Scatter,
  transaction: DistributedTransaction | null,
  failure: Uint8Array | null,
): Uint8Array | null {
  const { copying, failedShard } = scatter;
  scatter.copying = null;
  if (copying === null) return failure;
  copying.stop();
  const { problem } = copying;
  if (failure === null) {
    for (const leg of copying.written) transaction?.noteWrite(leg);
    return problem === null ? null : errorFrame(problem);
  }
  if (!copying.isSplit || failedShard < 0) return failure;
  const where = `Lines are counted among those for shard ${failedShard}.`;
  return withContext(failure, problem === null ? where : `${where} Of all data: ${problem.message}`);
}
