import { SystemCallError } from './errno.js';
import {
  errno,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  madvise,
  mmap,
  PROT_READ,
  PROT_WRITE,
  viewOf,
} from './libc.js';

/*
 *   offset 0                    bigCount * 16 KB             + smallCount * 512 B
 *   |  big 0  |  big 1  |  ...  |  small 0 | small 1 | ...   |
 *
 * Buffer indices: big ones are 0 .. bigCount-1, small ones follow. One mapping without swap reservation, so
 * that what was never touched costs nothing.
 */

const BIG_SHIFT = 14;
const SMALL_SHIFT = 9;
const PAGE_SHIFT = 12;

export const BIG_BYTES = 1 << BIG_SHIFT;
export const SMALL_BYTES = 1 << SMALL_SHIFT;

/** 8192 * 16 KB = 128 MB and 16384 * 512 B = 8 MB of address space a worker; resident is what the load needs. */
const BIG_COUNT_DEFAULT = 8192;
const SMALL_COUNT_DEFAULT = 16384;
/** One in so many big buffers is kept for sending bytes that were spilled: sending is what frees memory. */
const RESERVE_SHARE = 64;
/** What a count has room for. A full buffer holds some three thousand frames, and each may go to one place. */
const REFERENCES_MAX = 0xffff;
/** Pages given back by one trim() at most, so that the janitor never holds up the loop: about 1 us each. */
const TRIM_PAGE_RUNS_MAX = 256;

export interface KernelMemoryOptions {
  /** At most 65536: the kernel names receive buffers with 16 bits. A multiple of 8, as is smallCount. */
  bigCount?: number;
  smallCount?: number;
}

/**
 * Memory the kernel reads and writes: outside the garbage-collected heap, at a fixed address.
 * Buffers are reference counted; the free lists are stacks, so a light load keeps using the same few pages.
 */
export class KernelMemory {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly bigCount: number;
  readonly smallCount: number;

  private readonly smallBase: number;
  private readonly reserveCount: number;
  private readonly references: Uint16Array;
  private readonly bigFree: Uint16Array;
  private bigFreeLength: number;
  /** Fewest free entries since the last trim(): entries below were not touched since. */
  private bigFreeLow: number;
  private readonly smallFree: Uint16Array;
  private smallFreeLength: number;
  private smallFreeLow: number;
  /** 1 for a big buffer, or a page of small ones, that may be resident. */
  private readonly bigTouched: Uint8Array;
  private readonly smallPageTouched: Uint8Array;
  private readonly coldInPage: Uint8Array;

  constructor(options: KernelMemoryOptions = {}) {
    const bigCount = options.bigCount ?? BIG_COUNT_DEFAULT;
    const smallCount = options.smallCount ?? SMALL_COUNT_DEFAULT;
    if (bigCount > 65536 || smallCount > 65536 || smallCount % 8 !== 0) {
      throw new RangeError(`bad buffer counts: ${bigCount}, ${smallCount}`);
    }
    this.bigCount = bigCount;
    this.smallCount = smallCount;
    this.smallBase = bigCount << BIG_SHIFT;
    this.reserveCount = Math.max(1, Math.floor(bigCount / RESERVE_SHARE));
    const length = this.smallBase + (smallCount << SMALL_SHIFT);
    this.address = mapPrivate(length);
    const buffer = viewOf(this.address, length);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.references = new Uint16Array(bigCount + smallCount);
    this.bigFree = descending(bigCount);
    this.bigFreeLength = bigCount;
    this.bigFreeLow = bigCount;
    this.smallFree = descending(smallCount);
    this.smallFreeLength = smallCount;
    this.smallFreeLow = smallCount;
    this.bigTouched = new Uint8Array(bigCount);
    const smallPageCount = smallCount >> (PAGE_SHIFT - SMALL_SHIFT);
    this.smallPageTouched = new Uint8Array(smallPageCount);
    this.coldInPage = new Uint8Array(smallPageCount);
  }

  get bigFreeCount(): number {
    return this.bigFreeLength;
  }

  /** Few big buffers are left: those that wait for slow peers should be given up. */
  get isScarce(): boolean {
    return this.bigFreeLength < this.bigCount >> 2;
  }

  get smallFreeCount(): number {
    return this.smallFreeLength;
  }

  /** Offset in `bytes` of a buffer's first byte. */
  start(buffer: number): number {
    return buffer < this.bigCount
      ? buffer << BIG_SHIFT
      : this.smallBase + ((buffer - this.bigCount) << SMALL_SHIFT);
  }

  /** Bytes in a buffer. */
  capacity(buffer: number): number {
    return buffer < this.bigCount ? BIG_BYTES : SMALL_BYTES;
  }

  /** A big buffer with one reference, or -1 when none is free. */
  allocateBig(): number {
    const length = this.bigFreeLength - 1;
    if (length < 0) return -1;
    this.bigFreeLength = length;
    if (length < this.bigFreeLow) this.bigFreeLow = length;
    const buffer = this.bigFree[length];
    this.bigTouched[buffer] = 1;
    this.references[buffer] = 1;
    return buffer;
  }

