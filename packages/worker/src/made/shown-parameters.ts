import { BACKEND, FrameWriter } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { noteTold } from '../plan/definitions.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';

const HEADER_BYTES = 5;
const COUNT_BYTES = 2;
const OID_BYTES = 4;
/** Of a description that is remembered: who has more parameters goes without. */
const TOLD_BYTES_MAX = 1024;
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

/** A ParameterDescription comes, and we look at it: it is wanted whole. */
export function readsParameters({ pending }: ServerConnection, frameBytes: number): boolean {
  const ref = pending.headRef();
  return ref instanceof ShownParameters || (ref !== null && 'told' in ref && frameBytes <= TOLD_BYTES_MAX);
}

/** What the client gets instead of bytes[start, end), be it the whole frame or its head; null: that. */
export function describedParameters(
  { pending }: ServerConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): Uint8Array | null {
  const ref = pending.headRef();
  if (ref instanceof ShownParameters) return ref.of(bytes, start, end);
  if (ref !== null && 'told' in ref && end - start > HEADER_BYTES)
    noteTold(ref as PreparedStatement, bytes.subarray(start + HEADER_BYTES, end));
  return null;
}
