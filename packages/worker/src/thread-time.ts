import { CLOCK_THREAD_CPUTIME_ID, clockGetTime } from './io/libc.js';

/** struct timespec: seconds, nanoseconds. */
const timespec = new BigInt64Array(2);

/**
 * How much CPU this thread has had, microseconds, in the kernel too. Most of what a worker does is sending and receiving, which
 * io_uring does within the call that waits for what comes next: no clock around that call tells the one from the other.
 */
export function threadCpuUs(): number {
  clockGetTime(CLOCK_THREAD_CPUTIME_ID, timespec);
  return Number(timespec[0]) * 1e6 + Math.floor(Number(timespec[1]) / 1000);
}
