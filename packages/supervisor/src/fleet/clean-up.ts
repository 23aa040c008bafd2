import { readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SharedMemory } from '@pgdog-cluster/core';
import { close, munmap } from '../listen/libc.js';

/** A producer holds a mailbox lock for microseconds; one that lost its core, for some milliseconds. */
const LOCK_RETRY_MS = 50;
/** The kernel ends a closed ring's requests in the background; until then it may write into its buffers. */
const UNMAP_DELAY_MS = 2000;

export interface CleanUpReport {
  /** Descriptors closed: clients, server connections, ring. */
  closedCount: number;
  /** Messages nobody will read any more. */
  droppedMessageCount: number;
}

/**
 * Clears up after a worker whose task has ended, in this order:
 *
 * 1. Locks it still holds are freed: nobody else can be inside with its id.
 * 2. Its mailbox is closed under the lock. Descriptors and claims become its own only under that lock, so from
 *    here on what it owns only shrinks. Its mail is dropped: descriptors in there are in its row already.
 * 3. Its rings are closed first: their pending requests hold references to the sockets, and a socket that is
 *    still held sends its peer no end of stream. Then everything else, each cell cleared before its close.
 * 4. Only then claims and clients are given back: the servers have been told to go before others may take their places. What its
 *    sessions held while they waited is forgotten before that, or the same places could be counted as another's too.
 * 5. Its load rows, so that nobody waits for its idle connections.
 */
export async function cleanUpAfter(memory: SharedMemory, worker: number): Promise<CleanUpReport> {
  const { mailboxes, fds, capacity, held, load, hosts, workers } = memory;
  mailboxes.releaseLocks(worker);
  while (!mailboxes.close(worker)) await sleep(LOCK_RETRY_MS);
  const droppedMessageCount = mailboxes.drain(worker, () => {});
  const closedCount = closeAll(memory, fds.owned(worker));
  unmapLater(memory, worker);
  held.clearWorker(worker);
  capacity.giveBackAll(worker);
  load.clearWorker(worker);
  hosts.clearWorker(worker);
  workers.clearWorker(worker);
  return { closedCount, droppedMessageCount };
}

function closeAll(memory: SharedMemory, owned: number[]): number {
  const rings = owned.filter(isRing);
  const others = owned.filter((fd) => !rings.includes(fd));
  for (const fd of [...rings, ...others]) {
    memory.fds.clear(fd);
    close(fd);
  }
  return owned.length;
}

function isRing(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[io_uring]';
  } catch {
    // Closed already by a dying worker that did not get to clear its cell, or no /proc: order does not matter then.
    return false;
  }
}

/** A worker that ends by itself unmaps its memory and says so; this is for a thread that was killed. */
function unmapLater(memory: SharedMemory, worker: number): void {
  const address = memory.workers.kernelMemoryAddress(worker);
  const bytes = memory.workers.kernelMemoryBytes(worker);
  memory.workers.setKernelMemory(worker, 0, 0);
  if (address === 0) return;
  setTimeout(() => munmap(address, bytes), UNMAP_DELAY_MS).unref();
}
