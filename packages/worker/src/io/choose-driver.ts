import type { IoDriverSetting } from '@pgdog-cluster/core';
import { EpollDriver } from './epoll.js';
import { EINVAL, ENOSYS, EPERM, errnoName, SystemCallError } from './errno.js';
import type { IoDriver, IoSource } from './io-driver.js';
import { KernelMemory } from './kernel-memory.js';
import {
  AF_UNIX,
  close,
  errno,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  socketpair,
  write,
} from './libc.js';
import { UringDriver } from './uring.js';

export interface ChosenDriver {
  driver: IoDriver;
  /** Why io_uring was not taken; empty when it was, or when epoll was asked for. */
  reason: string;
}

/**
 * Opens the driver that `setting` names, or with `auto` the best that works here, found by trying.
 * Throws an Error that says why when io_uring was asked for by name and is not to be had.
 */
export function openDriver(
  setting: IoDriverSetting,
  memory: KernelMemory = new KernelMemory(),
): ChosenDriver {
  if (setting === 'epoll') return { driver: new EpollDriver(memory), reason: '' };
  const reason = uringRefusal();
  if (reason === '') return { driver: new UringDriver(memory), reason: '' };
  if (setting === 'io_uring') {
    throw new Error(`io_driver = "io_uring" cannot be had: ${reason}; use io_driver = "auto" or "epoll"`);
  }
  return { driver: new EpollDriver(memory), reason };
}

/** Empty when io_uring works on this machine, else why not. */
export function uringRefusal(): string {
  try {
    return selfTest();
  } catch (error) {
    return explain(error);
  }
}

function explain(error: unknown): string {
  if (!(error instanceof SystemCallError)) return error instanceof Error ? error.message : String(error);
  const name = errnoName(error.errno);
  if (error.errno === EPERM) {
    return `${name}: forbidden here (a container's seccomp profile, or sysctl kernel.io_uring_disabled)`;
  }
  if (error.errno === ENOSYS) return `${name}: this kernel has no io_uring (6.1 or newer is needed)`;
  if (error.errno === EINVAL) return `${name}: this kernel's io_uring is too old (6.1 or newer is needed)`;
  return error.message;
}

/** Bytes through a socket pair with everything that might be missing: deferred work, provided buffers, multishot receive. */
function selfTest(): string {
  const memory = new KernelMemory({ bigCount: 8, smallCount: 8 });
  const fds = new Int32Array(2);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
    return `socketpair: ${errnoName(errno())}`;
  }
  try {
    const driver = new UringDriver(memory, { receiveBuffersMax: 4 });
    try {
      return echoOnce(driver, memory, fds);
    } finally {
      driver.destroy();
    }
  } finally {
    close(fds[0]);
    close(fds[1]);
    memory.destroy();
  }
}

const SELF_TEST_BYTES = 7;
const SELF_TEST_TURNS_MAX = 8;

function echoOnce(driver: UringDriver, memory: KernelMemory, fds: Int32Array): string {
  let receivedBytes = 0;
  let error = 0;
  const source: IoSource = {
    onReceive(buffer, start, end) {
      receivedBytes += end - start;
      memory.release(buffer);
    },
    onReceiveEnd(reason) {
      error = reason;
    },
    onSent() {},
    onWritable() {},
    onConnect() {},
    onDetached() {},
  };
  driver.startReceive(driver.attach(fds[0], source));
  driver.turn(0);
  // Twice, because it is the second receive that shows the multishot still armed.
  for (let round = 1; round <= 2; round++) {
    write(fds[1], memory.address, SELF_TEST_BYTES);
    for (let i = 0; i < SELF_TEST_TURNS_MAX && receivedBytes < round * SELF_TEST_BYTES; i++) driver.turn(20);
  }
  if (receivedBytes === 2 * SELF_TEST_BYTES) return '';
  return error === 0 ? 'a test receive brought nothing' : `a test receive failed: ${errnoName(error)}`;
}
