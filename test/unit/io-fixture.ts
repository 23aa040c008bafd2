import {
  Connection,
  type ConnectionOwner,
  EpollDriver,
  type IoDriver,
  ipSockaddr,
  KernelMemory,
  type KernelMemoryOptions,
  libc,
  localAddress,
  OutputQueueSet,
  openStreamSocket,
  UringDriver,
} from '@pgdog-cluster/worker';
import { PATIENCE_MS } from '../support/patience.js';

export type DriverName = 'io_uring' | 'epoll';

/** Does the kernel let us have a ring? Asked of the kernel and not of the driver's self-test, whose failure must not hide a fault. */
export const hasUring = canOpenUring();

/** Both drivers where both can be had; the names of the tests tell. */
export const driverNames: DriverName[] = hasUring ? ['io_uring', 'epoll'] : ['epoll'];

function canOpenUring(): boolean {
  try {
    new UringDriver(new KernelMemory({ bigCount: 8, smallCount: 8 }), { receiveBuffersMax: 2 }).destroy();
    return true;
  } catch {
    return false;
  }
}

/** One driver with its memory and output set, as a worker has them. */
export class Rig {
  readonly memory: KernelMemory;
  readonly driver: IoDriver;
  readonly outputs: OutputQueueSet;
  closedFds: number[] = [];

  constructor(name: DriverName, options: KernelMemoryOptions = {}, receiveBuffersMax = 256) {
    this.memory = new KernelMemory({ bigCount: 1024, smallCount: 1024, ...options });
    this.driver =
      name === 'epoll' ? new EpollDriver(this.memory) : new UringDriver(this.memory, { receiveBuffersMax });
    this.outputs = new OutputQueueSet(this.memory);
  }

  connection(fd: number, owner: ConnectionOwner): Connection {
    const beforeClose = (closing: number): void => {
      this.closedFds.push(closing);
    };
    return new Connection(this.driver, fd, owner, { outputs: this.outputs, beforeClose });
  }

  turn(timeoutMs: number): number {
    this.outputs.flushAll();
    return this.driver.turn(timeoutMs);
  }

  /** Turns until `isDone`, or throws after `limitMs`. */
  until(isDone: () => boolean, limitMs = PATIENCE_MS): void {
    const deadline = performance.now() + limitMs;
    while (!isDone()) {
      if (performance.now() > deadline) throw new Error('timed out');
      this.turn(100);
    }
  }

  /** Lets everything come to rest, gives the driver back, and says how many buffers did not come home. */
  end(): { big: number; small: number } {
    for (let i = 0; i < 5; i++) this.turn(1);
    this.driver.destroy();
    return {
      big: this.memory.bigCount - this.memory.bigFreeCount,
      small: this.memory.smallCount - this.memory.smallFreeCount,
    };
  }
}

/** An owner that collects what it is told. Override what a test needs. */
export class Recorder implements ConnectionOwner {
  readonly rig: Rig;
  connection: Connection;
  chunks: Buffer[] = [];
  receivedBytes = 0;
  receiveEnds: number[] = [];
  writeErrors: number[] = [];
  connects: number[] = [];
  drainedCount = 0;
  detachedCount = 0;

  constructor(rig: Rig, fd: number) {
    this.rig = rig;
    this.connection = rig.connection(fd, this);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  send(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.connection.sendBytes(bytes, 0, bytes.length);
  }

  handleReceived(buffer: number, start: number, end: number): void {
    this.receivedBytes += end - start;
    this.take(buffer, start, end);
    this.rig.memory.release(buffer);
  }

  /** The bytes; the reference is released by the caller. */
  take(_buffer: number, start: number, end: number): void {
    this.chunks.push(Buffer.from(this.rig.memory.bytes.slice(start, end)));
  }

  handleReceiveEnd(errno: number): void {
    this.receiveEnds.push(errno);
  }

  handleWriteFailed(errno: number): void {
    this.writeErrors.push(errno);
  }

  handleDrained(): void {
    this.drainedCount++;
  }

  handleConnected(errno: number): void {
    this.connects.push(errno);
  }

  handleDetached(): void {
    this.detachedCount++;
  }
}

/** A connected pair of non-blocking local sockets. */
export function localPair(): [number, number] {
  const fds = new Int32Array(2);
  const type = libc.SOCK_STREAM | libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC;
  if (libc.socketpair(libc.AF_UNIX, type, 0, fds) < 0) throw new Error(`socketpair: ${libc.errno()}`);
  return [fds[0], fds[1]];
}

/** A listening TCP socket on loopback and its address. */
export function listener(): { fd: number; sockaddr: Uint8Array } {
  const fd = libc.socket(libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_CLOEXEC, 0);
  const any = ipSockaddr('127.0.0.1', 0);
  if (libc.bind(fd, any, any.length) < 0 || libc.listen(fd, 1024) < 0) throw new Error('listen failed');
  return { fd, sockaddr: ipSockaddr('127.0.0.1', localAddress(fd).port) };
}

/** A connected pair of non-blocking TCP sockets. */
export function tcpPair(): [number, number] {
  const listening = listener();
  const client = openStreamSocket(libc.AF_INET);
  libc.connect(client, listening.sockaddr, listening.sockaddr.length);
  const server = libc.accept4(listening.fd, null, null, libc.SOCK_NONBLOCK | libc.SOCK_CLOEXEC);
  libc.close(listening.fd);
  if (server < 0) throw new Error(`accept4: ${libc.errno()}`);
  return [client, server];
}

/** A seeded source of numbers in 0 .. below-1 (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
