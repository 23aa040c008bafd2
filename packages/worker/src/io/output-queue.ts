import { copyBytes } from './copy-bytes.js';
import { SEND_VECTOR_MAX } from './io-driver.js';
import { BIG_BYTES, type KernelMemory, SMALL_BYTES } from './kernel-memory.js';

/** Slices up to this size are copied together rather than sent as a vector: cheaper than the kernel's look at each. */
const MERGE_SLICE_BYTES_MAX = 2048;
/** Small spilled pieces share arrays of this size. */
const SPILL_CHUNK_BYTES = 4096;
/** A queue that grew longer than this is dropped when it runs empty: three numbers a slice. */
const KEPT_LENGTH_MAX = 48;
/** In place of a buffer index: the slice is in the first, second, ... of `chunks`, in order. */
const SPILLED = -1;

/** What gather() found, for one call of the driver. One per thread: it is read at once. */
export const gathered = {
  offsets: new Int32Array(SEND_VECTOR_MAX),
  lengths: new Int32Array(SEND_VECTOR_MAX),
};

/**
 * Bytes on their way to one socket, in order: slices (buffer, start, end) of kernel memory, each holding one
 * reference, and where that is scarce, of garbage-collected arrays ("spilled").
 *
 *   slices[head .. head + 3*inFlightSlices) are in the kernel's hands; [.. tail) wait.
 *   0 <= head <= tail <= slices.length, all multiples of 3
 */
export class OutputQueue {
  queuedBytes: number = 0;
  inFlightBytes: number = 0;
  private inFlightSlices: number = 0;
  private slices: number[] | null = null;
  private head: number = 0;
  private tail: number = 0;
  /** Where the last slice may grow to, or 0 when it may not. */
  private stagingLimit: number = 0;
  private chunks: Uint8Array[] | null = null;
  /** Kernel memory that spilled bytes in flight were copied to, or -1. */
  private transientBuffer: number = -1;

  get waitingBytes(): number {
    return this.queuedBytes - this.inFlightBytes;
  }

  /** Adds bytes of a buffer, which is retained. */
  pushSlice(memory: KernelMemory, buffer: number, start: number, end: number): void {
    const length = end - start;
    if (length <= MERGE_SLICE_BYTES_MAX && this.stagingLimit > 0) {
      if (this.slices![this.tail - 1] + length <= this.stagingLimit) {
        this.appendToLast(memory.bytes, memory.bytes, start, end);
        return;
      }
    }
    memory.retain(buffer);
    this.append(buffer, start, end);
  }

