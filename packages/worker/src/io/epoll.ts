import * as abi from './epoll-abi.js';
import { EAGAIN, EINPROGRESS, EINTR, ENOBUFS, SystemCallError } from './errno.js';
import { HandleTable } from './handle-table.js';
import type { IoDriver, IoSource } from './io-driver.js';
import { type KernelMemory, mapPrivate } from './kernel-memory.js';
import {
  close,
  connect,
  epollCreate1,
  epollCtl,
  epollWait,
  errno,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  read,
  recv,
  send,
  sendmsg,
  viewOf,
} from './libc.js';
import { MessageVector } from './message-vector.js';
import { setNonBlocking, socketError } from './socket-options.js';
import { type Watch, WatchTable } from './watch-table.js';

const EVENTS_MAX = 1024;
const EVENT_AREA_BYTES = EVENTS_MAX * 16;
/** After the events: one event for epoll_ctl, then 8 bytes for reading an eventfd. */
const CONTROL_OFFSET = EVENT_AREA_BYTES;
const COUNTER_OFFSET = EVENT_AREA_BYTES + 64;

/** Buffers one connection may fill in a turn, so that a fast sender does not starve the others. */
const RECEIVES_PER_TURN_MAX = 8;
/** Without free buffers only their owners can help; they are asked again this often. */
const STARVED_WAIT_MS = 10;

// State bits of a handle. READABLE and WRITABLE are what the edges said and no call has disproved since.
const WANTS_RECEIVE = 1;
const READABLE = 2;
/** The peer has closed, or there is an error: a short read is no proof any more that nothing is left. */
const HUNG_UP = 4;
const WRITABLE = 8;
const WANTS_WRITABLE = 16;
const CONNECTING = 32;
const RECEIVE_ENDED = 64;
const SENDING = 128;
const REGISTERED = 256;
const DETACHING = 512;
/** In the list of handles to look at although no event comes. */
const READY = 1024;
const WATCH = 2048;

/**
 * The epoll driver, for kernels or containers without io_uring. Each socket is registered once, edge-triggered
 * for both directions; from then on the state bits say what a socket can do. A message costs one recv and one
 * send: a read that does not fill its buffer has emptied the socket, and the next bytes make a new edge.
 */
export class EpollDriver implements IoDriver {
  readonly name = 'epoll';
  readonly memory: KernelMemory;
  onAwake: () => void = () => {};
  private readonly epollFd: number;
  private readonly events: Int32Array;
  private readonly eventsAddress: number;
  private readonly vectors: MessageVector = new MessageVector(1);
  private readonly handles: HandleTable = new HandleTable();
  private readonly watches: WatchTable = new WatchTable();
  /** Handles whose send has been executed and not reported. */
  private sent: number[] = [];
  private sentCount: number = 0;
  private reporting: number[] = [];
  private hasUrgentResult: boolean = false;
  /** Handles with the READY bit, and their generations. */
  private ready: number[] = [];
  private detached: number[] = [];
  private isStarved: boolean = false;

  /** Throws SystemCallError. */
  constructor(memory: KernelMemory) {
    this.memory = memory;
    this.epollFd = epollCreate1(abi.EPOLL_CLOEXEC);
    if (this.epollFd < 0) throw new SystemCallError('epoll_create1', errno());
    const length = EVENT_AREA_BYTES + 128;
    this.eventsAddress = mapPrivate(length);
    this.events = new Int32Array(viewOf(this.eventsAddress, length));
  }

  get descriptors(): readonly number[] {
    return [this.epollFd];
  }

  attach(fd: number, source: IoSource): number {
    return this.handles.take(fd, source);
  }

  detach(handle: number): void {
    const { state, fds } = this.handles;
    const bits = state[handle];
    if ((bits & DETACHING) !== 0) return;
    state[handle] = (bits & ~(WANTS_RECEIVE | WANTS_WRITABLE)) | DETACHING;
    if ((bits & REGISTERED) !== 0) epollCtl(this.epollFd, abi.CTL_DEL, fds[handle], this.eventsAddress);
    this.detached.push(handle);
  }

  connect(handle: number, sockaddr: Uint8Array): void {
    const { state, fds, sendCounts } = this.handles;
    const result = connect(fds[handle], sockaddr, sockaddr.length);
    const reason = result === 0 ? 0 : errno();
    state[handle] |= CONNECTING;
    if (reason === EINPROGRESS || reason === EINTR) {
      // Registered only now: an unconnected socket would report a hang-up.
      this.register(handle);
      return;
    }
    // Decided at once (local sockets, no route): the caller still hears it inside turn().
    sendCounts[handle] = reason;
    this.addReady(handle);
  }

  startReceive(handle: number): void {
    const { state } = this.handles;
    const bits = state[handle];
    if ((bits & (RECEIVE_ENDED | DETACHING)) !== 0) return;
    state[handle] = bits | WANTS_RECEIVE;
    if ((bits & REGISTERED) === 0) this.register(handle);
    else if ((bits & READABLE) !== 0) this.addReady(handle);
  }

