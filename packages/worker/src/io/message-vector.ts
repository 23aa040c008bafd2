import { SEND_VECTOR_MAX } from './io-driver.js';
import { mapPrivate } from './kernel-memory.js';
import { viewOf } from './libc.js';

/** struct msghdr (56 bytes, padded to 64), then SEND_VECTOR_MAX iovecs of 16 bytes. */
const SLOT_BYTES = 64 + SEND_VECTOR_MAX * 16;
const IOVEC_OFFSET = 64;
/** A sockaddr_storage is what a slot must also be able to hold. */
export const SOCKADDR_BYTES_MAX = 128;

/** Arguments of system calls that must lie at an address: one slot per call that may be under way. */
export class MessageVector {
  private readonly address: number;
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;

  constructor(slotCount: number) {
    const length = slotCount * SLOT_BYTES;
    this.address = mapPrivate(length);
    const view = viewOf(this.address, length);
    this.bytes = new Uint8Array(view);
    this.words = new Int32Array(view);
  }

  /** Fills slot `slot` with a msghdr over base + offsets[i], lengths[i]; returns its address. */
  fill(slot: number, base: number, offsets: Int32Array, lengths: Int32Array, count: number): number {
    if (count > SEND_VECTOR_MAX) throw new RangeError(`${count} slices in one send`);
    const words = this.words;
    const address = this.address + slot * SLOT_BYTES;
    let at = (slot * SLOT_BYTES) >> 2;
    words.fill(0, at, at + (IOVEC_OFFSET >> 2));
    this.storeAddress(at + 4, address + IOVEC_OFFSET);
    words[at + 6] = count;
    at += IOVEC_OFFSET >> 2;
    for (let i = 0; i < count; i++, at += 4) {
      this.storeAddress(at, base + offsets[i]);
      words[at + 2] = lengths[i];
      words[at + 3] = 0;
    }
    return address;
  }

  /** Copies a sockaddr into slot `slot`; returns its address. */
  fillSockaddr(slot: number, sockaddr: Uint8Array): number {
    if (sockaddr.length > SOCKADDR_BYTES_MAX) throw new RangeError('sockaddr too long');
    this.bytes.set(sockaddr, slot * SLOT_BYTES);
    return this.address + slot * SLOT_BYTES;
  }

  private storeAddress(at: number, address: number): void {
    const high = (address / 4294967296) | 0;
    this.words[at] = address - high * 4294967296;
    this.words[at + 1] = high;
  }
}
