// ● per-frame path
import type { KernelMemory } from '../io/kernel-memory.js';
import { viewOf } from '../io/libc.js';
import * as ssl from './openssl.js';

/*
 * struct buf_mem_st of openssl/buffer.h, the public part of a memory BIO:
 *
 *   0 size_t length   8 char *data   16 size_t max   24 unsigned long flags
 */
const LENGTH = 0;
const DATA = 2;
const MAX = 4;
const BUF_MEM_BYTES = 32;
const WORD = 2 ** 32;

/**
 * The two memory BIOs that all TLS connections of a worker share: one they read cipher text from, one they write it
 * to. Sharing is right because nothing is ever left in them: OpenSSL takes all it was fed into its own buffers, and
 * what it wrote is taken out before anybody else's turn. `writtenBytes` is checked for that; it must be 0 before a
 * call into OpenSSL, or one client's bytes would reach another.
 *
 * The reading BIO is pointed at the received bytes where they lie: three stores into its BUF_MEM instead of a copy
 * and a call. That this OpenSSL's memory BIO takes it is tried out first; one that does not gets the bytes copied.
 */
export class MemoryBios {
  readonly reading: number;
  readonly writing: number;
  readonly isPointed: boolean;
  private readonly input: Uint32Array;
  private readonly output: Uint32Array;

  constructor(memory: KernelMemory, scratch: number, mayPoint: boolean = true) {
    const address = memory.address + scratch;
    this.writing = ssl.BIO_new(ssl.BIO_s_mem());
    this.output = bufMemOf(this.writing, memory, scratch);
    const pointed = ssl.BIO_new_mem_buf(address, 1);
    this.input = bufMemOf(pointed, memory, scratch);
    ssl.BIO_ctrl(pointed, ssl.BIO_C_SET_BUF_MEM_EOF_RETURN, -1, 0);
    this.isPointed = mayPoint && this.isTrusted(memory, scratch, pointed);
    if (this.isPointed) {
      this.reading = pointed;
      return;
    }
    ssl.BIO_free(pointed);
    this.reading = ssl.BIO_new(ssl.BIO_s_mem());
  }

  /** The next bytes to read. What was left of the last ones is forgotten. */
  feed(address: number, length: number): void {
    if (this.isPointed) {
      point(this.input, address, length);
      return;
    }
    ssl.BIO_ctrl(this.reading, ssl.BIO_CTRL_RESET, 0, 0);
    ssl.BIO_write(this.reading, address, length);
  }

  /** Of the bytes fed, those OpenSSL has not taken yet. */
  get leftBytes(): number {
    return this.isPointed ? this.input[LENGTH] : ssl.BIO_ctrl(this.reading, ssl.BIO_CTRL_PENDING, 0, 0);
  }

  /** Bytes to be taken. */
  get writtenBytes(): number {
    return this.isPointed ? this.output[LENGTH] : ssl.BIO_ctrl(this.writing, ssl.BIO_CTRL_PENDING, 0, 0);
  }

  /** Moves up to `room` written bytes to `address`; returns how many. */
  take(address: number, room: number): number {
    return ssl.BIO_read(this.writing, address, room);
  }

  /** After the last take(): the BIO's own count is of what was ever written, not of what is left. */
  taken(): void {
    if (this.isPointed) this.output[LENGTH] = 0;
  }

  destroy(): void {
    ssl.BIO_free(this.reading);
    ssl.BIO_free(this.writing);
  }

  private left(): number {
    return this.input[LENGTH];
  }

  /** Reads and writes as connections will, and compares. */
  private isTrusted(memory: KernelMemory, scratch: number, pointed: number): boolean {
    const { bytes } = memory;
    const address = memory.address + scratch;
    for (let at = 0; at < 64; at++) bytes[scratch + at] = at ^ 0x5a;
    point(this.input, address + 16, 32);
    const target = scratch + 256;
    const read = (room: number): number => ssl.BIO_read(pointed, memory.address + target, room);
    if (read(5) !== 5 || this.left() !== 27 || bytes[target + 4] !== (20 ^ 0x5a)) return false;
    if (read(100) !== 27 || this.left() !== 0 || bytes[target] !== (21 ^ 0x5a)) return false;
    if (read(1) !== -1) return false;
    for (const length of [64, 10]) {
      if (ssl.BIO_write(this.writing, address, length) !== length) return false;
      if (this.output[LENGTH] !== length) return false;
      if (ssl.BIO_read(this.writing, memory.address + target, 100) !== length) return false;
      if (bytes[target + length - 1] !== ((length - 1) ^ 0x5a)) return false;
      this.output[LENGTH] = 0;
    }
    return true;
  }
}

/** Its BUF_MEM as 32-bit words. The address of that comes back through kernel memory at `scratch`. */
function bufMemOf(bio: number, memory: KernelMemory, scratch: number): Uint32Array {
  if (bio === 0) throw new Error('OpenSSL has no memory for a BIO');
  ssl.BIO_ctrl(bio, ssl.BIO_C_GET_BUF_MEM_PTR, 0, memory.address + scratch);
  return new Uint32Array(viewOf(Number(memory.view.getBigUint64(scratch, true)), BUF_MEM_BYTES));
}

function point(words: Uint32Array, address: number, length: number): void {
  words[LENGTH] = length;
  words[DATA] = address % WORD;
  words[DATA + 1] = address / WORD;
  words[MAX] = length;
}
