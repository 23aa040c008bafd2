import type { IoDriver } from '../io/io-driver.js';
import type { KernelMemory } from '../io/kernel-memory.js';

/** The driver of a connection that leads nowhere: a session without a client has one. */
export class SilentDriver implements IoDriver {
  readonly name = 'epoll';
  readonly memory: KernelMemory;
  readonly descriptors: readonly number[] = [];
  onAwake = (): void => {};

  constructor(memory: KernelMemory) {
    this.memory = memory;
  }

  attach(): number {
    return -1;
  }

  turn(): number {
    return 0;
  }

  detach(): void {}
  connect(): void {}
  startReceive(): void {}
  stopReceive(): void {}
  send(): void {}
  sendVector(): void {}
  waitWritable(): void {}
  watchEventFd(): void {}
  watchListener(): void {}
  unwatchListener(): void {}
  destroy(): void {}
}
