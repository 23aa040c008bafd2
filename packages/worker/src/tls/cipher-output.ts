// ● per-frame path
import { copyBytes } from '../io/copy-bytes.js';
import { BIG_BYTES } from '../io/kernel-memory.js';
import { gathered, type OutputQueue } from '../io/output-queue.js';
import { SSL_write } from './openssl.js';
import type { TlsWorker } from './tls-worker.js';

/** Plain text of one record, at most: exactly a big buffer. */
export const RECORD_BYTES_MAX = BIG_BYTES;
/** Cipher text made ahead of the kernel; more stays plain, where it takes no copy and may be spilled. */
export const AHEAD_BYTES = 64 * 1024;

/**
 * Encrypts slices that OutputQueue.gather() has described, into `output`, until that holds enough. Returns how many
 * bytes of them were done; 0 or negative when OpenSSL failed.
 */
export function encryptGathered(worker: TlsWorker, ssl: number, output: OutputQueue, count: number): number {
  const { memory } = worker;
  const { offsets, lengths } = gathered;
  const scratch = worker.scratch.offset;
  let doneBytes = 0;
  for (let i = 0; i < count && output.queuedBytes < AHEAD_BYTES; ) {
    let offset = offsets[i];
    let length = lengths[i++];
    // Neighbours share a record: 22 bytes and about a microsecond each cost more than the copy.
    if (i < count && length + lengths[i] <= RECORD_BYTES_MAX) {
      copyBytes(memory.bytes, scratch, memory.bytes, offset, offset + length);
      offset = scratch;
      for (; i < count && length + lengths[i] <= RECORD_BYTES_MAX; i++) {
        copyBytes(memory.bytes, scratch + length, memory.bytes, offsets[i], offsets[i] + lengths[i]);
        length += lengths[i];
      }
    }
    if (SSL_write(ssl, memory.address + offset, length) !== length) return -doneBytes;
    takeWritten(worker, output);
    doneBytes += length;
  }
  return doneBytes;
}

/** Moves what OpenSSL wrote to the end of `output`. */
export function takeWritten(worker: TlsWorker, output: OutputQueue): void {
  const { bios, memory } = worker;
  let left = bios.writtenBytes;
  while (left > 0) {
    const room = output.room(memory, left);
    // Without kernel memory it waits on the heap; the marks bound how much.
    const to = room > 0 ? output.tailOffset : worker.scratch.offset;
    const taken = bios.take(memory.address + to, Math.min(left, room > 0 ? room : BIG_BYTES));
    if (taken <= 0) throw new Error('a memory BIO does not give what it has');
    if (room > 0) output.grew(taken);
    else output.pushSpilled(memory.bytes, to, to + taken);
    left -= taken;
  }
  bios.taken();
}
