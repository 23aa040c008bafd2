/** One row of the micro bench's table. */
export interface MicroResult {
  name: string;
  nsPerOp: number;
  /** The same work gives the same hash: shows that it was done, and keeps V8 from leaving it out. */
  hash: number;
}

/** Long enough that a clock reading and a garbage collection do not show. */
const ROUND_MS = 120;
const QUICK_ROUND_MS = 5;
const ROUNDS = 5;
const WARM_UP_OPERATIONS = 2000;

/**
 * Times `work(count)`, which does `count` operations and returns a hash of what came out. The hash reported is that of
 * a fixed number of operations, so it is comparable between runs; the time is that of the fastest of five rounds.
 */
export function timeOperations(name: string, isQuick: boolean, work: (count: number) => number): MicroResult {
  const hash = work(WARM_UP_OPERATIONS);
  // Warms up again with its own loop count until a round is long enough to be timed.
  let count = WARM_UP_OPERATIONS;
  const roundMs = isQuick ? QUICK_ROUND_MS : ROUND_MS;
  for (let ms = timed(work, count); ms < roundMs; ms = timed(work, count)) count *= 2;
  let bestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) bestMs = Math.min(bestMs, timed(work, count));
  return { name, nsPerOp: (bestMs * 1e6) / count, hash };
}

/** Hashes of the timed rounds end up here, and it is exported: a result that nobody can read may be optimised away. */
export let sink = 0;

function timed(work: (count: number) => number, count: number): number {
  const start = process.hrtime.bigint();
  sink ^= work(count);
  return Number(process.hrtime.bigint() - start) / 1e6;
}

/**
 * As timeOperations() for work that runs a worker's loop, which pauses for Node now and then. It is asked for
 * multiples of `step` operations.
 */
export async function timeTurns(
  name: string,
  isQuick: boolean,
  step: number,
  work: (count: number) => Promise<number>,
): Promise<MicroResult> {
  let count = Math.ceil(WARM_UP_OPERATIONS / step) * step;
  const hash = await work(count);
  const roundMs = isQuick ? QUICK_ROUND_MS : ROUND_MS;
  for (let ms = await timedTurns(work, count); ms < roundMs; ms = await timedTurns(work, count)) count *= 2;
  let bestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) bestMs = Math.min(bestMs, await timedTurns(work, count));
  return { name, nsPerOp: (bestMs * 1e6) / count, hash };
}

async function timedTurns(work: (count: number) => Promise<number>, count: number): Promise<number> {
  const start = process.hrtime.bigint();
  sink ^= await work(count);
  return Number(process.hrtime.bigint() - start) / 1e6;
}
