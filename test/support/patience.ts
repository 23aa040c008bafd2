/**
 * How long a test waits for what must come. It is no measure of speed: a machine may run other things beside the tests. Less
 * than the time-outs that the program has when a test sets none, so that what a setting should end is not ended by these.
 */
export const PATIENCE_MS = 40_000;

/** What `coming` gives; fails with `what` when it does not come. */
export function soon<T>(what: string, coming: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${PATIENCE_MS} ms: ${what}`)), PATIENCE_MS);
  });
  return Promise.race([coming, late]).finally(() => clearTimeout(timer));
}

/**
 * Repeats `act` until it takes less than `limitMs`: who shares the machine with others is late at times, and what waits for
 * a time-out is late each time.
 */
export async function onceWithin(limitMs: number, what: string, act: () => Promise<void>): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const startMs = performance.now();
    await act();
    const nowMs = performance.now();
    if (nowMs - startMs < limitMs) return;
    if (nowMs > endMs) throw new Error(`never within ${limitMs} ms: ${what}`);
  }
}
