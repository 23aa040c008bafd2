/**
 * Time as an argument. Monotonic: never set back, not the time of day (for that: Date.now()).
 * Fractional values are normal; who stores them in Int32 cells truncates.
 */
export interface Clock {
  /** Milliseconds. */
  nowMs(): number;
  /** Microseconds. */
  nowUs(): number;
}

/**
 * performance.now() counts from the start of its own thread, so two workers' values cannot be compared, and
 * waiting times are compared between workers in shared memory. Shifting it onto the machine's monotonic
 * clock, once per thread, makes them comparable to within some microseconds; reading hrtime each time
 * instead would allocate an array or a BigInt.
 */
function machineOffsetMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6 - performance.now();
}

const offsetMs = machineOffsetMs();

/** The real clock: CLOCK_MONOTONIC, the same scale in every thread of the process. */
export const systemClock: Clock = {
  nowMs: () => performance.now() + offsetMs,
  nowUs: () => (performance.now() + offsetMs) * 1000,
};

/** A clock that stands still until it is told otherwise, for tests and replays. */
export class ManualClock implements Clock {
  #nowUs: number;

  constructor(startMs = 0) {
    this.#nowUs = startMs * 1000;
  }

  nowMs(): number {
    return this.#nowUs / 1000;
  }

  nowUs(): number {
    return this.#nowUs;
  }

  advanceMs(durationMs: number): void {
    this.#nowUs += durationMs * 1000;
  }
}
