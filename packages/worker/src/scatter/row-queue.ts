import { frameBytesOf } from '@pgdog-cluster/core';

const START_BYTES = 4096;
/** Kept when nothing is in it. */
const IDLE_BYTES_MAX = 256 * 1024;
const NO_BYTES = new Uint8Array(0);

/**
 * Rows of one shard that have come before their turn, whole DataRows one behind the other.
 *
 *   0 <= #start <= #end <= bytes.length; rows are in [#start, #end)
 */
export class RowQueue {
  #bytes: Uint8Array = NO_BYTES;
  #start = 0;
  #end = 0;

  get isEmpty(): boolean {
    return this.#start === this.#end;
  }

  get heldBytes(): number {
    return this.#end - this.#start;
  }

  /** Of the first row: bytes[start, end) stays as it is until it is taken. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#start + frameBytesOf(this.#bytes, this.#start);
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (this.#end + size > this.#bytes.length) this.#makeRoom(size);
    this.#bytes.set(bytes.subarray(start, end), this.#end);
    this.#end += size;
  }

  /** The first row has been given. */
  take(): void {
    this.#start = this.end;
    if (!this.isEmpty) return;
    this.#start = 0;
    this.#end = 0;
    if (this.#bytes.length > IDLE_BYTES_MAX) this.#bytes = NO_BYTES;
  }

  /** What has been read of the old bytes stays where it is: whoever compares the first row may do so still. */
  #makeRoom(size: number): void {
    const held = this.heldBytes;
    // exempt: grows to the longest portion
    const grown = new Uint8Array(Math.max(START_BYTES, 2 * (held + size)));
    grown.set(this.#bytes.subarray(this.#start, this.#end));
    this.#bytes = grown;
    this.#start = 0;
    this.#end = held;
  }
}
