/**
 * An IoDriver without a kernel: what a connection sends is shown to a peer at once, and what the peer says is
 * received in the next turn. Deterministic, and so cheap that a profile shows the proxy rather than sockets.
 */
import type { IoDriver, IoSource, KernelMemory } from '@pgdog-cluster/worker';

/** Turns without any event after which a bench is stuck: nothing here takes time. */
const IDLE_TURNS_MAX = 1000;
const LOOP_BYTES_MAX = 64;
const NOT_SENDING = -1;

/** The program at the other end of a socket. */
export interface Peer {
  socket: FakeSocket | null;
  /** Bytes that the proxy has sent; valid during the call. */
  handleBytes(bytes: Uint8Array, start: number, end: number): void;
}

/** One attached descriptor, both ends of it. */
export class FakeSocket {
  readonly source: IoSource;
  readonly peer: Peer;
  private readonly driver: FakeDriver;
  /** Kernel buffer that holds what was said and not received, -1 = none. */
  saidBuffer = -1;
  saidBytes = 0;
  isReady = false;
  isReceiving = false;
  isConnecting = false;
  sendingBytes: number = NOT_SENDING;

  constructor(driver: FakeDriver, source: IoSource, peer: Peer) {
    this.driver = driver;
    this.source = source;
    this.peer = peer;
    peer.socket = this;
  }

  /** What the proxy receives in the next turn. */
  say(bytes: Uint8Array): void {
    const { memory } = this.driver;
    if (this.saidBuffer < 0) this.saidBuffer = memory.allocateBig();
    const at = memory.start(this.saidBuffer) + this.saidBytes;
    this.saidBytes += bytes.length;
    if (this.saidBytes > memory.capacity(this.saidBuffer)) throw new RangeError('a fake peer says too much');
    if (bytes.length > LOOP_BYTES_MAX) memory.bytes.set(bytes, at);
    else for (let i = 0; i < bytes.length; i++) memory.bytes[at + i] = bytes[i];
    this.driver.markReady(this);
  }
}

export class FakeDriver implements IoDriver {
  readonly name = 'epoll';
  readonly memory: KernelMemory;
  readonly descriptors: readonly number[] = [];
  onAwake: () => void = () => {};
  /** Makes what is at the other end of a descriptor. */
  private readonly peerOf: (fd: number) => Peer;
  private readonly sockets: FakeSocket[] = [];
  /** Lists keep their length, so that a bench's allocations are the proxy's. */
  private ready: FakeSocket[] = [];
  private readyCount = 0;
  private visiting: FakeSocket[] = [];
  private readonly sending: FakeSocket[] = [];
  private sendingCount = 0;
  private readonly detached: IoSource[] = [];
  private readonly vectorBytes = new Uint8Array(64 * 1024);
  private idleTurns = 0;

  constructor(memory: KernelMemory, peerOf: (fd: number) => Peer) {
    this.memory = memory;
    this.peerOf = peerOf;
  }

  attach(fd: number, source: IoSource): number {
    this.sockets.push(new FakeSocket(this, source, this.peerOf(fd)));
    return this.sockets.length - 1;
  }

  detach(handle: number): void {
    this.detached.push(this.sockets[handle].source);
  }

  connect(handle: number): void {
    this.sockets[handle].isConnecting = true;
    this.markReady(this.sockets[handle]);
  }

  startReceive(handle: number): void {
    const socket = this.sockets[handle];
    socket.isReceiving = true;
    if (socket.saidBytes > 0) this.markReady(socket);
  }

  stopReceive(handle: number): void {
    this.sockets[handle].isReceiving = false;
  }

  send(handle: number, offset: number, length: number): void {
    const socket = this.sockets[handle];
    this.startSending(socket, length);
    socket.peer.handleBytes(this.memory.bytes, offset, offset + length);
  }

  sendVector(handle: number, offsets: Int32Array, lengths: Int32Array, count: number): void {
    const socket = this.sockets[handle];
    let total = 0;
    for (let i = 0; i < count; i++) {
      this.vectorBytes.set(this.memory.bytes.subarray(offsets[i], offsets[i] + lengths[i]), total);
      total += lengths[i];
    }
    this.startSending(socket, total);
    socket.peer.handleBytes(this.vectorBytes, 0, total);
  }

  waitWritable(): void {
    throw new Error('a fake socket is never full');
  }

  watchEventFd(): void {}
  watchListener(): void {}
  unwatchListener(): void {}

  turn(): number {
    this.onAwake();
    const sentCount = this.sendingCount;
    this.sendingCount = 0;
    for (let i = 0; i < sentCount; i++) {
      const socket = this.sending[i];
      const { sendingBytes } = socket;
      socket.sendingBytes = NOT_SENDING;
      socket.source.onSent(sendingBytes);
    }
    const list = this.ready;
    const readyCount = this.readyCount;
    this.ready = this.visiting;
    this.readyCount = 0;
    this.visiting = list;
    for (let i = 0; i < readyCount; i++) this.deliver(list[i]);
    const count = sentCount + readyCount + this.detached.length;
    for (const source of this.detached) source.onDetached();
    if (this.detached.length > 0) this.detached.length = 0;
    this.idleTurns = count > 0 ? 0 : this.idleTurns + 1;
    if (this.idleTurns > IDLE_TURNS_MAX)
      throw new Error('everybody waits: the answer to something is missing');
    return count;
  }

  destroy(): void {}

  markReady(socket: FakeSocket): void {
    if (socket.isReady) return;
    socket.isReady = true;
    this.ready[this.readyCount++] = socket;
  }

  private startSending(socket: FakeSocket, length: number): void {
    if (socket.sendingBytes !== NOT_SENDING) throw new Error('a send is in flight already');
    socket.sendingBytes = length;
    this.sending[this.sendingCount++] = socket;
  }

  private deliver(socket: FakeSocket): void {
    socket.isReady = false;
    if (socket.isConnecting) {
      socket.isConnecting = false;
      socket.source.onConnect(0);
    }
    if (!socket.isReceiving || socket.saidBytes === 0) return;
    const { saidBuffer, saidBytes } = socket;
    socket.saidBuffer = -1;
    socket.saidBytes = 0;
    const start = this.memory.start(saidBuffer);
    socket.source.onReceive(saidBuffer, start, start + saidBytes);
  }
}
