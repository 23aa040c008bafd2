import { EAGAIN } from './errno.js';
import type { IoDriver, IoSource } from './io-driver.js';
import type { KernelMemory } from './kernel-memory.js';
import { close as closeDescriptor } from './libc.js';
import { gathered, OutputQueue } from './output-queue.js';
import type { OutputQueueSet } from './output-queue-set.js';
import type { FilterPort, StreamFilter } from './stream-filter.js';

export { OutputQueueSet } from './output-queue-set.js';

/** Above this many queued bytes whoever feeds the connection should stop; below LOW_MARK handleDrained() tells it to go on. */
export const HIGH_MARK = 256 * 1024;
export const LOW_MARK = 64 * 1024;

/** What a connection tells its owner. Never called after close(). */
export interface ConnectionOwner {
  /** memory.bytes[start, end) of `buffer` arrived. One reference to the buffer now belongs to the owner. */
  handleReceived(buffer: number, start: number, end: number): void;
  /** The peer sends no more: 0 is an orderly end, else an errno. Sending may still work after 0. */
  handleReceiveEnd(errno: number): void;
  /** The peer takes no more; what was queued is gone. Once. */
  handleWriteFailed(errno: number): void;
  /** The queue has been above HIGH_MARK and is now below LOW_MARK. */
  handleDrained(): void;
  /** connect() ended: 0 or an errno. Receiving has begun on success. */
  handleConnected(errno: number): void;
  /** After release(): `fd` is the owner's to give away or close. */
  handleDetached(): void;
}

export interface ConnectionOptions {
  /** The worker's set; its flushAll() must follow each turn. */
  outputs: OutputQueueSet;
  /** Called right before close(2) of the descriptor, whose number may be reused right after. */
  beforeClose?: (fd: number) => void;
}

// Life of a connection. It only moves down.
const OPEN = 0;
/** Writing has failed: what is sent is dropped. */
const FAILED = 1;
const RELEASING = 2;
const CLOSING = 3;
/** The descriptor is no longer ours. */
const GONE = 4;

/**
 * Ordered sends and backpressure for one socket. Nothing is told to the driver before flush(), which the
 * OutputQueueSet calls once a turn: bytes queued in between leave together, and a pause that is undone in the
 * same turn costs nothing. Every method may be called from any callback, also close() of the connection
 * that is being told.
 *
 * A filter (TLS) stands between the socket and the owner once startFilter() has been called: received bytes go through
 * it to the owner, the owner's bytes through it into the queue, at flush(). See docs/internals/tls.md.
 */
export class Connection implements IoSource, FilterPort {
  readonly fd: number;
  private readonly driver: IoDriver;
  private readonly memory: KernelMemory;
  private readonly owner: ConnectionOwner;
  private readonly outputs: OutputQueueSet;
  private readonly beforeClose: ((fd: number) => void) | undefined;
  private readonly handle: number;
  private readonly queue: OutputQueue = new OutputQueue();
  private filter: StreamFilter | null = null;
  private life: number = OPEN;
  /** Bits of pauseReceive(). */
  private pauseReasons: number = 0;
  private isReceiving: boolean = false;
  private isConnecting: boolean = false;
  private hasReceiveEnded: boolean = false;
  /** How receiving ended, while the filter holds bytes from before that; -1 = not so. */
  private heldEnd: number = -1;
  private isEndTold: boolean = false;
  private isDirty: boolean = true;
  /** The socket was full; waitWritable() is under way. */
  private isBlocked: boolean = false;
  private isAboveHighMark: boolean = false;
  private isClosingWhenSent: boolean = false;

  /** Takes over `fd`, a non-blocking socket. Receiving starts with the next flush, unless connect() is called first. */
  constructor(driver: IoDriver, fd: number, owner: ConnectionOwner, options: ConnectionOptions) {
    this.fd = fd;
    this.driver = driver;
    this.memory = driver.memory;
    this.owner = owner;
    this.outputs = options.outputs;
    this.beforeClose = options.beforeClose;
    this.handle = driver.attach(fd, this);
    this.outputs.markDirty(this);
  }

  /** Bytes sent by the owner and not yet taken by the kernel. */
  get queuedBytes(): number {
    const { filter, queue } = this;
    return filter === null ? queue.queuedBytes : queue.queuedBytes + filter.waitingBytes;
  }

  /** Its feeder should wait for handleDrained(). */
  get isFull(): boolean {
    return this.isAboveHighMark;
  }

  /** After close(), or once the descriptor has been given away. */
  get isClosed(): boolean {
    return this.life >= CLOSING;
  }

  /** A descriptor with a filter cannot be given away: its state cannot. */
  get hasFilter(): boolean {
    return this.filter !== null;
  }

