import { SystemCallError } from './errno.js';
import { BIG_BYTES, type KernelMemory, mapPrivate } from './kernel-memory.js';
import { errno, ioUringRegister, viewOf } from './libc.js';
import * as abi from './uring-abi.js';
import type { Ring } from './uring-setup.js';

/** Index, in 16-bit words, of the tail: it lies in the unused half-word of entry 0. */
const TAIL_WORD = 7;
/** Byte offset of the io_uring_buf_reg in the ring's scratch page. */
const REGISTRATION_OFFSET = 1024;

/**
 * The ring of empty buffers from which the kernel takes one per receive. Only `lentMax` are in it at a time:
 * enough for one turn's receives, few enough to stay in the processor's caches.
 */
export class UringBuffers {
  private readonly memory: KernelMemory;
  private readonly ring: Ring;
  private readonly words: Uint16Array;
  private readonly doubleWords: Int32Array;
  private readonly mask: number;
  private readonly lentMax: number;
  private tail: number = 0;
  /** Buffers in the ring now: topped up by topUp(), taken by the kernel. */
  private lentCount: number = 0;

  /** Throws SystemCallError (EINVAL: kernel before 5.19). `lentMax` buffers, in a ring of the next power of two. */
  constructor(ring: Ring, memory: KernelMemory, lentMax: number) {
    this.ring = ring;
    this.memory = memory;
    this.lentMax = lentMax;
    let entryCount = 1;
    while (entryCount < lentMax) entryCount *= 2;
    this.mask = entryCount - 1;
    const length = Math.max(4096, entryCount * abi.BUFFER_ENTRY_BYTES);
    const address = mapPrivate(length);
    const view = viewOf(address, length);
    this.words = new Uint16Array(view);
    this.doubleWords = new Int32Array(view);
    const registration = REGISTRATION_OFFSET >> 2;
    ring.scratch.fill(0, registration, registration + 10);
    const addressHigh = Math.floor(address / 4294967296);
    ring.scratch[registration] = address - addressHigh * 4294967296;
    ring.scratch[registration + 1] = addressHigh;
    ring.scratch[registration + 2] = entryCount;
    const argument = ring.scratchAddress + REGISTRATION_OFFSET;
    if (ioUringRegister(ring.fd, abi.REGISTER_PBUF_RING, argument, 1) < 0) {
      throw new SystemCallError('io_uring_register(PBUF_RING)', errno());
    }
  }

  get isEmpty(): boolean {
    return this.lentCount === 0;
  }

  /** The kernel handed a buffer back in a completion. */
  noteTaken(): void {
    this.lentCount--;
  }

  /** Refills the ring as far as the memory allows. */
  topUp(): void {
    const missing = this.lentMax - this.lentCount;
    if (missing <= 0) return;
    const memory = this.memory;
    const doubleWords = this.doubleWords;
    let added = 0;
    while (added < missing) {
      const buffer = memory.allocateBigAboveReserve();
      if (buffer < 0) break;
      const place = (this.tail + added) & this.mask;
      const address = memory.address + memory.start(buffer);
      const addressHigh = (address / 4294967296) | 0;
      doubleWords[place * 4] = address - addressHigh * 4294967296;
      doubleWords[place * 4 + 1] = addressHigh;
      doubleWords[place * 4 + 2] = BIG_BYTES;
      // 16 bits and not 32: in entry 0 the other half is the tail.
      this.words[place * 8 + 6] = buffer;
      added++;
    }
    if (added === 0) return;
    this.lentCount += added;
    this.tail = (this.tail + added) & 0xffff;
    // Releases: the entries are written before the kernel sees the tail.
    Atomics.store(this.words, TAIL_WORD, this.tail);
  }

  /** Takes the ring from the kernel, so that no receive can end in a buffer any more, and frees what was lent. */
  destroy(): void {
    const registration = REGISTRATION_OFFSET >> 2;
    this.ring.scratch.fill(0, registration, registration + 10);
    ioUringRegister(
      this.ring.fd,
      abi.UNREGISTER_PBUF_RING,
      this.ring.scratchAddress + REGISTRATION_OFFSET,
      1,
    );
    for (let i = this.lentCount; i > 0; i--) {
      this.memory.release(this.words[((this.tail - i) & this.mask) * 8 + 6]);
    }
    this.lentCount = 0;
  }
}
