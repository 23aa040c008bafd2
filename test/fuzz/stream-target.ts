/** FrameStream: however the bytes are split, whoever blocks, the frames and the verdict are the same. */
import assert from 'node:assert/strict';
import { BACKEND_ALLOWED, FRONTEND_ALLOWED, frameBytesOf } from '@pgdog-cluster/core';
import { BLOCKED, CONSUMED, type FrameSink, FrameStream, NEED_WHOLE } from '@pgdog-cluster/worker';
import { mutate } from './byte-mutations.js';
import type { FuzzRandom } from './fuzz-random.js';
import type { FuzzTarget } from './fuzz-run.js';
import { BACKEND_MAKERS, conversation, FRONTEND_MAKERS } from './message-grammar.js';

const HEADER_BYTES = 5;
/** Rounds of blocking and going on that no stream of this size needs. */
const RESUMES_MAX = 100_000;

type Allows = (type: number, frameBytes: number) => boolean;

/** The plain way: all bytes at once. Whole frames as hex, then 'violation' or the rest. */
function reference(bytes: Buffer, allows: Allows): string[] {
  const seen: string[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= bytes.length) {
    const size = frameBytesOf(bytes, at);
    if (size < 0 || !allows(bytes[at] ?? 0, size)) return seen.concat('violation');
    if (at + size > bytes.length) break;
    seen.push(bytes.toString('hex', at, at + size));
    at += size;
  }
  return seen;
}

class Collector implements FrameSink {
  readonly seen: string[] = [];
  private readonly random: FuzzRandom;
  private readonly allows: Allows;
  private parts: Buffer[] = [];
  private left = 0;

  constructor(random: FuzzRandom, allows: Allows) {
    this.random = random;
    this.allows = allows;
  }

  headBytes(type: number, frameBytes: number): number {
    if (!this.allows(type, frameBytes)) return -1;
    // What a type needs is always the same: it may be asked again.
    return type % 3 === 0
      ? Math.min(frameBytes, 64 * 1024)
      : type % 3 === 1
        ? HEADER_BYTES
        : Math.min(frameBytes, 40);
  }

  onFrame(
    _type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    _buffer: number,
    frameBytes: number,
  ): number {
    assert.equal(this.left, 0, 'a frame begins inside another');
    assert.ok(end - start >= HEADER_BYTES && end - start <= frameBytes && end <= bytes.length);
    if (this.random.oneIn(6)) return BLOCKED;
    if (end - start < frameBytes && frameBytes < 100_000 && this.random.oneIn(4)) return NEED_WHOLE;
    this.parts = [Buffer.from(bytes.subarray(start, end))];
    this.left = frameBytes - (end - start);
    this.finish();
    return CONSUMED;
  }

  onRest(bytes: Uint8Array, start: number, end: number, _buffer: number, isLast: boolean): void {
    assert.ok(end > start && end - start <= this.left);
    this.parts.push(Buffer.from(bytes.subarray(start, end)));
    this.left -= end - start;
    assert.equal(isLast, this.left === 0);
    this.finish();
  }

  onChunkEnd(): void {}

  onViolation(): void {
    this.seen.push('violation');
  }

  private finish(): void {
    if (this.left === 0) this.seen.push(Buffer.concat(this.parts).toString('hex'));
  }
}

export const frameStreamTarget: FuzzTarget = {
  name: 'frame-stream',
  generate: (random) =>
    mutate(random, conversation(random, random.oneIn(2) ? FRONTEND_MAKERS : BACKEND_MAKERS)),
  run(bytes, random) {
    const row = random.oneIn(2) ? FRONTEND_ALLOWED.ready : BACKEND_ALLOWED.serving;
    const allows: Allows = (type, frameBytes) => row.allows(type, frameBytes);
    const sink = new Collector(random, allows);
    const stream = new FrameStream(sink);
    for (const piece of random.pieces(bytes)) {
      // A buffer that is used again at once: what is kept must have been copied.
      const lent = Buffer.from(piece);
      stream.push(lent, 0, lent.length, -1);
      lent.fill(0xee);
      if (random.oneIn(3)) stream.resume();
      if (random.oneIn(9)) stream.block();
    }
    const wanted = reference(bytes, allows);
    for (let count = 0; count < RESUMES_MAX && sink.seen.length < wanted.length; count++) stream.resume();
    assert.deepEqual(sink.seen, wanted);
    stream.stop();
    stream.push(bytes, 0, bytes.length, -1);
    stream.resume();
    assert.equal(sink.seen.length, wanted.length, 'nothing is shown after stop()');
  },
};
