import {
  BACKEND,
  CompletionTag,
  type CopyLayout,
  FrameWriter,
  PgDogError,
  RowShape,
} from '@pgdog-cluster/core';
import type { Leg } from './leg.js';

const HEADER_BYTES = 5;
const writer = new FrameWriter(128);

/** Why the RowDescriptions of several shards are not one; null: they are. */
export function shapesProblem(frames: readonly Uint8Array[], legs: readonly Leg[]): PgDogError | null {
  const [shape, ...others] = frames.map((frame) => RowShape.read(frame, HEADER_BYTES, frame.length));
  for (const [index, other] of others.entries()) {
    const why = shape === null || other === null ? 'a description that cannot be read' : shape.agree(other);
    if (why === null) continue;
    const text = `shards ${legs[0].shard} and ${legs[index + 1].shard} answer differently: ${why}`;
    return new PgDogError('cross_shard', text, { hint: 'SHOW SHARDED_TABLES tells what differs.' });
  }
  return null;
}

/** One CommandComplete of several shards'. */
export function completionOf(frames: readonly Uint8Array[]): Uint8Array | PgDogError {
  const joined = new CompletionTag();
  const isOne = frames.every((frame) => joined.add(frame, HEADER_BYTES, frame.length));
  const tag = isOne ? joined.text() : null;
  return tag === null
    ? new PgDogError('internal', 'shards have completed different commands')
    : tagFrame(tag);
}

export function tagFrame(tag: string): Uint8Array {
  writer.reset().begin(BACKEND.CommandComplete).cstring(tag).end();
  return writer.take();
}

/** Why the shards' CopyInResponses are not those of the data that are to come; null: they are. */
export function copyShapeProblem(
  frames: readonly Uint8Array[],
  layout: CopyLayout | null,
): PgDogError | null {
  const [first] = frames;
  const isAgreed = frames.every((frame) => Buffer.compare(frame, first) === 0);
  const [format, upper, lower] = first.subarray(HEADER_BYTES);
  const isAsRead =
    layout === null ||
    (format === (layout.format === 'binary' ? 1 : 0) && ((upper << 8) | lower) === layout.columnCount);
  if (isAgreed && isAsRead) return null;
  return new PgDogError(
    'cross_shard',
    'the shards have other columns than they had when the table was read',
    {
      hint: 'Try again: the tables are read anew from time to time.',
    },
  );
}
