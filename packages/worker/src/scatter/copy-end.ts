import { FRONTEND, FrameWriter, SYNC } from '@pgdog-cluster/core';

const COPY_DONE = Uint8Array.of(FRONTEND.CopyDone, 0, 0, 0, 4);

/** What ends a COPY; within a batch the Sync that is to be answered comes behind it. */
export const COPY_END = { done: ended(COPY_DONE), failed: ended(failFrame('another shard has failed')) };

export interface CopyEnd {
  readonly plain: Uint8Array;
  readonly inBatch: Uint8Array;
}

export function ended(frame: Uint8Array): CopyEnd {
  const inBatch = new Uint8Array(frame.length + SYNC.length);
  inBatch.set(frame);
  inBatch.set(SYNC, frame.length);
  return { plain: frame, inBatch };
}

export function failFrame(text: string): Uint8Array {
  return new FrameWriter().begin(FRONTEND.CopyFail).cstring(text).end().take();
}
