import { EAGAIN, ECANCELED, EINTR, ENOBUFS } from './errno.js';
import { HandleTable } from './handle-table.js';
import type { IoDriver, IoSource } from './io-driver.js';
import type { KernelMemory } from './kernel-memory.js';
import { read } from './libc.js';
import { MessageVector } from './message-vector.js';
import { QuietSends } from './quiet-sends.js';
import { setNonBlocking } from './socket-options.js';
import * as abi from './uring-abi.js';
import { UringBuffers } from './uring-buffers.js';
import { UringQueue } from './uring-queue.js';
import * as req from './uring-requests.js';
import { type Watch, WatchTable } from './watch-table.js';

const SUBMISSION_COUNT = 1024;
const COMPLETION_COUNT = 8192;
/** 256 * 16 KB: more than one turn of a busy worker receives. */
const RECEIVE_BUFFERS_DEFAULT = 256;
/** Without free buffers only their owners can help; they are asked again this often. */
const STARVED_WAIT_MS = 10;

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
  private readonly watches: WatchTable = new WatchTable();
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
    if ((bits & req.DETACHING) !== 0) return;
    state[handle] = (bits & ~req.WANTS_RECEIVE) | req.DETACHING;
    if ((bits & (req.RECEIVE_ARMED | req.RECEIVE_CANCELLED)) === req.RECEIVE_ARMED)
      this.cancelReceive(handle);
    if ((bits & req.WRITABLE_ARMED) !== 0) this.cancel(handle, req.USER_WRITABLE);
    if ((bits & req.CONNECT_ARMED) !== 0) this.cancel(handle, req.USER_CONNECT);
    this.checkDetached(handle);
  }

  connect(handle: number, sockaddr: Uint8Array): void {
    this.queue.makeRoom();
    const address = this.vectors.fillSockaddr(this.queue.nextSlot, sockaddr);
    // The length of the address travels where others have a file offset.
    this.request(handle, req.USER_CONNECT, req.CONNECT_ARMED, abi.OP_CONNECT, sockaddr.length, address, 0, 0);
  }

  startReceive(handle: number): void {
    const { state } = this.handles;
    const bits = state[handle];
    if ((bits & (req.RECEIVE_ENDED | req.DETACHING)) !== 0) return;
    state[handle] = bits | req.WANTS_RECEIVE;
    if ((bits & (req.RECEIVE_ARMED | req.STARVED)) === 0) this.armReceive(handle);
  }

  stopReceive(handle: number): void {
    const { state } = this.handles;
    const bits = state[handle] & ~req.WANTS_RECEIVE;
    state[handle] = bits;
    if ((bits & (req.RECEIVE_ARMED | req.RECEIVE_CANCELLED)) === req.RECEIVE_ARMED)
      this.cancelReceive(handle);
  }

  send(handle: number, offset: number, length: number, isUrgent: boolean): void {
    this.queue.makeRoom();
    this.prepareSend(handle, length, isUrgent);
    const head = isUrgent ? abi.OP_SEND : abi.OP_SEND | req.SKIP_SUCCESS;
    const address = this.memory.address + offset;
    this.request(handle, req.USER_SEND, req.SENDING, head, 0, address, length, req.SEND_FLAGS);
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
    const head = isUrgent ? abi.OP_SENDMSG : abi.OP_SENDMSG | req.SKIP_SUCCESS;
    const slot = this.queue.nextSlot;
    const address = this.vectors.fill(slot, this.memory.address, offsets, lengths, count);
    this.request(handle, req.USER_SEND, req.SENDING, head, 0, address, 1, req.SEND_FLAGS);
  }

  waitWritable(handle: number): void {
    if ((this.handles.state[handle] & (req.WRITABLE_ARMED | req.DETACHING)) !== 0) return;
    this.queue.makeRoom();
    this.request(handle, req.USER_WRITABLE, req.WRITABLE_ARMED, abi.OP_POLL_ADD, 0, 0, 0, req.POLLOUT);
  }

  watchEventFd(fd: number, onWake: () => void): void {
    // A read of the counter must never block the thread, whoever made the descriptor.
    setNonBlocking(fd);
    this.watch({ fd, isCounter: true, onReadable: onWake });
  }

  watchListener(fd: number, onReadable: () => void): void {
    this.unwatchListener(fd);
    this.watch({ fd, isCounter: false, onReadable });
  }

  unwatchListener(fd: number): void {
    const handle = this.watches.remove(fd);
    if (handle >= 0) this.cancel(handle, req.USER_WATCH);
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
    const userLow = (handle << req.OP_SHIFT) | op;
    this.queue.push(head, fds[handle], offsetLow, address, length, opFlags, userLow, generations[handle]);
  }

  private prepareSend(handle: number, length: number, isUrgent: boolean): void {
    const { state, sendCounts, sendPositions } = this.handles;
    if ((state[handle] & req.SENDING) !== 0) throw new Error('a send is in flight already');
    sendCounts[handle] = length;
    if (isUrgent) return;
    const position = this.queue.position;
    sendPositions[handle] = position;
    this.quiet.add(handle, position);
  }

  private armReceive(handle: number): void {
    this.queue.makeRoom();
    this.request(handle, req.USER_RECEIVE, req.RECEIVE_ARMED, req.RECEIVE_HEAD, 0, 0, 0, 0);
  }

  private watch(watch: Watch): void {
    const handle = this.handles.take(watch.fd, null);
    this.watches.add(handle, watch);
    this.armWatch(handle, watch);
  }

  private armWatch(handle: number, { isCounter }: Watch): void {
    this.queue.makeRoom();
    const events = isCounter ? req.POLLIN : req.POLLIN | req.POLLEXCLUSIVE;
    this.request(handle, req.USER_WATCH, 0, abi.OP_POLL_ADD, 0, 0, 0, events);
  }

  private cancelReceive(handle: number): void {
    this.handles.state[handle] |= req.RECEIVE_CANCELLED;
    this.cancel(handle, req.USER_RECEIVE);
  }

  private cancel(handle: number, op: number): void {
    this.queue.makeRoom();
    const high = this.handles.generations[handle];
    const low = handle << req.OP_SHIFT;
    this.queue.pushCancel(low | op, high, low | req.USER_CANCEL, high);
  }

  /** Receives that ran out of buffers start again now that there are some. */
  private rearmStarved(): void {
    const starved = this.starved;
    this.starved = [];
    const { state } = this.handles;
    for (const handle of starved) {
      // The handle may have had another owner since; its req.STARVED bit is then not set.
      if ((state[handle] & req.STARVED) === 0) continue;
      state[handle] &= ~req.STARVED;
      if ((state[handle] & (req.WANTS_RECEIVE | req.RECEIVE_ARMED)) === req.WANTS_RECEIVE)
        this.armReceive(handle);
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
        this.dispatch(userLow >>> req.OP_SHIFT, userLow & req.OP_MASK, generation, result, flags);
        deliveredCount++;
      }
      queue.storeCompletionHead(tail);
    }
    return deliveredCount;
  }

  private dispatch(handle: number, op: number, generation: number, result: number, flags: number): void {
    if (op === req.USER_CANCEL) return;
    if (this.handles.generations[handle] !== generation) {
      // Handles are freed only when the kernel has nothing left of them, so this is our mistake, not a race.
      throw new Error(`completion of an earlier owner of handle ${handle}`);
    }
    if (op === req.USER_RECEIVE) {
      this.completeReceive(handle, result, flags);
      return;
    }
    const { state, outstanding, sources } = this.handles;
    outstanding[handle] -= 1;
    const source = sources[handle];
    if (op === req.USER_WATCH) {
      this.completeWatch(handle);
    } else if (op === req.USER_SEND) {
      state[handle] &= ~req.SENDING;
      source!.onSent(result);
    } else if (op === req.USER_WRITABLE) {
      state[handle] &= ~req.WRITABLE_ARMED;
      if ((state[handle] & req.DETACHING) === 0) source!.onWritable();
    } else if (op === req.USER_CONNECT) {
      state[handle] &= ~req.CONNECT_ARMED;
      if ((state[handle] & req.DETACHING) === 0) source!.onConnect(result < 0 ? -result : 0);
    }
    this.checkDetached(handle);
  }

  private completeReceive(handle: number, result: number, flags: number): void {
    const { state, outstanding, sources } = this.handles;
    if ((flags & abi.CQE_F_MORE) === 0) {
      outstanding[handle] -= 1;
      state[handle] &= ~(req.RECEIVE_ARMED | req.RECEIVE_CANCELLED);
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
      if ((state[handle] & (req.STARVED | req.DETACHING)) === 0) {
        state[handle] |= req.STARVED;
        this.starved.push(handle);
      }
    } else if (result <= 0 && result !== -ECANCELED && result !== -EINTR && result !== -EAGAIN) {
      if ((state[handle] & req.RECEIVE_ENDED) === 0) {
        state[handle] |= req.RECEIVE_ENDED;
        // Not -result alone: of 0 that would be -0.
        sources[handle]!.onReceiveEnd(result < 0 ? -result : 0);
      }
    } else if ((state[handle] & (req.WANTS_RECEIVE | req.RECEIVE_ARMED)) === req.WANTS_RECEIVE) {
      this.armReceive(handle);
    }
    this.checkDetached(handle);
  }

  private completeWatch(handle: number): void {
    const watch = this.watches.at(handle);
    if (watch === undefined) {
      this.handles.give(handle);
      return;
    }
    if (watch.isCounter) read(watch.fd, this.queue.ring.scratchAddress, 8);
    this.armWatch(handle, watch);
    watch.onReadable();
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
      if ((table.state[handle] & req.SENDING) === 0 || table.sendPositions[handle] !== positions[i]) continue;
      table.state[handle] &= ~req.SENDING;
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
    if ((state[handle] & (req.DETACHING | req.DETACHED)) !== req.DETACHING || outstanding[handle] !== 0)
      return;
    state[handle] |= req.DETACHED;
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
