import { Packr } from 'msgpackr';
import type { WorkerMessage } from '../control/control-message.js';
import type { FdTable } from './fd-table.js';
import {
  MAILBOX_EVENT_FD,
  MAILBOX_HEADER_BYTES,
  MAILBOX_IS_CLOSED,
  MAILBOX_LOCK,
  MAILBOX_MESSAGE_BYTES_MAX,
  MAILBOX_READ,
  MAILBOX_RING_BYTES,
  MAILBOX_WAKE,
  MAILBOX_WRITTEN,
} from './layout.js';

/** Producer id of the supervisor; workers use their number. */
export const SUPERVISOR_PRODUCER = -1;

const FREE = 0;
const RING_MASK = MAILBOX_RING_BYTES - 1;
const LENGTH_BYTES = 4;
/** The lock is held for one copy of at most 64 KB: a few microseconds. */
const SPINS_BEFORE_SLEEP = 400;
const LOCK_SLEEP_MS = 0.05;
/** Then the holder is dead or stopped, and post() says "full": the supervisor must stay able to notice the death. */
const LOCK_SLEEPS_MAX = 400;

/** Bytes a message of `length` packed bytes takes of the ring; a multiple of 4, so that lengths never wrap. */
function frameBytes(length: number): number {
  return LENGTH_BYTES + ((length + 3) & ~3);
}

/**
 * One ring of bytes per worker: any thread posts, the worker drains.
 *
 *        read ≤ written ≤ read + MAILBOX_RING_BYTES      (positions modulo 2^32; index = position & RING_MASK)
 *
 * Producers take a spin lock whose cell holds their id + 2, so that the lock of a crashed thread can be told
 * and released; the written position moves last, so whatever it was copying is simply not there.
 *
 * A message with a descriptor carries its ownership: inside the lock, where it is sure that the message will
 * be delivered, the descriptor becomes the receiver's. When post() returns false nothing has changed. After a
 * crash the supervisor closes the mailbox under the same lock; from then on nothing can become the dead
 * worker's, and what is its own can be collected without a race.
 */
export class Mailboxes {
  readonly #cells: Int32Array[] = [];
  readonly #rings: Uint8Array[] = [];
  readonly #lengths: Int32Array[] = [];
  readonly #fds: FdTable;
  readonly #packr = new Packr({ useRecords: false, copyBuffers: true });
  readonly #scratch = new Uint8Array(MAILBOX_MESSAGE_BYTES_MAX);

  constructor(buffer: SharedArrayBuffer, workers: number, fds: FdTable) {
    this.#fds = fds;
    const stride = MAILBOX_HEADER_BYTES + MAILBOX_RING_BYTES;
    for (let worker = 0; worker < workers; worker++) {
      const start = worker * stride;
      this.#cells.push(new Int32Array(buffer, start, MAILBOX_HEADER_BYTES / 4));
      this.#rings.push(new Uint8Array(buffer, start + MAILBOX_HEADER_BYTES, MAILBOX_RING_BYTES));
      this.#lengths.push(new Int32Array(buffer, start + MAILBOX_HEADER_BYTES, MAILBOX_RING_BYTES / 4));
    }
  }