  stopReceive(handle: number): void {
    this.handles.state[handle] &= ~WANTS_RECEIVE;
  }

  send(handle: number, offset: number, length: number, isUrgent: boolean): void {
    const result = send(
      this.handles.fds[handle],
      this.memory.address + offset,
      length,
      MSG_DONTWAIT | MSG_NOSIGNAL,
    );
    this.noteSent(handle, result, length, isUrgent);
  }

  sendVector(
    handle: number,
    offsets: Int32Array,
    lengths: Int32Array,
    count: number,
    isUrgent: boolean,
  ): void {
    let total = 0;
    for (let i = 0; i < count; i++) total += lengths[i];
    const message = this.vectors.fill(0, this.memory.address, offsets, lengths, count);
    const result = sendmsg(this.handles.fds[handle], message, MSG_DONTWAIT | MSG_NOSIGNAL);
    this.noteSent(handle, result, total, isUrgent);
  }

  waitWritable(handle: number): void {
    const { state } = this.handles;
    const bits = state[handle];
    if ((bits & DETACHING) !== 0) return;
    state[handle] = bits | WANTS_WRITABLE;
    if ((bits & REGISTERED) === 0) this.register(handle);
    else if ((bits & WRITABLE) !== 0) this.addReady(handle);
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
    if (handle < 0) return;
    epollCtl(this.epollFd, abi.CTL_DEL, fd, this.eventsAddress);
    this.handles.give(handle);
  }

  /** epoll cannot wait for several events: expectedCount is of no use here. */
  turn(timeoutMs: number): number {
    const eventCount = epollWait(this.epollFd, this.eventsAddress, EVENTS_MAX, this.waitMs(timeoutMs));
    if (eventCount < 0) {
      const reason = errno();
      if (reason !== EINTR) throw new SystemCallError('epoll_wait', reason);
    }
    this.onAwake();
    // Results before events: whoever now waits for a full socket must not miss the event that it has room.
    let deliveredCount = this.sentCount > 0 ? this.reportSent() : 0;
    if (this.ready.length > 0) deliveredCount += this.visitReady();
    for (let i = 0; i < eventCount; i++) {
      const at = i * abi.EVENT_WORDS;
      const bits = this.events[at];
      const handle = this.events[at + abi.DATA_WORD];
      const generation = this.events[at + abi.DATA_WORD + 1];
      if (this.handles.generations[handle] === generation) deliveredCount += this.takeEvent(handle, bits);
    }
    if (this.detached.length > 0) deliveredCount += this.completeDetached();
    return deliveredCount;
  }

  destroy(): void {
    close(this.epollFd);
  }

  private waitMs(timeoutMs: number): number {
    if (this.hasUrgentResult || this.detached.length > 0) return 0;
    if (this.isStarved) return Math.min(timeoutMs, STARVED_WAIT_MS);
    // Rounded up: a timer due in half a millisecond must not make the loop spin.
    return this.ready.length > 0 ? 0 : Math.ceil(timeoutMs);
  }

  private watch(watch: Watch): void {
    const handle = this.handles.take(watch.fd, null);
    this.handles.state[handle] = WATCH;
    this.watches.add(handle, watch);
    // Level-triggered: as long as something is there.
    this.register(handle, watch.isCounter ? abi.EPOLLIN : abi.EPOLLIN | abi.EPOLLEXCLUSIVE);
  }

  private register(handle: number, interest = abi.SOCKET_INTEREST): void {
    const { state, fds, generations } = this.handles;
    const at = CONTROL_OFFSET >> 2;
    this.events[at] = interest;
    this.events[at + abi.DATA_WORD] = handle;
    this.events[at + abi.DATA_WORD + 1] = generations[handle];
    const address = this.eventsAddress + CONTROL_OFFSET;
    state[handle] |= REGISTERED;
    if (epollCtl(this.epollFd, abi.CTL_ADD, fds[handle], address) < 0) {
      throw new SystemCallError('epoll_ctl', errno());
    }
  }

  private addReady(handle: number): void {
    const { state } = this.handles;
    if ((state[handle] & (READY | DETACHING)) !== 0) return;
    state[handle] |= READY;
    this.ready.push(handle);
  }

  private noteSent(handle: number, result: number, length: number, isUrgent: boolean): void {
    const { state, sendCounts } = this.handles;
    if ((state[handle] & SENDING) !== 0) throw new Error('a send is in flight already');
    state[handle] |= SENDING;
    let outcome = result;
    if (result < length) {
      outcome = result < 0 ? -errno() : result;
      // The kernel has noted that we met a full socket and will make an edge.
      state[handle] &= ~WRITABLE;
    }
    if (isUrgent || outcome !== length) this.hasUrgentResult = true;
    sendCounts[handle] = outcome;
    this.sent[this.sentCount++] = handle;
  }

