import type { OutputQueue } from './output-queue.js';

/** What a filter needs of its connection. */
export interface FilterPort {
  /** Where cipher bytes go. markDirty() must follow. */
  readonly output: OutputQueue;
  markDirty(): void;
  /** Plain bytes for the owner. Takes one reference to the buffer. */
  deliver(buffer: number, start: number, end: number): void;
  /** No more plain bytes will come: 0 is an orderly end, else an errno. */
  endReceive(errno: number): void;
  /** It was holding received bytes, and holds none any more. */
  handleHeldDone(): void;
  pauseReceive(reason: number): void;
  resumeReceive(reason: number): void;
}

/** Stands between the bytes of the socket and those of the owner: TLS. One per connection. */
export interface StreamFilter {
  /** Bytes of the owner that have not been through it yet. */
  readonly waitingBytes: number;
  /** Received bytes that have not been through it yet: the end of the stream must wait for them. */
  readonly isHolding: boolean;
  /** memory.bytes[start, end) of `buffer` arrived from the socket. Takes one reference. */
  receive(buffer: number, start: number, end: number): void;
  /** Bytes of the owner: as Connection.enqueue(). `isSpilling`: not into kernel memory. */
  push(buffer: number, bytes: Uint8Array, start: number, end: number, isSpilling: boolean): void;
  /** Turns waiting bytes into output, as much as is wanted at once. */
  flush(): void;
  /** Last words of the protocol itself; waitingBytes must be 0. Idempotent. */
  finish(): void;
  /** Moves waiting bytes out of kernel memory. */
  spill(): void;
  /** What the owner sent and has not been through is dropped. */
  dropOutput(): void;
  /** Frees everything. Nothing else is called after it. Idempotent. */
  free(): void;
}