  /** The filter has bytes from the peer that nobody has looked at. */
  get isHolding(): boolean {
    return this.filter?.isHolding === true;
  }

  /** Whether release() may be called now. */
  get canRelease(): boolean {
    return this.life === OPEN && this.filter === null && this.queue.waitingBytes === 0;
  }

  /** What was sent before leaves as it is; all further bytes, both ways, go through the filter. */
  startFilter(filter: StreamFilter): void {
    this.filter = filter;
  }

  connect(sockaddr: Uint8Array): void {
    this.isConnecting = true;
    this.driver.connect(this.handle, sockaddr);
  }

  /** Sends memory.bytes[start, end) of `buffer` without copying; the buffer is retained until it is sent. */
  sendSlice(buffer: number, start: number, end: number): void {
    this.enqueue(buffer, this.memory.bytes, start, end);
  }

  /** Sends a copy of bytes[start, end). */
  sendBytes(bytes: Uint8Array, start: number, end: number): void {
    this.enqueue(-1, bytes, start, end);
  }

  /** Sends a copy of memory.bytes[start, end). */
  sendCopy(start: number, end: number): void {
    this.enqueue(-1, this.memory.bytes, start, end);
  }

  /** Receives only while no reason is set. `reason` is one bit, the caller's to define. */
  pauseReceive(reason: number): void {
    this.pauseReasons |= reason;
    if (this.isReceiving) this.markDirty();
  }

  resumeReceive(reason: number): void {
    if ((this.pauseReasons & reason) === 0) return;
    this.pauseReasons &= ~reason;
    if (this.pauseReasons === 0) this.markDirty();
  }

  /** Closes once everything queued is sent. How long that may take is the caller's to bound. */
  closeWhenSent(): void {
    this.isClosingWhenSent = true;
    if (this.filter !== null && this.life === OPEN && this.filter.waitingBytes === 0) this.filter.finish();
    if (this.queuedBytes === 0 || this.life === FAILED) this.close();
  }

  /** Closes now; what is queued is dropped. Idempotent. The owner hears nothing any more. */
  close(): void {
    if (this.life >= CLOSING) return;
    const wasReleasing = this.life === RELEASING;
    this.life = CLOSING;
    this.filter?.free();
    this.clearBlocked();
    if (this.queue.inFlightBytes === 0) this.queue.clear(this.memory);
    if (!wasReleasing) this.driver.detach(this.handle);
  }

  /**
   * Gives the descriptor up without closing it: handleDetached() follows. What is received until then is still
   * delivered. Everything sent must have been flushed.
   */
  release(): void {
    if (this.life !== OPEN) return;
    if (this.queue.waitingBytes > 0) throw new Error('release() of a connection with bytes to send');
    if (this.filter !== null) throw new Error('release() of a connection with a filter');
    this.life = RELEASING;
    this.driver.detach(this.handle);
  }

  /** Tells the driver what has changed since the last turn. Called by the OutputQueueSet. */
  flush(): void {
    this.isDirty = false;
    if (this.life > FAILED || this.isConnecting) return;
    const wantsReceive = this.pauseReasons === 0 && !this.hasReceiveEnded;
    if (wantsReceive !== this.isReceiving) {
      this.isReceiving = wantsReceive;
      if (wantsReceive) this.driver.startReceive(this.handle);
      else this.driver.stopReceive(this.handle);
    }
    if (this.filter !== null && !this.isBlocked) this.flushFilter(this.filter);
    const queue = this.queue;
    if (queue.queuedBytes > 0 && queue.inFlightBytes === 0 && !this.isBlocked) this.submit();
  }

  private flushFilter(filter: StreamFilter): void {
    filter.flush();
    if (!this.isClosingWhenSent || this.life !== OPEN || filter.waitingBytes > 0) return;
    filter.finish();
    if (this.queue.queuedBytes === 0) this.close();
  }

  /** Kernel memory is scarce and the peer does not read. */
  spill(): void {
    this.queue.spill(this.memory);
    this.filter?.spill();
  }

  onReceive(buffer: number, start: number, end: number): void {
    if (this.life >= CLOSING) this.memory.release(buffer);
    else if (this.filter === null) this.owner.handleReceived(buffer, start, end);
    else this.filter.receive(buffer, start, end);
  }

  onReceiveEnd(errno: number): void {
    this.hasReceiveEnded = true;
    this.isReceiving = false;
    // What the filter has not got to yet came before the end.
    if (this.isHolding) this.heldEnd = errno;
    else this.tellReceiveEnd(errno);
  }