  private reportSent(): number {
    const list = this.sent;
    const count = this.sentCount;
    this.sent = this.reporting;
    this.reporting = list;
    this.sentCount = 0;
    this.hasUrgentResult = false;
    for (let i = 0; i < count; i++) {
      const handle = list[i];
      this.handles.state[handle] &= ~SENDING;
      this.handles.sources[handle]!.onSent(this.handles.sendCounts[handle]);
    }
    return count;
  }

  /** Handles that need no event: buffers' budget was used up, receiving began again, connect() ended at once. */
  private visitReady(): number {
    const list = this.ready;
    this.ready = [];
    this.isStarved = false;
    let deliveredCount = 0;
    for (const handle of list) {
      // A detached handle, or its next owner, has not the bit.
      if ((this.handles.state[handle] & READY) === 0) continue;
      this.handles.state[handle] &= ~READY;
      deliveredCount += this.serve(handle);
    }
    return deliveredCount;
  }

  private takeEvent(handle: number, bits: number): number {
    const { state } = this.handles;
    if ((state[handle] & WATCH) !== 0) {
      const watch = this.watches.at(handle)!;
      if (watch.isCounter) read(watch.fd, this.eventsAddress + COUNTER_OFFSET, 8);
      watch.onReadable();
      return 1;
    }
    if ((bits & abi.EPOLLOUT) !== 0) state[handle] |= WRITABLE;
    if ((bits & abi.EPOLLIN) !== 0) state[handle] |= READABLE;
    if ((bits & (abi.EPOLLRDHUP | abi.EPOLLHUP | abi.EPOLLERR)) !== 0)
      state[handle] |= READABLE | WRITABLE | HUNG_UP;
    if ((state[handle] & CONNECTING) !== 0) {
      this.handles.sendCounts[handle] = socketError(this.handles.fds[handle]);
    }
    return this.serve(handle);
  }

  /** Does what the state of `handle` allows and its source has asked for. */
  private serve(handle: number): number {
    const table = this.handles;
    let deliveredCount = 0;
    const bits = table.state[handle];
    if ((bits & DETACHING) !== 0) return 0;
    if ((bits & CONNECTING) !== 0) {
      table.state[handle] &= ~CONNECTING;
      table.sources[handle]!.onConnect(table.sendCounts[handle]);
      deliveredCount++;
    } else if ((bits & (WANTS_WRITABLE | WRITABLE)) === (WANTS_WRITABLE | WRITABLE)) {
      table.state[handle] &= ~WANTS_WRITABLE;
      table.sources[handle]!.onWritable();
      deliveredCount++;
    }
    if ((table.state[handle] & (WANTS_RECEIVE | READABLE)) === (WANTS_RECEIVE | READABLE)) {
      deliveredCount += this.receive(handle);
    }
    return deliveredCount;
  }

  /** Reads until the socket is empty, the budget is used up or the source has enough. */
  private receive(handle: number): number {
    const table = this.handles;
    const memory = this.memory;
    const source = table.sources[handle]!;
    const fd = table.fds[handle];
    for (let count = 0; count < RECEIVES_PER_TURN_MAX; count++) {
      const buffer = memory.allocateBigAboveReserve();
      if (buffer < 0) {
        this.isStarved = true;
        break;
      }
      const start = memory.start(buffer);
      const capacity = memory.capacity(buffer);
      const result = recv(fd, memory.address + start, capacity, MSG_DONTWAIT);
      if (result <= 0) {
        memory.release(buffer);
        if (result < 0) {
          const reason = errno();
          if (reason === EINTR || reason === ENOBUFS) continue;
          if (reason === EAGAIN) {
            table.state[handle] &= ~READABLE;
            return count;
          }
          this.endReceive(handle, source, reason);
        } else {
          this.endReceive(handle, source, 0);
        }
        return count + 1;
      }
      const isEmptied = result < capacity && (table.state[handle] & HUNG_UP) === 0;
      if (isEmptied) table.state[handle] &= ~READABLE;
      source.onReceive(buffer, start, start + result);
      if (isEmptied || (table.state[handle] & WANTS_RECEIVE) === 0) return count + 1;
    }
    this.addReady(handle);
    return RECEIVES_PER_TURN_MAX;
  }

  private endReceive(handle: number, source: IoSource, reason: number): void {
    const { state } = this.handles;
    state[handle] = (state[handle] & ~(WANTS_RECEIVE | READABLE)) | RECEIVE_ENDED;
    source.onReceiveEnd(reason);
  }

  private completeDetached(): number {
    // A send of this turn's callbacks may not have been reported yet; its handle waits for the next turn.
    const list = this.detached;
    this.detached = [];
    let count = 0;
    for (const handle of list) {
      if ((this.handles.state[handle] & SENDING) !== 0) {
        this.detached.push(handle);
        continue;
      }
      const source = this.handles.sources[handle];
      this.handles.give(handle);
      count++;
      source!.onDetached();
    }
    return count;
  }
}
