import type { KernelMemory } from './kernel-memory.js';

/**
 * What a driver tells the owner of an attached descriptor. Every callback runs inside `turn()`.
 * Results are as the kernel gives them: 0 or a count, or a negative errno.
 */
export interface IoSource {
  /** Bytes memory.bytes[start, end) of buffer `buffer`, whose single reference now belongs to the callee. */
  onReceive(buffer: number, start: number, end: number): void;
  /** The stream ended: 0 is an orderly end, otherwise a positive errno. Once; no onReceive follows. */
  onReceiveEnd(errno: number): void;
  /** Result of the one send in flight: bytes taken (all, or fewer: the socket is full now), or a negative errno (-EAGAIN: it was full). */
  onSent(result: number): void;
  /** After waitWritable(): the socket may take bytes again, or has failed, which the next send will tell. */
  onWritable(): void;
  /** connect() ended: 0 or a positive errno. */
  onConnect(errno: number): void;
  /** detach() is complete: the kernel holds nothing of this descriptor; it is the caller's to close or give away. */
  onDetached(): void;
}

/**
 * One worker's way to its sockets. All descriptors are non-blocking raw numbers that libuv never sees.
 * A `handle` is a small integer naming an attached descriptor; it may be reused after onDetached.
 */
export interface IoDriver {
  readonly name: 'io_uring' | 'epoll';
  readonly memory: KernelMemory;
  /** Its own: of the ring or of epoll. For the clean-up after a crash. */
  readonly descriptors: readonly number[];
  /** Called in turn() after the kernel was waited for, before anything is delivered: the loop reads its clock. */
  onAwake: () => void;
  attach(fd: number, source: IoSource): number;
  /** Gives up the descriptor: requests in the kernel are cancelled, then onDetached. Never closes it. */
  detach(handle: number): void;
  /** Starts connect(2); the sockaddr is copied at once. Result by onConnect. */
  connect(handle: number, sockaddr: Uint8Array): void;
  /** Receive until stopReceive, end of stream or an error. Idempotent. */
  startReceive(handle: number): void;
  /** Asks to stop receiving. Bytes already on their way may still be delivered. Idempotent; may be undone at any moment by startReceive. */
  stopReceive(handle: number): void;
  /**
   * Sends memory.bytes[offset, offset + length). One send in flight per handle; the bytes stay put until onSent. Never waits for a full socket.
   * `isUrgent`: turn() comes back as soon as the result is known, because somebody acts on it. Otherwise a complete
   * success is told whenever turn() ends for another reason (a short or failed send always ends it): that saves a
   * completion, and a system call, per message.
   */
  send(handle: number, offset: number, length: number, isUrgent: boolean): void;
  /** As send(), from several places in order: offsets[i], lengths[i] for i < count (at most SEND_VECTOR_MAX). The arrays are read at once. */
  sendVector(
    handle: number,
    offsets: Int32Array,
    lengths: Int32Array,
    count: number,
    isUrgent: boolean,
  ): void;
  /** Calls onWritable once when the socket can take bytes. */
  waitWritable(handle: number): void;
  /** Calls `onWake` in turn() whenever the eventfd was written; the driver resets the counter. */
  watchEventFd(fd: number, onWake: () => void): void;
  /**
   * Calls `onReadable` in turn() while clients wait in the backlog of the listening socket `fd`, which several
   * drivers may watch: the kernel wakes one of them per client. Replaces an earlier watch of the same descriptor.
   */
  watchListener(fd: number, onReadable: () => void): void;
  /** No more calls. Unknown descriptors are ignored. */
  unwatchListener(fd: number): void;
  /**
   * Submits what was asked for, waits at most timeoutMs (0 = poll) for something to happen, and delivers it all.
   * Returns the number of completions. expectedCount: how many events may be expected within batchWaitUs; more than 1 lets the driver wait that
   * long for them to come together, which saves a wake-up each.
   */
  turn(timeoutMs: number, expectedCount?: number, batchWaitUs?: number): number;
  /** Gives the kernel's side and all receive buffers back. Attached descriptors stay open; the KernelMemory is its owner's to destroy. */
  destroy(): void;
}

/** Most slices of one sendVector. */
export const SEND_VECTOR_MAX = 16;
