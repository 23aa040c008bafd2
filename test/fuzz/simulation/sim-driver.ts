/**
 * An IoDriver without a kernel, at the mercy of a seed: sends are taken in part or not at all, bytes arrive in
 * pieces and late, peers vanish. Bytes in flight are read when the send ends and not when it begins, so that a
 * buffer that is given back too early shows as wrong bytes.
 */
import type { IoDriver, IoSource, KernelMemory } from '@pgdog-cluster/worker';
import type { FuzzRandom } from '../fuzz-random.js';

const EAGAIN = 11;
const ECONNRESET = 104;
const ECONNREFUSED = 111;
const CHUNK_BYTES_MAX = 16 * 1024;

/** What a peer can do with its end of a connection. */
export interface PeerSocket {
  say(bytes: Buffer): void;
  end(): void;
  reset(): void;
}

/** The program at the other end. */
export interface SimPeer {
  socket: PeerSocket | null;
  attach(socket: SimSocket): void;
  /** connect() has succeeded, or the accepted descriptor was attached. */
  opened(): void;
  /** Bytes that the proxy has sent; the peer's to keep. */
  receive(bytes: Buffer): void;
  /** The proxy has closed its end. */
  closed(): void;
}

interface SendInFlight {
  offsets: number[];
  lengths: number[];
}

/** One attached descriptor, both ends of it. */
export class SimSocket implements PeerSocket {
  readonly fd: number;
  readonly source: IoSource;
  readonly peer: SimPeer;
  readonly toProxy: Buffer[] = [];
  /** Errno with which the stream ends behind `toProxy`; null while it does not. */
  ending: number | null = null;
  isEndTold = false;
  isReceiving = false;
  connecting: 'no' | 'accepted' | 'refused' = 'no';
  sending: SendInFlight | null = null;
  isWaitingWritable = false;
  isDetaching = false;
  /** The peer reads nothing at the moment. */
  isPeerStalled = false;

  constructor(fd: number, source: IoSource, peer: SimPeer) {
    this.fd = fd;
    this.source = source;
    this.peer = peer;
    peer.attach(this);
  }

  say(bytes: Buffer): void {
    if (this.ending === null && bytes.length > 0) this.toProxy.push(bytes);
  }

  end(errno = 0): void {
    this.ending ??= errno;
  }

  reset(): void {
    this.toProxy.length = 0;
    this.end(ECONNRESET);
  }
}

export class SimDriver implements IoDriver {
  readonly name = 'epoll';
  readonly memory: KernelMemory;
  readonly descriptors: readonly number[] = [];
  onAwake: () => void = () => {};
  readonly sockets = new Map<number, SimSocket>();
  /** Peers act here, before anything is delivered. */
  onTurn: () => void = () => {};
  isRefusingConnects = false;
  private readonly random: FuzzRandom;
  private readonly peerOf: (fd: number) => SimPeer;
  private nextHandle = 0;

  constructor(memory: KernelMemory, random: FuzzRandom, peerOf: (fd: number) => SimPeer) {
    this.memory = memory;
    this.random = random;
    this.peerOf = peerOf;
  }

  watchListener(): void {}

  unwatchListener(): void {}

  attach(fd: number, source: IoSource): number {
    const handle = this.nextHandle++;
    this.sockets.set(handle, new SimSocket(fd, source, this.peerOf(fd)));
    return handle;
  }

  detach(handle: number): void {
    this.at(handle).isDetaching = true;
  }

  connect(handle: number): void {
    this.at(handle).connecting = this.isRefusingConnects && this.random.oneIn(2) ? 'refused' : 'accepted';
  }

  startReceive(handle: number): void {
    this.at(handle).isReceiving = true;
  }

  stopReceive(handle: number): void {
    this.at(handle).isReceiving = false;
  }

  send(handle: number, offset: number, length: number): void {
    this.startSending(handle, [offset], [length]);
  }

