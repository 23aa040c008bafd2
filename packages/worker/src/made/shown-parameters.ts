import { BACKEND, FrameWriter } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';

const HEADER_BYTES = 5;
const COUNT_BYTES = 2;
const OID_BYTES = 4;
const writer = new FrameWriter(256);

/** ParameterDescription of a statement that has parameters of ours behind the client's. */
export class ShownParameters {
  private readonly count: number;

  constructor(count: number) {
    this.count = count;
  }

  /** bytes[start, end) is the whole frame. @returns the same with the client's own parameters alone */
  of(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const from = start + HEADER_BYTES + COUNT_BYTES;
    const there = Math.floor((end - from) / OID_BYTES);
    const count = Math.min(this.count, Math.max(0, there));
    writer
      .reset()
      .begin(BACKEND.ParameterDescription)
      .int16(count)
      .bytes(bytes, from, from + OID_BYTES * count)
      .end();
    return writer.take();
  }
}

/** Of the Describe whose answer comes next; null: the client sees all. */
export function shownParameters({ pending }: ServerConnection): ShownParameters | null {
  const ref = pending.headRef();
  return ref instanceof ShownParameters ? ref : null;
}
