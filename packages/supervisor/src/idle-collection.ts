import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** As much as may lie about, and no more than a part of what thousands of databases take anyhow. */
const GARBAGE_BYTES_MAX = 32 * 1024 * 1024;
/** So long after the last change there is likely to be no other one at once. */
const QUIET_MS = 10_000;

export interface IdleCollectionOptions {
  /** Collects all garbage of this thread; injected by tests. */
  collect?: () => void;
  heapBytes?: () => number;
}

/**
 * Each reload of thousands of databases leaves a megabyte of garbage. V8 lets it lie until there is four times as much as is in
 * use, for days where reloads are rare, and the process looks as if it leaked. So it is collected when some has come together and
 * nothing goes on: 50 ms or so of this thread, half of what a reload takes. Workers, which have heaps of their own, do not notice.
 */
export class IdleCollection {
  readonly #collect: () => void;
  readonly #heapBytes: () => number;
  #timer: NodeJS.Timeout | undefined;
  /** In use when it was collected last. */
  #usedBytes = 0;

  constructor({ collect = collectAll, heapBytes = heapUsed }: IdleCollectionOptions = {}) {
    this.#collect = collect;
    this.#heapBytes = heapBytes;
  }

  /** Something has been taken up, at start too: some seconds after the last of such. */
  later(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), QUIET_MS).unref();
  }

  #run(): void {
    if (this.#heapBytes() - this.#usedBytes < GARBAGE_BYTES_MAX) return;
    this.#collect();
    this.#usedBytes = this.#heapBytes();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}

function heapUsed(): number {
  return process.memoryUsage().heapUsed;
}

let collectNow: (() => void) | null = null;

/** Node has no call for it but this one. The flag is for contexts made while it is set: nobody else gets to see it. */
function collectAll(): void {
  if (collectNow === null) {
    setFlagsFromString('--expose-gc');
    collectNow = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
  }
  collectNow();
}
