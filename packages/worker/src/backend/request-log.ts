// ● per-frame path
import { copyBytes } from '../io/copy-bytes.js';

/**
 * The frames of the current exchange as the client sent them, kept while they are few: enough to send them
 * again when nothing of the answer has reached the client (a plan that went stale, a server that was dead
 * already). One per server connection, so the memory is bounded by pool size and not by clients.
 */

/** An exchange larger than this is not repeated. */
const LOG_BYTES_MAX = 8 * 1024;

export class RequestLog {
  private bytes = new Uint8Array(0);
  private length = 0;
  private isKeeping = false;
  /** False once something was not kept, until the next reset. */
  private isComplete = false;

  /** A new exchange begins. */
  reset(): void {
    this.length = 0;
    this.isKeeping = true;
    this.isComplete = true;
  }

  /** This exchange can not be repeated (it is a transaction, it is too large, it copies). */
  spoil(): void {
    this.length = 0;
    this.isKeeping = false;
    this.isComplete = false;
  }

  /** It cannot be repeated, and is kept for whoever wants to know what was asked. */
  watch(): void {
    this.length = 0;
    this.isKeeping = true;
    this.isComplete = false;
  }

  /** Of its buffer. */
  get keptBytes(): number {
    return this.bytes.length;
  }

  /** What was kept, until the next is; null: nothing, or not all. */
  get seen(): Uint8Array | null {
    return this.isKeeping && this.length > 0 ? this.bytes.subarray(0, this.length) : null;
  }

  append(source: Uint8Array, start: number, end: number): void {
    if (!this.isKeeping) return;
    const size = end - start;
    if (this.length + size > LOG_BYTES_MAX) {
      this.spoil();
      return;
    }
    if (this.length + size > this.bytes.length) this.grow(this.length + size);
    copyBytes(this.bytes, this.length, source, start, end);
    this.length += size;
  }

  /** A copy of what was kept, or null when the exchange can not be repeated. */
  take(): Uint8Array | null {
    return this.isComplete && this.length > 0 ? this.bytes.slice(0, this.length) : null;
  }

  private grow(size: number): void {
    const grown = new Uint8Array(Math.max(512, size * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}