  /** Adds a copy of source[start, end). */
  pushCopy(memory: KernelMemory, source: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const room = this.room(memory, end - at);
      if (room === 0) {
        this.pushSpilled(source, at, end);
        return;
      }
      const stop = Math.min(end, at + room);
      this.appendToLast(memory.bytes, source, at, stop);
      at = stop;
    }
  }

  /**
   * Room at the end for bytes that somebody else writes there, from `tailOffset` on; grew() says how many came.
   * `wantedBytes` chooses the size of a new buffer. 0 when kernel memory has none left.
   */
  room(memory: KernelMemory, wantedBytes: number): number {
    if (this.stagingLimit > 0) {
      const left = this.stagingLimit - this.slices![this.tail - 1];
      if (left > 0) return left;
    }
    const buffer = this.stagingBuffer(memory, wantedBytes);
    if (buffer < 0) return 0;
    const first = memory.start(buffer);
    this.append(buffer, first, first);
    this.stagingLimit = first + memory.capacity(buffer);
    return memory.capacity(buffer);
  }

  get tailOffset(): number {
    return this.slices![this.tail - 1];
  }

  grew(length: number): void {
    this.slices![this.tail - 1] += length;
    this.queuedBytes += length;
  }

  /** Adds a copy of source[start, end) in garbage-collected memory. */
  pushSpilled(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.chunks ??= [];
    const chunks = this.chunks;
    if (this.tail > this.head && this.slices![this.tail - 3] === SPILLED && !this.isLastInFlight) {
      const last = chunks[chunks.length - 1];
      const used = this.slices![this.tail - 1];
      if (used + length <= last.length) {
        last.set(source.subarray(start, end), used);
        this.slices![this.tail - 1] = used + length;
        this.queuedBytes += length;
        return;
      }
    }
    const chunk = new Uint8Array(Math.max(length, SPILL_CHUNK_BYTES));
    chunk.set(source.subarray(start, end));
    chunks.push(chunk);
    this.append(SPILLED, 0, length);
  }

  /** Moves what waits to garbage-collected memory and frees its buffers. */
  spill(memory: KernelMemory): void {
    const slices = this.slices;
    if (slices === null) return;
    const first = this.head + this.inFlightSlices * 3;
    let heldCount = 0;
    for (let i = first; i < this.tail; i += 3) if (slices[i] !== SPILLED) heldCount++;
    if (heldCount === 0) return;
    const waiting = slices.slice(first, this.tail);
    const chunks = this.chunks ?? [];
    // Chunks of slices in flight come first and stay; the rest is put in again behind them.
    let chunkIndex = 0;
    for (let i = this.head; i < first; i += 3) if (slices[i] === SPILLED) chunkIndex++;
    const waitingChunks = chunks.splice(chunkIndex);
    this.chunks = chunks;
    this.tail = first;
    this.stagingLimit = 0;
    let next = 0;
    for (let i = 0; i < waiting.length; i += 3) {
      const start = waiting[i + 1];
      const end = waiting[i + 2];
      this.queuedBytes -= end - start;
      if (waiting[i] === SPILLED) {
        this.pushSpilled(waitingChunks[next++], start, end);
      } else {
        this.pushSpilled(memory.bytes, start, end);
        memory.release(waiting[i]);
      }
    }
  }

  /**
   * Puts the next slices in flight and describes them in `gathered`: their count, or 0 when memory is too
   * scarce to send spilled bytes from. Nothing may be in flight yet, and something must wait.
   */
  gather(memory: KernelMemory): number {
    const slices = this.slices!;
    const { offsets, lengths } = gathered;
    if (slices[this.head] === SPILLED) return this.gatherSpilled(memory);
    let count = 0;
    let total = 0;
    let isMergeable = true;
    for (let i = this.head; i < this.tail && count < SEND_VECTOR_MAX; i += 3) {
      if (slices[i] === SPILLED) break;
      const length = slices[i + 2] - slices[i + 1];
      offsets[count] = slices[i + 1];
      lengths[count] = length;
      if (length > MERGE_SLICE_BYTES_MAX) isMergeable = false;
      total += length;
      count++;
    }
    if (count > 1 && isMergeable && total <= BIG_BYTES && this.merge(memory, count, total)) count = 1;
    this.inFlightSlices = count;
    this.inFlightBytes = total;
    if (this.isLastInFlight) this.stagingLimit = 0;
    return count;
  }

  /** The send in flight is over; `sentBytes` of it were taken. */
  finish(memory: KernelMemory, sentBytes: number): void {
    if (this.transientBuffer >= 0) {
      memory.release(this.transientBuffer);
      this.transientBuffer = -1;
    }
    this.inFlightSlices = 0;
    this.inFlightBytes = 0;
    this.queuedBytes -= sentBytes;
    const slices = this.slices!;
    let left = sentBytes;
    while (left > 0) {
      const head = this.head;
      const length = slices[head + 2] - slices[head + 1];
      if (left < length) {
        slices[head + 1] += left;
        return;
      }
      left -= length;
      this.head = head + 3;
      if (slices[head] >= 0) memory.release(slices[head]);
      else this.chunks!.shift();
    }
    if (this.head === this.tail) this.resetWhenEmpty();
  }

  /** Frees everything. Nothing may be in flight. */
  clear(memory: KernelMemory): void {
    const slices = this.slices;
    if (slices === null) return;
    for (let i = this.head; i < this.tail; i += 3) {
      if (slices[i] >= 0) memory.release(slices[i]);
    }
    this.queuedBytes = 0;
    this.head = this.tail;
    this.slices = null;
    this.chunks = null;
    this.resetWhenEmpty();
  }

  private get isLastInFlight(): boolean {
    return this.head + this.inFlightSlices * 3 === this.tail;
  }

  private resetWhenEmpty(): void {
    this.head = 0;
    this.tail = 0;
    this.stagingLimit = 0;
    if (this.slices !== null && this.slices.length > KEPT_LENGTH_MAX) this.slices = null;
    if (this.chunks !== null) this.chunks = null;
  }

  private append(buffer: number, start: number, end: number): void {
    this.slices ??= [];
    const slices = this.slices;
    this.stagingLimit = 0;
    if (this.tail >= KEPT_LENGTH_MAX && this.head >= this.tail >> 1) this.compact(slices);
    const at = this.tail;
    // Behind `tail` old numbers remain, so that a queue that comes and goes does not grow and shrink its array.
    if (at === slices.length) {
      slices.push(buffer, start, end);
    } else {
      slices[at] = buffer;
      slices[at + 1] = start;
      slices[at + 2] = end;
    }
    this.tail = at + 3;
    this.queuedBytes += end - start;
  }

  private appendToLast(target: Uint8Array, source: Uint8Array, start: number, end: number): void {
    const slices = this.slices!;
    const last = this.tail - 1;
    copyBytes(target, slices[last], source, start, end);
    slices[last] += end - start;
    this.queuedBytes += end - start;
  }

  private compact(slices: number[]): void {
    const head = this.head;
    const length = this.tail - head;
    for (let i = 0; i < length; i++) slices[i] = slices[head + i];
    this.head = 0;
    this.tail = length;
  }

  /** A small buffer for the first few bytes; when that was not enough, more is to come: a big one. */
  private stagingBuffer(memory: KernelMemory, length: number): number {
    if (length <= SMALL_BYTES && this.waitingBytes === 0) {
      const buffer = memory.allocateSmall();
      if (buffer >= 0) return buffer;
    }
    return memory.allocateBigAboveReserve();
  }

  /** Replaces the first `count` slices by one. False when there is no buffer for it. */
  private merge(memory: KernelMemory, count: number, total: number): boolean {
    const target = total <= SMALL_BYTES ? memory.allocateSmall() : memory.allocateBigAboveReserve();
    if (target < 0) return false;
    const slices = this.slices!;
    const { bytes } = memory;
    const start = memory.start(target);
    let at = start;
    for (let i = 0; i < count; i++) {
      const slice = this.head + i * 3;
      copyBytes(bytes, at, bytes, slices[slice + 1], slices[slice + 2]);
      at += slices[slice + 2] - slices[slice + 1];
      memory.release(slices[slice]);
    }
    this.head += (count - 1) * 3;
    slices[this.head] = target;
    slices[this.head + 1] = start;
    slices[this.head + 2] = at;
    if (this.head + 3 === this.tail) this.stagingLimit = 0;
    gathered.offsets[0] = start;
    gathered.lengths[0] = total;
    return true;
  }

  private gatherSpilled(memory: KernelMemory): number {
    const buffer = memory.allocateBig();
    if (buffer < 0) return 0;
    const slices = this.slices!;
    const offset = memory.start(buffer);
    const from = slices[this.head + 1];
    const length = Math.min(slices[this.head + 2] - from, memory.capacity(buffer));
    copyBytes(memory.bytes, offset, this.chunks![0], from, from + length);
    this.transientBuffer = buffer;
    this.inFlightSlices = 1;
    this.inFlightBytes = length;
    gathered.offsets[0] = offset;
    gathered.lengths[0] = length;
    return 1;
  }
}