  sendVector(handle: number, offsets: Int32Array, lengths: Int32Array, count: number): void {
    this.startSending(handle, [...offsets.subarray(0, count)], [...lengths.subarray(0, count)]);
  }

  waitWritable(handle: number): void {
    this.at(handle).isWaitingWritable = true;
  }

  watchEventFd(): void {}

  turn(): number {
    this.onAwake();
    this.onTurn();
    let count = 0;
    for (const [handle, socket] of [...this.sockets]) {
      // Not everybody's turn: results and bytes of different sockets meet in every order.
      if (this.random.oneIn(3)) continue;
      count += this.deliver(handle, socket);
    }
    return count;
  }

  destroy(): void {}

  private at(handle: number): SimSocket {
    const socket = this.sockets.get(handle);
    if (socket === undefined) throw new Error(`handle ${handle} is not attached`);
    return socket;
  }

  private startSending(handle: number, offsets: number[], lengths: number[]): void {
    const socket = this.at(handle);
    if (socket.sending !== null) throw new Error('a send is in flight already');
    if (socket.isDetaching) throw new Error('a send after detach()');
    socket.sending = { offsets, lengths };
  }

  private deliver(handle: number, socket: SimSocket): number {
    let count = 0;
    if (socket.sending !== null) count += this.deliverSent(socket, socket.sending);
    if (socket.isDetaching) {
      if (socket.sending !== null) return count;
      this.sockets.delete(handle);
      socket.source.onDetached();
      socket.peer.closed();
      return count + 1;
    }
    if (socket.connecting !== 'no') {
      const isRefused = socket.connecting === 'refused';
      socket.connecting = 'no';
      socket.source.onConnect(isRefused ? ECONNREFUSED : 0);
      if (!isRefused) socket.peer.opened();
      return count + 1;
    }
    if (socket.isWaitingWritable && !socket.isPeerStalled) {
      socket.isWaitingWritable = false;
      socket.source.onWritable();
      count++;
    }
    // Bytes already on their way may come after stopReceive.
    if ((socket.isReceiving || this.random.oneIn(20)) && !socket.isDetaching)
      count += this.deliverBytes(socket);
    return count;
  }

  private deliverSent(socket: SimSocket, { offsets, lengths }: SendInFlight): number {
    const total = lengths.reduce((sum, length) => sum + length, 0);
    socket.sending = null;
    if (socket.ending !== null && socket.ending !== 0) {
      socket.source.onSent(-socket.ending);
      return 1;
    }
    if (socket.isPeerStalled) {
      socket.source.onSent(-EAGAIN);
      return 1;
    }
    const taken = this.random.oneIn(8) ? this.random.below(total + 1) : total;
    const bytes = Buffer.concat(
      offsets.map((offset, i) => this.memory.bytes.subarray(offset, offset + (lengths[i] ?? 0))),
    ).subarray(0, taken);
    socket.source.onSent(taken === 0 ? -EAGAIN : taken);
    if (taken > 0) socket.peer.receive(Buffer.from(bytes));
    return 1;
  }

  private deliverBytes(socket: SimSocket): number {
    const next = socket.toProxy[0];
    if (next === undefined) {
      if (socket.ending === null || socket.isEndTold || !socket.isReceiving) return 0;
      socket.isEndTold = true;
      socket.source.onReceiveEnd(socket.ending);
      return 1;
    }
    const buffer = this.memory.allocateBigAboveReserve();
    if (buffer < 0) return 0;
    const size = Math.min(
      next.length,
      CHUNK_BYTES_MAX,
      this.random.oneIn(4) ? 1 + this.random.below(30) : CHUNK_BYTES_MAX,
    );
    const start = this.memory.start(buffer);
    this.memory.bytes.set(next.subarray(0, size), start);
    if (size === next.length) socket.toProxy.shift();
    else socket.toProxy[0] = next.subarray(size);
    socket.source.onReceive(buffer, start, start + size);
    return 1;
  }
}
