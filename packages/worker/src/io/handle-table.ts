import type { IoSource } from './io-driver.js';

const INITIAL_COUNT = 256;

/**
 * The attached descriptors of a driver: parallel typed arrays indexed by handle, so that an event costs loads
 * at known offsets and allocates nothing. The driver gives the bits of `state` their meaning.
 */
export class HandleTable {
  sources: (IoSource | null)[] = [];
  fds: Int32Array = new Int32Array(INITIAL_COUNT);
  state: Int32Array = new Int32Array(INITIAL_COUNT);
  /** Counts the owners a handle had. Events carry it, so that one of an earlier owner is recognised. */
  generations: Int32Array = new Int32Array(INITIAL_COUNT);
  /** Length, or result, of the send in flight. */
  sendCounts: Int32Array = new Int32Array(INITIAL_COUNT);
  /** Place of the send in flight in the driver's order of sends. */
  sendPositions: Int32Array = new Int32Array(INITIAL_COUNT);
  /** Requests the kernel has and will complete. */
  outstanding: Int32Array = new Int32Array(INITIAL_COUNT);
  private free: number[] = [];
  private count: number = 0;

  take(fd: number, source: IoSource | null): number {
    const handle = this.free.length > 0 ? this.free.pop()! : this.count++;
    if (handle >= this.fds.length) this.grow();
    this.sources[handle] = source;
    this.fds[handle] = fd;
    this.state[handle] = 0;
    this.outstanding[handle] = 0;
    return handle;
  }

  /** After this the handle may be taken by another; events of the old owner no longer match its generation. */
  give(handle: number): void {
    this.sources[handle] = null;
    this.fds[handle] = -1;
    this.state[handle] = 0;
    this.generations[handle] = (this.generations[handle] + 1) | 0;
    this.free.push(handle);
  }

  private grow(): void {
    const length = this.fds.length * 2;
    this.fds = widened(this.fds, length);
    this.state = widened(this.state, length);
    this.generations = widened(this.generations, length);
    this.sendCounts = widened(this.sendCounts, length);
    this.sendPositions = widened(this.sendPositions, length);
    this.outstanding = widened(this.outstanding, length);
  }
}

function widened(array: Int32Array, length: number): Int32Array {
  const wider = new Int32Array(length);
  wider.set(array);
  return wider;
}