  /** Once: a peer may say goodbye inside TLS and then close its socket. */
  private tellReceiveEnd(errno: number): void {
    if (this.life >= CLOSING || this.isEndTold) return;
    this.isEndTold = true;
    this.owner.handleReceiveEnd(errno);
  }

  // What a filter calls.

  get output(): OutputQueue {
    return this.queue;
  }

  deliver(buffer: number, start: number, end: number): void {
    if (this.life >= CLOSING) this.memory.release(buffer);
    else this.owner.handleReceived(buffer, start, end);
  }

  endReceive(errno: number): void {
    this.tellReceiveEnd(errno);
  }

  handleHeldDone(): void {
    if (this.heldEnd >= 0) this.tellReceiveEnd(this.heldEnd);
  }

  onSent(result: number): void {
    const queue = this.queue;
    const wanted = queue.inFlightBytes;
    queue.finish(this.memory, Math.max(result, 0));
    if (this.life >= CLOSING) {
      queue.clear(this.memory);
      return;
    }
    if (result < 0 && result !== -EAGAIN) {
      this.fail(-result);
      return;
    }
    const queuedBytes = this.queuedBytes;
    if (result < wanted) this.block();
    else if (queuedBytes > 0) this.markDirty();
    if (queuedBytes === 0 && this.isClosingWhenSent) {
      this.close();
    } else if (this.isAboveHighMark && queuedBytes < LOW_MARK) {
      this.isAboveHighMark = false;
      this.owner.handleDrained();
    }
  }

  onWritable(): void {
    this.clearBlocked();
    if (this.life === OPEN && this.queuedBytes > 0) this.markDirty();
  }

  onConnect(errno: number): void {
    this.isConnecting = false;
    if (this.life >= CLOSING) return;
    if (errno === 0) this.markDirty();
    else this.hasReceiveEnded = true;
    this.owner.handleConnected(errno);
  }

  onDetached(): void {
    const wasReleasing = this.life === RELEASING;
    this.life = GONE;
    if (!wasReleasing) {
      this.queue.clear(this.memory);
      this.beforeClose?.(this.fd);
      closeDescriptor(this.fd);
      return;
    }
    if (this.queue.queuedBytes > 0) {
      // The last send was short: the stream is broken in the middle, nobody can go on with it.
      this.queue.clear(this.memory);
      this.beforeClose?.(this.fd);
      closeDescriptor(this.fd);
      this.owner.handleWriteFailed(EAGAIN);
      return;
    }
    this.owner.handleDetached();
  }

  /** The one way for bytes to be sent. `buffer` is -1 when they must be copied. */
  private enqueue(buffer: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.life !== OPEN || start >= end) return;
    const queue = this.queue;
    const isSpilling = this.isBlocked && this.memory.isScarce;
    if (this.filter !== null) this.filter.push(buffer, bytes, start, end, isSpilling);
    else if (isSpilling) queue.pushSpilled(bytes, start, end);
    else if (buffer >= 0) queue.pushSlice(this.memory, buffer, start, end);
    else queue.pushCopy(this.memory, bytes, start, end);
    if (this.queuedBytes > HIGH_MARK) this.isAboveHighMark = true;
    this.markDirty();
  }

  /** Something changed that flush() must look at. */
  markDirty(): void {
    if (this.isDirty) return;
    this.isDirty = true;
    this.outputs.markDirty(this);
  }

  private submit(): void {
    const queue = this.queue;
    const count = queue.gather(this.memory);
    if (count === 0) {
      // No buffer to send spilled bytes from: others are sending from theirs right now, so the next turn is soon.
      this.markDirty();
      return;
    }
    const isUrgent = this.isAboveHighMark || this.isClosingWhenSent || this.queuedBytes > queue.inFlightBytes;
    if (count === 1) {
      this.driver.send(this.handle, gathered.offsets[0], gathered.lengths[0], isUrgent);
    } else {
      this.driver.sendVector(this.handle, gathered.offsets, gathered.lengths, count, isUrgent);
    }
  }

  private block(): void {
    if (this.life !== OPEN) return;
    this.isBlocked = true;
    this.outputs.markBlocked(this);
    this.driver.waitWritable(this.handle);
  }

  private clearBlocked(): void {
    if (!this.isBlocked) return;
    this.isBlocked = false;
    this.outputs.clearBlocked(this);
  }

  private fail(errno: number): void {
    // A release under way goes on: its end finds the queue empty or not, and the receive end tells the rest.
    if (this.life === OPEN) this.life = FAILED;
    this.queue.clear(this.memory);
    this.filter?.dropOutput();
    if (this.isClosingWhenSent) this.close();
    else this.owner.handleWriteFailed(errno);
  }
}