  /** As allocateBig(), but leaves the reserve alone. For receiving and for staging. */
  allocateBigAboveReserve(): number {
    return this.bigFreeLength > this.reserveCount ? this.allocateBig() : -1;
  }

  /** A small buffer with one reference, or -1 when none is free. */
  allocateSmall(): number {
    const length = this.smallFreeLength - 1;
    if (length < 0) return -1;
    this.smallFreeLength = length;
    if (length < this.smallFreeLow) this.smallFreeLow = length;
    const index = this.smallFree[length];
    this.smallPageTouched[index >> (PAGE_SHIFT - SMALL_SHIFT)] = 1;
    this.references[this.bigCount + index] = 1;
    return this.bigCount + index;
  }

  /** One more reference to a buffer in use. */
  retain(buffer: number): void {
    const count = this.references[buffer];
    // Of a free buffer, or back to 0: the next owner and this one would write over each other's bytes.
    if (count === 0 || count === REFERENCES_MAX) throw new Error(`buffer ${buffer} has ${count} references`);
    this.references[buffer] = count + 1;
  }

  /** One reference less; the last one frees the buffer. */
  release(buffer: number): void {
    const left = this.references[buffer] - 1;
    if (left > 0) {
      this.references[buffer] = left;
      return;
    }
    // A double release would put a buffer on the free list twice: two owners, mixed answers. Never go on.
    if (left < 0) throw new Error(`buffer ${buffer} released more often than retained`);
    this.references[buffer] = 0;
    if (buffer < this.bigCount) this.bigFree[this.bigFreeLength++] = buffer;
    else this.smallFree[this.smallFreeLength++] = buffer - this.bigCount;
  }

  referenceCount(buffer: number): number {
    return this.references[buffer];
  }

  /**
   * For tests: the free lists hold every free buffer once, and none in use.
   * @throws Error
   */
  checkInvariants(): void {
    const isListed = new Uint8Array(this.references.length);
    const list = (buffer: number): void => {
      if (this.references[buffer] !== 0) throw new Error(`buffer ${buffer} is free and has references`);
      if (isListed[buffer] !== 0) throw new Error(`buffer ${buffer} is free twice`);
      isListed[buffer] = 1;
    };
    for (let i = 0; i < this.bigFreeLength; i++) list(this.bigFree[i]);
    for (let i = 0; i < this.smallFreeLength; i++) list(this.bigCount + this.smallFree[i]);
    const lost = isListed.findIndex((listed, buffer) => listed === 0 && this.references[buffer] === 0);
    if (lost >= 0) throw new Error(`buffer ${lost} is nobody's and not free`);
  }

  /**
   * Gives pages back that were free since the last call: after a burst the resident set shrinks again.
   * For a janitor, every few seconds. Returns the bytes given back; bounded work a call.
   */
  trim(): number {
    const trimmed = this.trimBig() + this.trimSmall();
    this.bigFreeLow = this.bigFreeLength;
    this.smallFreeLow = this.smallFreeLength;
    return trimmed;
  }

  /**
   * Gives all pages back. The address range itself stays mapped: views of it may still be reachable, and
   * touching one must never be a fault.
   */
  destroy(): void {
    madvise(this.address, this.bytes.length, MADV_DONTNEED);
  }

  private trimBig(): number {
    let runs = 0;
    for (let i = 0; i < this.bigFreeLow && runs < TRIM_PAGE_RUNS_MAX; i++) {
      const buffer = this.bigFree[i];
      if (this.bigTouched[buffer] === 0) continue;
      madvise(this.address + (buffer << BIG_SHIFT), BIG_BYTES, MADV_DONTNEED);
      this.bigTouched[buffer] = 0;
      runs++;
    }
    return runs << BIG_SHIFT;
  }

  /** A page holds eight small buffers and can only go when all of them are cold. */
  private trimSmall(): number {
    const cold = this.coldInPage;
    const pageShift = PAGE_SHIFT - SMALL_SHIFT;
    cold.fill(0);
    for (let i = 0; i < this.smallFreeLow; i++) cold[this.smallFree[i] >> pageShift]++;
    let runs = 0;
    for (let page = 0; page < cold.length && runs < TRIM_PAGE_RUNS_MAX; page++) {
      if (cold[page] !== 1 << pageShift || this.smallPageTouched[page] === 0) continue;
      madvise(this.address + this.smallBase + (page << PAGE_SHIFT), 1 << PAGE_SHIFT, MADV_DONTNEED);
      this.smallPageTouched[page] = 0;
      runs++;
    }
    return runs << PAGE_SHIFT;
  }
}

/** Anonymous private memory without swap reservation. Throws SystemCallError. */
export function mapPrivate(length: number): number {
  const address = mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address === -1) throw new SystemCallError('mmap', errno());
  // A forked child (health scripts and the like) must not make these pages copy-on-write under the kernel.
  madvise(address, length, MADV_DONTFORK);
  return address;
}

/** count-1 .. 0: so that the top of the stack is buffer 0 and a light load stays at the low end. */
function descending(count: number): Uint16Array {
  const list = new Uint16Array(count);
  for (let i = 0; i < count; i++) list[i] = count - 1 - i;
  return list;
}
