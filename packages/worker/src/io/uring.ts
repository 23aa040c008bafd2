import { EAGAIN, ECANCELED, EINTR, ENOBUFS } from './errno.js';
import { HandleTable } from './handle-table.js';
import type { IoDriver, IoSource } from './io-driver.js';
import type { KernelMemory } from './kernel-memory.js';
import { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_WAITALL, read } from './libc.js';
import { MessageVector } from './message-vector.js';
import { QuietSends } from './quiet-sends.js';
import { setNonBlocking } from './socket-options.js';
import * as abi from './uring-abi.js';
import { UringBuffers } from './uring-buffers.js';
import { UringQueue } from './uring-queue.js';

const SUBMISSION_COUNT = 1024;
const COMPLETION_COUNT = 8192;
/** 256 * 16 KB: more than one turn of a busy worker receives. */
const RECEIVE_BUFFERS_DEFAULT = 256;
/** Without free buffers only their owners can help; they are asked again this often. */
const STARVED_WAIT_MS = 10;

// Low user-data word: handle << OP_SHIFT | op. High word: the handle's generation.
const OP_SHIFT = 4;
const OP_MASK = (1 << OP_SHIFT) - 1;
const USER_RECEIVE = 1;
const USER_SEND = 2;
const USER_WRITABLE = 3;
const USER_CONNECT = 4;
const USER_CANCEL = 5;
const USER_WAKE = 6;

// State bits of a handle.
const WANTS_RECEIVE = 1;
const RECEIVE_ARMED = 2;
const RECEIVE_CANCELLED = 4;
const RECEIVE_ENDED = 8;
const STARVED = 16;
const SENDING = 32;
const WRITABLE_ARMED = 64;
const CONNECT_ARMED = 128;
const DETACHING = 256;
/** In the list of handles whose detach() completes at the end of the turn. */
const DETACHED = 512;

const POLLIN = 1;
const POLLOUT = 4;

const RECEIVE_HEAD =
  abi.OP_RECV | (abi.SQE_BUFFER_SELECT << abi.SQE_FLAGS_SHIFT) | (abi.RECV_MULTISHOT << abi.SQE_IOPRIO_SHIFT);
const SKIP_SUCCESS = abi.SQE_CQE_SKIP_SUCCESS << abi.SQE_FLAGS_SHIFT;
// DONTWAIT: executed at submission, so a full socket never makes the kernel keep our buffers. WAITALL beside it
// turns a short send into a failed one, whose completion is posted even where those of successes are skipped.
const SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL;

export interface UringOptions {
  /** Empty buffers lent to the kernel at a time. */
  receiveBuffersMax?: number;
}

/** The io_uring driver: one system call a turn serves all sockets. Kernel 6.1 and up. */
export class UringDriver implements IoDriver {
  readonly name = 'io_uring';
  readonly memory: KernelMemory;
  onAwake: () => void = () => {};
  private readonly queue: UringQueue;
  private readonly buffers: UringBuffers;
  private readonly vectors: MessageVector;
  private readonly handles: HandleTable = new HandleTable();
  private readonly wakes: Map<number, () => void> = new Map();
  private readonly quiet: QuietSends = new QuietSends();
  private starved: number[] = [];
  private detached: number[] = [];
  private completionHead: number;

  /** Throws SystemCallError where the kernel refuses. */
  constructor(memory: KernelMemory, options: UringOptions = {}) {
    this.memory = memory;
    this.queue = new UringQueue(SUBMISSION_COUNT, COMPLETION_COUNT);
    try {
      const lentMax = options.receiveBuffersMax ?? RECEIVE_BUFFERS_DEFAULT;
      this.buffers = new UringBuffers(this.queue.ring, memory, lentMax);
    } catch (error) {
      this.queue.destroy();
      throw error;
    }
    this.vectors = new MessageVector(this.queue.ring.submissionCount);
    this.completionHead = this.queue.completionHead;
  }

  get descriptors(): readonly number[] {
    return [this.queue.ring.fd];
  }

  attach(fd: number, source: IoSource): number {
    return this.handles.take(fd, source);
  }

