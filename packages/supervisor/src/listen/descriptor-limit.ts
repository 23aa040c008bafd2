import { FD_MAX_DEFAULT } from '@pgdog-cluster/core';
import { getrlimit, RLIMIT_NOFILE, setrlimit } from './libc.js';

/** Our own files, rings, eventfds, libuv's pipes, log and metrics sockets; generous, per thread. */
const DESCRIPTORS_PER_THREAD = 32;

export interface DescriptorLimit {
  /** Descriptors this process may open now; their numbers are below it. */
  limit: number;
  /** What it was when we started. */
  before: number;
  /** Connections, of clients and servers together, that this leaves room for. */
  connectionsMax: number;
}

/**
 * Raises RLIMIT_NOFILE to the hard limit, but not above what the descriptor table has cells for (some systems
 * say a thousand million). Never fails: where it may not be raised, it stays.
 */
export function raiseDescriptorLimit(workers: number): DescriptorLimit {
  const limits = new BigUint64Array(2);
  if (getrlimit(RLIMIT_NOFILE, limits) !== 0) {
    return { limit: FD_MAX_DEFAULT, before: FD_MAX_DEFAULT, connectionsMax: FD_MAX_DEFAULT };
  }
  const [soft, hard] = limits;
  const wanted = hard < BigInt(FD_MAX_DEFAULT) ? hard : BigInt(FD_MAX_DEFAULT);
  // Lowered too when it is above the table: then accept() refuses with EMFILE instead of us with an assertion.
  limits[0] = wanted;
  const isSet = setrlimit(RLIMIT_NOFILE, limits) === 0;
  const limit = Number(isSet || soft > BigInt(FD_MAX_DEFAULT) ? wanted : soft);
  const before = Number(soft > BigInt(Number.MAX_SAFE_INTEGER) ? BigInt(Number.MAX_SAFE_INTEGER) : soft);
  const connectionsMax = Math.max(0, limit - DESCRIPTORS_PER_THREAD * (workers + 1));
  return { limit, before, connectionsMax };
}
