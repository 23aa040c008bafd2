/**
 * How long a test waits for what must come. It is no measure of speed: a machine may run other things beside the tests. Less
 * than the default of shutdown_timeout and client_login_timeout (60 s), so that what a setting of theirs should end is not ended by
 * these. The time-outs of a few seconds (connecting, checkout, checks, cancels) are shorter: a test of one of them bounds it itself.
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