  detach(handle: number): void {
    const { state } = this.handles;
    const bits = state[handle];
    if ((bits & DETACHING) !== 0) return;
    state[handle] = (bits & ~WANTS_RECEIVE) | DETACHING;
    if ((bits & (RECEIVE_ARMED | RECEIVE_CANCELLED)) === RECEIVE_ARMED) this.cancelReceive(handle);
    if ((bits & WRITABLE_ARMED) !== 0) this.cancel(handle, USER_WRITABLE);
    if ((bits & CONNECT_ARMED) !== 0) this.cancel(handle, USER_CONNECT);
    this.checkDetached(handle);
  }

  connect(handle: number, sockaddr: Uint8Array): void {
    this.queue.makeRoom();
    const address = this.vectors.fillSockaddr(this.queue.nextSlot, sockaddr);
    // The length of the address travels where others have a file offset.
    this.request(handle, USER_CONNECT, CONNECT_ARMED, abi.OP_CONNECT, sockaddr.length, address, 0, 0);
  }

  startReceive(handle: number): void {
    const { state } = this.handles;
    const bits = state[handle];
    if ((bits & (RECEIVE_ENDED | DETACHING)) !== 0) return;
    state[handle] = bits | WANTS_RECEIVE;
    if ((bits & (RECEIVE_ARMED | STARVED)) === 0) this.armReceive(handle);
  }

  stopReceive(handle: number): void {
    const { state } = this.handles;
    const bits = state[handle] & ~WANTS_RECEIVE;
    state[handle] = bits;
    if ((bits & (RECEIVE_ARMED | RECEIVE_CANCELLED)) === RECEIVE_ARMED) this.cancelReceive(handle);
  }

  send(handle: number, offset: number, length: number, isUrgent: boolean): void {
    this.queue.makeRoom();
    this.prepareSend(handle, length, isUrgent);
    const head = isUrgent ? abi.OP_SEND : abi.OP_SEND | SKIP_SUCCESS;
    const address = this.memory.address + offset;
    this.request(handle, USER_SEND, SENDING, head, 0, address, length, SEND_FLAGS);
  }

  sendVector(
    handle: number,
    offsets: Int32Array,
    lengths: Int32Array,
    count: number,
    isUrgent: boolean,
  ): void {
    this.queue.makeRoom();
    let total = 0;
    for (let i = 0; i < count; i++) total += lengths[i];
    this.prepareSend(handle, total, isUrgent);
    const head = isUrgent ? abi.OP_SENDMSG : abi.OP_SENDMSG | SKIP_SUCCESS;
    const slot = this.queue.nextSlot;
    const address = this.vectors.fill(slot, this.memory.address, offsets, lengths, count);
    this.request(handle, USER_SEND, SENDING, head, 0, address, 1, SEND_FLAGS);
  }

  waitWritable(handle: number): void {
    if ((this.handles.state[handle] & (WRITABLE_ARMED | DETACHING)) !== 0) return;
    this.queue.makeRoom();
    this.request(handle, USER_WRITABLE, WRITABLE_ARMED, abi.OP_POLL_ADD, 0, 0, 0, POLLOUT);
  }

  watchEventFd(fd: number, onWake: () => void): void {
    // A read of the counter must never block the thread, whoever made the descriptor.
    setNonBlocking(fd);
    const handle = this.handles.take(fd, null);
    this.wakes.set(handle, onWake);
    this.armWake(handle);
  }

  turn(timeoutMs: number, expectedCount = 1, batchWaitUs = 0): number {
    this.buffers.topUp();
    let waitMs = timeoutMs;
    if (this.starved.length > 0) {
      if (!this.buffers.isEmpty) this.rearmStarved();
      else if (waitMs > STARVED_WAIT_MS) waitMs = STARVED_WAIT_MS;
    }
    if (this.detached.length > 0) waitMs = 0;
    this.queue.enter(waitMs, expectedCount, batchWaitUs);
    this.onAwake();
    let deliveredCount = this.drain();
    while (this.queue.isOverflown) {
      this.queue.enter(0, 1, 0);
      deliveredCount += this.drain();
    }
    if (this.quiet.count > 0) deliveredCount += this.completeQuietSends();
    if (this.detached.length > 0) deliveredCount += this.completeDetached();
    return deliveredCount;
  }