  /**
   * Delivers `message` into the mailbox of `worker`, in the order of this producer's posts. False = the ring is
   * full, closed or its lock cannot be had, or the message is larger than MAILBOX_MESSAGE_BYTES_MAX; nothing has
   * then changed. `onAccepted` runs under the lock, before the receiver can see the message: what must change
   * hands together with it (CapacityTable.moveClaim) goes there. It must not throw nor post.
   *
   * Afterwards: if (needsWake(worker)) write the eventfd.
   */
  post(producer: number, worker: number, message: WorkerMessage, onAccepted?: () => void): boolean {
    const packed = this.#packr.pack(message);
    if (packed.length > MAILBOX_MESSAGE_BYTES_MAX) return false;
    // A number that is no descriptor's throws here: under the lock it would leave it locked.
    if ('fd' in message) this.#fds.owner(message.fd);
    const cells = this.#cells[worker];
    if (!this.#lock(cells, producer)) return false;
    const written = cells[MAILBOX_WRITTEN];
    // Acquire: what the consumer read out of this room was read before it moved the position.
    const used = (written - Atomics.load(cells, MAILBOX_READ)) >>> 0;
    const size = frameBytes(packed.length);
    if (cells[MAILBOX_IS_CLOSED] !== 0 || used + size > MAILBOX_RING_BYTES) {
      Atomics.store(cells, MAILBOX_LOCK, FREE);
      return false;
    }
    this.#lengths[worker][(written & RING_MASK) >> 2] = packed.length;
    this.#copyIn(this.#rings[worker], written + LENGTH_BYTES, packed);
    if ('fd' in message) this.#fds.setOwner(message.fd, worker);
    onAccepted?.();
    // Release: the bytes and the ownership are there before the position says so.
    Atomics.store(cells, MAILBOX_WRITTEN, (written + size) | 0);
    Atomics.store(cells, MAILBOX_LOCK, FREE);
    return true;
  }

  /**
   * After a successful post(): true = the caller must write the worker's eventfd. Asked after the position has
   * moved; drain() takes the mark away before it looks at the position. So either this sees no mark and
   * wakes, or the drain that removes the mark sees the message.
   */
  needsWake(worker: number): boolean {
    return Atomics.exchange(this.#cells[worker], MAILBOX_WAKE, 1) === 0;
  }

  /**
   * The worker (or, after its death, the supervisor) takes up to `messagesMax` messages. The room is given back
   * before `handle` runs, so a handler may post and may throw. Returns the number of messages taken.
   */
  drain(
    worker: number,
    handle: (message: WorkerMessage) => void,
    messagesMax = Number.MAX_SAFE_INTEGER,
  ): number {
    const cells = this.#cells[worker];
    Atomics.exchange(cells, MAILBOX_WAKE, 0);
    let read = cells[MAILBOX_READ];
    let count = 0;
    while (count < messagesMax && read !== Atomics.load(cells, MAILBOX_WRITTEN)) {
      const length = this.#lengths[worker][(read & RING_MASK) >> 2];
      this.#copyOut(this.#rings[worker], read + LENGTH_BYTES, length);
      read = (read + frameBytes(length)) | 0;
      Atomics.store(cells, MAILBOX_READ, read);
      count += 1;
      handle(this.#packr.unpack(this.#scratch.subarray(0, length)) as WorkerMessage);
    }
    return count;
  }

  /** True when there is something to drain. Two loads: for every turn of a loop. */
  hasMessages(worker: number): boolean {
    const cells = this.#cells[worker];
    return Atomics.load(cells, MAILBOX_WRITTEN) !== cells[MAILBOX_READ];
  }

  usedBytes(worker: number): number {
    const cells = this.#cells[worker];
    return (Atomics.load(cells, MAILBOX_WRITTEN) - Atomics.load(cells, MAILBOX_READ)) >>> 0;
  }

  /** Byte positions modulo 2^32: a message posted when writtenPosition() became p is taken once readPosition() passed p. */
  writtenPosition(worker: number): number {
    return Atomics.load(this.#cells[worker], MAILBOX_WRITTEN);
  }

  readPosition(worker: number): number {
    return Atomics.load(this.#cells[worker], MAILBOX_READ);
  }

  /** -1 = none. */
  eventFd(worker: number): number {
    return this.#cells[worker][MAILBOX_EVENT_FD] - 1;
  }

  /** Supervisor only, before the worker starts; the eventfd outlives restarts of the worker. */
  setEventFd(worker: number, fd: number): void {
    this.#cells[worker][MAILBOX_EVENT_FD] = fd + 1;
  }

  /** Supervisor only: from now on post() refuses. What is in the ring stays for drain(). False = the lock could not be had. */
  close(worker: number): boolean {
    return this.#setClosed(worker, 1);
  }

  /** Supervisor only: the worker is about to start again. */
  open(worker: number): boolean {
    return this.#setClosed(worker, 0);
  }

  /** Supervisor only: frees every lock that the ended thread of `producer` still holds. Returns how many. */
  releaseLocks(producer: number): number {
    let count = 0;
    for (const cells of this.#cells) {
      // Only if it is still this producer's: a live one may have taken it in between.
      if (Atomics.compareExchange(cells, MAILBOX_LOCK, producer + 2, FREE) === producer + 2) count += 1;
    }
    return count;
  }

  #setClosed(worker: number, value: number): boolean {
    const cells = this.#cells[worker];
    if (!this.#lock(cells, SUPERVISOR_PRODUCER)) return false;
    cells[MAILBOX_IS_CLOSED] = value;
    Atomics.store(cells, MAILBOX_LOCK, FREE);
    return true;
  }

  #lock(cells: Int32Array, producer: number): boolean {
    for (let sleeps = 0; sleeps < LOCK_SLEEPS_MAX; sleeps++) {
      for (let spin = 0; spin < SPINS_BEFORE_SLEEP; spin++) {
        // Looked at before it is swapped: a failed swap still takes the cache line from the holder.
        if (Atomics.load(cells, MAILBOX_LOCK) !== FREE) continue;
        if (Atomics.compareExchange(cells, MAILBOX_LOCK, FREE, producer + 2) === FREE) return true;
      }
      // The holder lost its core. Nobody notifies (a system call per unlock); this is a short sleep.
      Atomics.wait(cells, MAILBOX_LOCK, Atomics.load(cells, MAILBOX_LOCK) || 1, LOCK_SLEEP_MS);
    }
    return false;
  }

  #copyIn(ring: Uint8Array, position: number, packed: Uint8Array): void {
    const start = position & RING_MASK;
    const first = Math.min(packed.length, MAILBOX_RING_BYTES - start);
    if (first === packed.length) {
      ring.set(packed, start);
      return;
    }
    ring.set(packed.subarray(0, first), start);
    ring.set(packed.subarray(first), 0);
  }

  #copyOut(ring: Uint8Array, position: number, length: number): void {
    const start = position & RING_MASK;
    const first = Math.min(length, MAILBOX_RING_BYTES - start);
    this.#scratch.set(ring.subarray(start, start + first), 0);
    if (first < length) this.#scratch.set(ring.subarray(0, length - first), first);
  }
}
