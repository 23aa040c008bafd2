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
 * Repeats `act`, up to five times, where it fails by a time-out that was not meant for it: a machine that stands still for a while
 * lets any of them pass. What is at fault fails each time. `isLate`: of the code and the text of the error.
 */
export async function unhurried<T>(isLate: RegExp, act: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round++) {
    try {
      return await act();
    } catch (error) {
      const { code = '', message = '' } = error as { code?: string; message?: string };
      if (round === 5 || !isLate.test(`${code} ${message}`)) throw error;
    }
  }
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