  destroy(): void {
    this.buffers.destroy();
    this.queue.destroy();
  }

  /** Adds a request of `handle` to the queue. The caller has called makeRoom(). */
  private request(
    handle: number,
    op: number,
    stateBit: number,
    head: number,
    offsetLow: number,
    address: number,
    length: number,
    opFlags: number,
  ): void {
    const { state, outstanding, fds, generations } = this.handles;
    state[handle] |= stateBit;
    outstanding[handle] += 1;
    const userLow = (handle << OP_SHIFT) | op;
    this.queue.push(head, fds[handle], offsetLow, address, length, opFlags, userLow, generations[handle]);
  }

  private prepareSend(handle: number, length: number, isUrgent: boolean): void {
    const { state, sendCounts, sendPositions } = this.handles;
    if ((state[handle] & SENDING) !== 0) throw new Error('a send is in flight already');
    sendCounts[handle] = length;
    if (isUrgent) return;
    const position = this.queue.position;
    sendPositions[handle] = position;
    this.quiet.add(handle, position);
  }

  private armReceive(handle: number): void {
    this.queue.makeRoom();
    this.request(handle, USER_RECEIVE, RECEIVE_ARMED, RECEIVE_HEAD, 0, 0, 0, 0);
  }

  private armWake(handle: number): void {
    this.queue.makeRoom();
    this.request(handle, USER_WAKE, 0, abi.OP_POLL_ADD, 0, 0, 0, POLLIN);
  }

  private cancelReceive(handle: number): void {
    this.handles.state[handle] |= RECEIVE_CANCELLED;
    this.cancel(handle, USER_RECEIVE);
  }

  private cancel(handle: number, op: number): void {
    this.queue.makeRoom();
    const high = this.handles.generations[handle];
    const low = handle << OP_SHIFT;
    this.queue.pushCancel(low | op, high, low | USER_CANCEL, high);
  }

  /** Receives that ran out of buffers start again now that there are some. */
  private rearmStarved(): void {
    const starved = this.starved;
    this.starved = [];
    const { state } = this.handles;
    for (const handle of starved) {
      // The handle may have had another owner since; its STARVED bit is then not set.
      if ((state[handle] & STARVED) === 0) continue;
      state[handle] &= ~STARVED;
      if ((state[handle] & (WANTS_RECEIVE | RECEIVE_ARMED)) === WANTS_RECEIVE) this.armReceive(handle);
    }
  }

  /** Delivers every completion in the queue, those included that callbacks add by submitting early. */
  private drain(): number {
    const queue = this.queue;
    const mask = queue.completionMask;
    const base = queue.completionBase;
    const words = queue.completionWords;
    let deliveredCount = 0;
    for (;;) {
      const tail = queue.loadCompletionTail();
      if (tail === this.completionHead) break;
      while (this.completionHead !== tail) {
        const at = base + ((this.completionHead & mask) << 2);
        const userLow = words[at];
        const generation = words[at + 1];
        const result = words[at + 2];
        const flags = words[at + 3];
        // Before the callback: should it throw, this completion is not delivered a second time.
        this.completionHead = (this.completionHead + 1) | 0;
        this.dispatch(userLow >>> OP_SHIFT, userLow & OP_MASK, generation, result, flags);
        deliveredCount++;
      }
      queue.storeCompletionHead(tail);
    }
    return deliveredCount;
  }

