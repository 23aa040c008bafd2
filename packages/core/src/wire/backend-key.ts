import { assert } from '../base/assert.js';
import { FrameWriter } from './frame-writer.js';
import { BACKEND, readLength } from './message-type.js';

/** A cancel key. Protocol 3.0 has secrets of exactly 4 bytes, 3.2 of 4 to 256. */
export interface BackendKey {
  /** Int32 as the protocol has it: may be negative when a stranger made it. */
  pid: number;
  secret: Uint8Array;
}

export const CANCEL_SECRET_BYTES_MIN = 4;
export const CANCEL_SECRET_BYTES_MAX = 256;

/** One for all: each login is sent this frame, and a writer of its own would cost more than the frame. */
const writer = new FrameWriter();

export function buildBackendKeyData(pid: number, secret: Uint8Array): Uint8Array {
  const { length } = secret;
  assert(length >= CANCEL_SECRET_BYTES_MIN && length <= CANCEL_SECRET_BYTES_MAX, 'secret of 4..256 bytes');
  return writer.reset().begin(BACKEND.BackendKeyData).int32(pid).bytes(secret).end().take();
}

/** Body of BackendKeyData; null when the secret's length is not allowed. The secret is a copy. */
export function parseBackendKeyData(bytes: Uint8Array, start: number, end: number): BackendKey | null {
  const secretBytes = end - start - 4;
  if (secretBytes < CANCEL_SECRET_BYTES_MIN || secretBytes > CANCEL_SECRET_BYTES_MAX) return null;
  return { pid: readLength(bytes, start) | 0, secret: bytes.slice(start + 4, end) };
}
