import { FRONTEND, FrameWriter, readTarget, TARGET } from '@pgdog-cluster/core';
import { bindFrame, bindParts } from './bind-parts.js';

const HEADER_BYTES = 5;
const UNNAMED = Uint8Array.of(0);
const writer = new FrameWriter(4096);

/** A Parse of the unnamed statement. @param types oids, of its first parameters */
export function unnamedParse(text: Uint8Array, types: readonly number[]): Uint8Array {
  writer.reset().begin(FRONTEND.Parse).byte(0).bytes(text).byte(0).int16(types.length);
  for (const type of types) writer.int32(type);
  writer.end();
  return writer.take();
}

/**
 * Frames of a batch up to its Sync with another statement in the place of the one that they are about (one-statement.ts): it is
 * the unnamed one, prepared anew each time. Without a Parse of the client's nobody waits for the answer to ours.
 * @param bind what is bound of it
 */
export function unnamedBatch(
  parse: Uint8Array,
  frames: readonly Uint8Array[],
  bind: (frame: Uint8Array) => Uint8Array = bindUnnamed,
): Uint8Array {
  const hasParse = frames.some(([type]) => type === FRONTEND.Parse);
  const out = hasParse ? [] : [parse];
  for (const frame of frames) {
    // In its place: what the client closes ahead of it is answered ahead of it.
    if (frame[0] === FRONTEND.Parse) out.push(parse);
    else out.push(frame[0] === FRONTEND.Bind ? bind(frame) : isStatement(frame) ? DESCRIBE : frame);
  }
  return Buffer.concat(out);
}

function bindUnnamed(frame: Uint8Array): Uint8Array {
  const parts = bindParts(frame);
  return parts === null ? frame : bindFrame({ ...parts, statement: UNNAMED });
}

/** Describe of a statement. */
function isStatement(frame: Uint8Array): boolean {
  if (frame[0] !== FRONTEND.Describe) return false;
  return readTarget(frame, HEADER_BYTES, frame.length)?.target === TARGET.Statement;
}

const DESCRIBE: Uint8Array = new FrameWriter(16)
  .begin(FRONTEND.Describe)
  .byte(TARGET.Statement)
  .byte(0)
  .end()
  .take();
