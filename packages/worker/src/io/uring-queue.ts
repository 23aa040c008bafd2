import { EAGAIN, EBUSY, EINTR, ETIME, SystemCallError } from './errno.js';
import { errno, ioUringEnter } from './libc.js';
import * as abi from './uring-abi.js';
import { closeRing, openRing, type Ring } from './uring-setup.js';

/** Byte offsets in the ring's scratch page: io_uring_getevents_arg (24 bytes) and the timespec it points to. */
const GETEVENTS_ARG_OFFSET = 512;
const GETEVENTS_ARG_BYTES = 24;
const TIMESPEC_OFFSET = 576;

/** Word of the scratch page: min_wait_usec in the getevents argument. */
const MIN_WAIT_WORD = (GETEVENTS_ARG_OFFSET + 12) >> 2;

const EMPTY = new Int32Array(0);

/**
 * The two queues of a ring. Submissions are plain stores into shared memory, made visible by one atomic store
 * of the tail in enter(); completions are read in place by the driver.
 *
 * head <= kernel's head <= tail, all counting up and wrapping at 32 bits; tail - head <= entry count.
 */
export class UringQueue {
  /** Completion words: entry i is completionWords[completionBase + (i & completionMask) * 4 ...]. */
  completionWords: Int32Array;
  readonly completionBase: number;
  readonly completionMask: number;
  readonly ring: Ring;

  private words: Int32Array;
  private entries: Int32Array;
  private readonly submissionMask: number;
  private readonly enterFd: number;
  private readonly enterFlags: number;
  /** Position after the last prepared submission. */
  private tail: number = 0;
  /** Position the kernel has consumed to, as last read. */
  private head: number = 0;

  constructor(submissionCount: number, completionCount: number) {
    const ring = openRing(submissionCount, completionCount);
    this.ring = ring;
    this.words = ring.words;
    this.entries = ring.entries;
    this.submissionMask = ring.submissionCount - 1;
    this.completionWords = ring.words;
    this.completionBase = ring.completions;
    this.completionMask = ring.completionCount - 1;
    const isRegistered = ring.registeredIndex >= 0;
    this.enterFd = isRegistered ? ring.registeredIndex : ring.fd;
    this.enterFlags =
      abi.ENTER_GETEVENTS | abi.ENTER_EXT_ARG | (isRegistered ? abi.ENTER_REGISTERED_RING : 0);
    this.prepareTimeout();
  }

  /** Position of the next submission. Compare with isSubmitted(). */
  get position(): number {
    return this.tail;
  }

  /** Slot of the next submission, 0 .. submissionCount-1: names memory that belongs to it until it is submitted. */
  get nextSlot(): number {
    return this.tail & this.submissionMask;
  }

  /** Has the kernel executed the submission at `position`? */
  isSubmitted(position: number): boolean {
    return ((this.head - position) | 0) > 0;
  }

  /** Makes sure the next push() finds room, so that nextSlot and position stay what they are until then. */
  makeRoom(): void {
    if (((this.tail - this.head) | 0) > this.submissionMask) this.submitEarly();
  }

  /**
   * Adds a submission. Word 0 holds opcode, flags and ioprio; an address and the user data come as two halves.
   * The caller has called makeRoom().
   */
  push(
    head: number,
    fd: number,
    offsetLow: number,
    address: number,
    length: number,
    opFlags: number,
    userLow: number,
    userHigh: number,
  ): void {
    const entries = this.entries;
    const at = (this.tail & this.submissionMask) << 4;
    this.tail = (this.tail + 1) | 0;
    entries[at] = head;
    entries[at + 1] = fd;
    entries[at + 2] = offsetLow;
    entries[at + 3] = 0;
    // Addresses have 47 bits: two stores, and neither BigInt nor a floating-point remainder.
    const addressHigh = (address / 4294967296) | 0;
    entries[at + 4] = address - addressHigh * 4294967296;
    entries[at + 5] = addressHigh;
    entries[at + 6] = length;
    entries[at + 7] = opFlags;
    entries[at + 8] = userLow;
    entries[at + 9] = userHigh;
    entries[at + 10] = 0;
    entries[at + 11] = 0;
    entries[at + 12] = 0;
    entries[at + 13] = 0;
    entries[at + 14] = 0;
    entries[at + 15] = 0;
  }

