const NOBODY = 0;

/**
 * Which worker owns which descriptor, so that they can be closed when its thread dies: they are raw numbers,
 * nobody else will. A worker registers all it opens: sockets, its ring or epoll descriptor.
 *
 * The cell must be cleared BEFORE close(2). The kernel gives the lowest free number to whoever asks next,
 * on any thread; cleared after, the clear would wipe the entry of the new owner.
 */
export class FdTable {
  readonly #cells: Int32Array;
  readonly #fdMax: number;

  constructor(buffer: SharedArrayBuffer, fdMax: number) {
    this.#cells = new Int32Array(buffer);
    this.#fdMax = fdMax;
  }

  /** Atomic, as clear(): the number may have been another thread's a moment ago, and the two stores must not swap. */
  setOwner(fd: number, worker: number): void {
    this.#check(fd);
    Atomics.store(this.#cells, fd, worker + 1);
  }

  /** Before close(2), never after. */
  clear(fd: number): void {
    this.#check(fd);
    Atomics.store(this.#cells, fd, NOBODY);
  }

  /** -1 = nobody. */
  owner(fd: number): number {
    this.#check(fd);
    return Atomics.load(this.#cells, fd) - 1;
  }

  /** Ascending. Walks the table: a millisecond for a million descriptors, after a crash only. */
  owned(worker: number): number[] {
    const fds: number[] = [];
    for (let fd = 0; fd < this.#fdMax; fd++) {
      if (this.#cells[fd] === worker + 1) fds.push(fd);
    }
    return fds;
  }

  #check(fd: number): void {
    if (!(fd >= 0 && fd < this.#fdMax))
      throw new RangeError(`descriptor ${fd} is outside 0..${this.#fdMax - 1}`);
  }
}
