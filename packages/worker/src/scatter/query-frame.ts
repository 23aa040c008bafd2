import { FRONTEND, FrameWriter } from '@pgdog-cluster/core';

const writer = new FrameWriter(256);

/** A statement of ours. */
export function queryFrame(sql: string): Uint8Array {
  writer.reset().begin(FRONTEND.Query).cstring(sql).end();
  return writer.take();
}
