import type { KernelMemory } from './kernel-memory.js';

/** What the set needs of a connection. */
export interface QueuedOutput {
  flush(): void;
  spill(): void;
}

/**
 * The connections of one worker that have something to tell the kernel. The loop calls flushAll() once after
 * each turn, last thing before the next: so all bytes of a turn for one socket leave in one send.
 */
export class OutputQueueSet {
  private readonly memory: KernelMemory;
  private dirty: QueuedOutput[] = [];
  private dirtyCount: number = 0;
  private flushing: QueuedOutput[] = [];
  private readonly blocked: Set<QueuedOutput> = new Set();

  constructor(memory: KernelMemory) {
    this.memory = memory;
  }

  /** The caller keeps track of whether it is in the set already. */
  markDirty(output: QueuedOutput): void {
    this.dirty[this.dirtyCount++] = output;
  }

  /** The peer of `output` does not take bytes; its buffers may have to be given up. */
  markBlocked(output: QueuedOutput): void {
    this.blocked.add(output);
  }

  clearBlocked(output: QueuedOutput): void {
    this.blocked.delete(output);
  }

  flushAll(): void {
    // Slow readers that together hold most buffers would stop everybody else's receiving.
    if (this.blocked.size > 0 && this.memory.isScarce) {
      for (const output of this.blocked) output.spill();
    }
    const list = this.dirty;
    const count = this.dirtyCount;
    this.dirty = this.flushing;
    this.dirtyCount = 0;
    this.flushing = list;
    for (let i = 0; i < count; i++) {
      const output = list[i];
      // The arrays live on; a closed connection must not live on in them.
      list[i] = NOTHING;
      output.flush();
    }
  }
}

const NOTHING: QueuedOutput = { flush() {}, spill() {} };