  private dispatch(handle: number, op: number, generation: number, result: number, flags: number): void {
    if (op === USER_CANCEL) return;
    if (this.handles.generations[handle] !== generation) {
      // Handles are freed only when the kernel has nothing left of them, so this is our mistake, not a race.
      throw new Error(`completion of an earlier owner of handle ${handle}`);
    }
    if (op === USER_RECEIVE) {
      this.completeReceive(handle, result, flags);
      return;
    }
    const { state, outstanding, sources } = this.handles;
    outstanding[handle] -= 1;
    const source = sources[handle];
    if (op === USER_WAKE) {
      this.completeWake(handle);
    } else if (op === USER_SEND) {
      state[handle] &= ~SENDING;
      source!.onSent(result);
    } else if (op === USER_WRITABLE) {
      state[handle] &= ~WRITABLE_ARMED;
      if ((state[handle] & DETACHING) === 0) source!.onWritable();
    } else if (op === USER_CONNECT) {
      state[handle] &= ~CONNECT_ARMED;
      if ((state[handle] & DETACHING) === 0) source!.onConnect(result < 0 ? -result : 0);
    }
    this.checkDetached(handle);
  }

  private completeReceive(handle: number, result: number, flags: number): void {
    const { state, outstanding, sources } = this.handles;
    if ((flags & abi.CQE_F_MORE) === 0) {
      outstanding[handle] -= 1;
      state[handle] &= ~(RECEIVE_ARMED | RECEIVE_CANCELLED);
    }
    if ((flags & abi.CQE_F_BUFFER) !== 0) {
      const buffer = flags >>> abi.CQE_BUFFER_SHIFT;
      this.buffers.noteTaken();
      if (result > 0) {
        const start = this.memory.start(buffer);
        sources[handle]!.onReceive(buffer, start, start + result);
      } else {
        this.memory.release(buffer);
      }
    }
    if ((flags & abi.CQE_F_MORE) !== 0) return;
    this.afterReceive(handle, result);
  }

  /** The multishot receive of `handle` is over, for reason `result`. */
  private afterReceive(handle: number, result: number): void {
    const { state, sources } = this.handles;
    if (result === -ENOBUFS) {
      if ((state[handle] & (STARVED | DETACHING)) === 0) {
        state[handle] |= STARVED;
        this.starved.push(handle);
      }
    } else if (result <= 0 && result !== -ECANCELED && result !== -EINTR && result !== -EAGAIN) {
      if ((state[handle] & RECEIVE_ENDED) === 0) {
        state[handle] |= RECEIVE_ENDED;
        // Not -result alone: of 0 that would be -0.
        sources[handle]!.onReceiveEnd(result < 0 ? -result : 0);
      }
    } else if ((state[handle] & (WANTS_RECEIVE | RECEIVE_ARMED)) === WANTS_RECEIVE) {
      this.armReceive(handle);
    }
    this.checkDetached(handle);
  }

  private completeWake(handle: number): void {
    read(this.handles.fds[handle], this.queue.ring.scratchAddress, 8);
    this.armWake(handle);
    this.wakes.get(handle)?.();
  }

  /** Sends that the kernel has executed without posting a completion have succeeded whole. */
  private completeQuietSends(): number {
    const table = this.handles;
    const { handles, positions, count } = this.quiet;
    // Only those that were there before: callbacks may add sends and even submit them, whose failures were not looked at yet.
    let executed = 0;
    while (executed < count && this.queue.isSubmitted(positions[executed])) executed++;
    let deliveredCount = 0;
    for (let i = 0; i < executed; i++) {
      const handle = handles[i];
      // Failed sends were delivered by their completion, and another may have taken their place. The arrays are
      // looked up anew each time: a callback that attaches may have replaced them by wider ones.
      if ((table.state[handle] & SENDING) === 0 || table.sendPositions[handle] !== positions[i]) continue;
      table.state[handle] &= ~SENDING;
      table.outstanding[handle] -= 1;
      deliveredCount++;
      table.sources[handle]!.onSent(table.sendCounts[handle]);
      this.checkDetached(handle);
    }
    this.quiet.drop(executed);
    return deliveredCount;
  }

  private checkDetached(handle: number): void {
    const { state, outstanding } = this.handles;
    if ((state[handle] & (DETACHING | DETACHED)) !== DETACHING || outstanding[handle] !== 0) return;
    state[handle] |= DETACHED;
    this.detached.push(handle);
  }

  private completeDetached(): number {
    const detached = this.detached;
    this.detached = [];
    for (const handle of detached) {
      const source = this.handles.sources[handle];
      this.handles.give(handle);
      source!.onDetached();
    }
    return detached.length;
  }
}