  /** ASYNC_CANCEL names its target by user data, which sits where others have an address. */
  pushCancel(targetLow: number, targetHigh: number, userLow: number, userHigh: number): void {
    const at = (this.tail & this.submissionMask) << 4;
    this.push(
      abi.OP_ASYNC_CANCEL | (abi.SQE_CQE_SKIP_SUCCESS << abi.SQE_FLAGS_SHIFT),
      -1,
      0,
      0,
      0,
      0,
      userLow,
      userHigh,
    );
    this.entries[at + 4] = targetLow;
    this.entries[at + 5] = targetHigh;
  }

  /**
   * Submits everything, waits at most timeoutMs for one completion, and lets the kernel run its deferred work.
   * With expectedCount > 1 it first waits up to batchWaitUs for that many, where the kernel can (6.12).
   * Makes no system call when there is nothing to submit, to run or to wait for.
   */
  enter(timeoutMs: number, expectedCount: number, batchWaitUs: number): void {
    const submitCount = (this.tail - this.head) | 0;
    if (timeoutMs <= 0) {
      if (submitCount === 0 && (this.words[this.ring.submissionFlags] & NEEDS_ENTER) === 0) return;
      this.call(submitCount, 0);
      return;
    }
    const scratch = this.ring.scratch;
    const seconds = Math.floor(timeoutMs / 1000);
    scratch[TIMESPEC_OFFSET >> 2] = seconds;
    scratch[(TIMESPEC_OFFSET >> 2) + 2] = Math.floor((timeoutMs - seconds * 1000) * 1e6);
    const isBatching = expectedCount > 1 && this.ring.canWaitForSeveral;
    scratch[MIN_WAIT_WORD] = isBatching ? batchWaitUs : 0;
    this.call(submitCount, isBatching ? expectedCount : 1);
  }

  /** Completions the queue had no room for are kept by the kernel until an enter; that must happen before one may call a missing completion a success. */
  get isOverflown(): boolean {
    return (this.words[this.ring.submissionFlags] & abi.SQ_CQ_OVERFLOW) !== 0;
  }

  get completionHead(): number {
    return this.words[this.ring.completionHead];
  }

  /** Acquires: completions before it are completely written. */
  loadCompletionTail(): number {
    return Atomics.load(this.words, this.ring.completionTail);
  }

  /** Releases: our reads of completions before `head` are done, the kernel may overwrite them. */
  storeCompletionHead(head: number): void {
    Atomics.store(this.words, this.ring.completionHead, head);
  }

  destroy(): void {
    // Whoever still holds this object then reads empty arrays instead of unmapped memory.
    this.words = EMPTY;
    this.entries = EMPTY;
    this.completionWords = EMPTY;
    closeRing(this.ring);
  }

  private call(submitCount: number, completeCountMin: number): void {
    const ring = this.ring;
    // Releases: the entries are written before the kernel sees the tail.
    Atomics.store(this.words, ring.submissionTail, this.tail);
    const result = ioUringEnter(
      this.enterFd,
      submitCount,
      completeCountMin,
      this.enterFlags,
      ring.scratchAddress + GETEVENTS_ARG_OFFSET,
      GETEVENTS_ARG_BYTES,
    );
    if (result < 0) {
      const reason = errno();
      // ETIME, EINTR: nothing happened. EAGAIN, EBUSY: the kernel wants completions reaped first; what was not taken stays queued.
      if (reason !== ETIME && reason !== EINTR && reason !== EAGAIN && reason !== EBUSY) {
        throw new SystemCallError('io_uring_enter', reason);
      }
    }
    this.head = Atomics.load(this.words, ring.submissionHead);
  }

  /** The queue is full in the middle of a turn. */
  private submitEarly(): void {
    this.call((this.tail - this.head) | 0, 0);
    if (((this.tail - this.head) | 0) > this.submissionMask) {
      throw new Error('io_uring takes no submissions although its queue is full');
    }
  }

  private prepareTimeout(): void {
    const { scratch, scratchAddress } = this.ring;
    const at = GETEVENTS_ARG_OFFSET >> 2;
    const timespecAddress = scratchAddress + TIMESPEC_OFFSET;
    scratch.fill(0, at, at + 32);
    scratch[at + 2] = 8;
    scratch[at + 4] = timespecAddress % 4294967296;
    scratch[at + 5] = timespecAddress / 4294967296;
  }
}

const NEEDS_ENTER = abi.SQ_TASKRUN | abi.SQ_CQ_OVERFLOW;
