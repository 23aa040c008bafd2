// ● per-frame path
import { FRONTEND } from '../wire/message-type.js';

/** In place of a leg: each of them. */
export const EVERY_LEG = -2;

const HEADER_BYTES = 5;
/** One CopyData: large enough that its header and the calls for it cost nothing beside its rows. */
const AREA_BYTES = 32 * 1024;
/** What comes is looked at in pieces of this size at most. */
const PIECE_BYTES_MAX = 16 * 1024;
const INPUT_BYTES_START = 2 * PIECE_BYTES_MAX;
/** A row whose place is not known yet is kept, up to this size. */
export const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** Below this a loop beats a call. */
const LOOP_BYTES_MAX = 64;

/** Gets one whole CopyData frame, bytes[start, end), which is valid until it returns. */
export type TakeFrame = (leg: number, bytes: Uint8Array, start: number, end: number) => void;

/**
 * What has come of a COPY, and what goes to each leg: one piece of memory, so that rows move within it and none is
 * allocated for.
 *
 *   bytes:  | input: [0, inputEnd) of inputBytes | leg 0: header, rows, room | leg 1 | …
 */
export class CopyFrames {
  bytes: Uint8Array;
  /** 0 <= inputEnd <= inputBytes */
  inputEnd = 0;
  readonly legCount: number;
  private inputBytes = INPUT_BYTES_START;
  /** Where the next byte for a leg goes. */
  private readonly fills: Int32Array;
  private readonly take: TakeFrame;

  constructor(legCount: number, take: TakeFrame) {
    this.legCount = legCount;
    this.take = take;
    this.bytes = new Uint8Array(this.inputBytes + legCount * AREA_BYTES);
    this.fills = Int32Array.from({ length: legCount }, (_, leg) => this.areaStart(leg) + HEADER_BYTES);
  }

  private areaStart(leg: number): number {
    return this.inputBytes + leg * AREA_BYTES;
  }

  /** Takes the next bytes of source[start, end), behind what is kept. @returns where it stopped */
  accept(source: Uint8Array, start: number, end: number): number {
    const size = Math.min(end - start, PIECE_BYTES_MAX);
    if (this.inputEnd + size > this.inputBytes) this.grow();
    const { bytes, inputEnd } = this;
    if (size <= LOOP_BYTES_MAX) for (let i = 0; i < size; i++) bytes[inputEnd + i] = source[start + i];
    else bytes.set(source.subarray(start, start + size), inputEnd);
    this.inputEnd = inputEnd + size;
    return start + size;
  }

  /** Forgets the input before `from`: what is kept begins at 0 now. */
  keepFrom(from: number): void {
    if (from > 0 && from < this.inputEnd) this.bytes.copyWithin(0, from, this.inputEnd);
    this.inputEnd -= from;
  }

  private grow(): void {
    const old = this.bytes;
    const shift = this.inputBytes;
    this.inputBytes *= 2;
    // exempt: for a row that is longer than any before it
    this.bytes = new Uint8Array(old.length + shift);
    this.bytes.set(old.subarray(0, this.inputEnd));
    this.bytes.set(old.subarray(shift), this.inputBytes);
    for (let leg = 0; leg < this.legCount; leg++) this.fills[leg] += shift;
  }

  /** Input [start, end) is for this leg, or for EVERY_LEG. */
  put(leg: number, start: number, end: number): void {
    if (leg !== EVERY_LEG) this.putOne(leg, start, end);
    else for (let each = 0; each < this.legCount; each++) this.putOne(each, start, end);
  }

  private putOne(leg: number, start: number, end: number): void {
    const areaEnd = this.areaStart(leg) + AREA_BYTES;
    let at = start;
    while (at < end) {
      const fill = this.fills[leg];
      const size = Math.min(end - at, areaEnd - fill);
      this.move(fill, at, size);
      this.fills[leg] = fill + size;
      at += size;
      if (fill + size === areaEnd) this.flush(leg);
    }
  }

  private move(to: number, from: number, size: number): void {
    const { bytes } = this;
    if (size <= LOOP_BYTES_MAX) for (let i = 0; i < size; i++) bytes[to + i] = bytes[from + i];
    else bytes.copyWithin(to, from, from + size);
  }

  flush(leg: number): void {
    const start = this.areaStart(leg);
    const end = this.fills[leg];
    if (end === start + HEADER_BYTES) return;
    const { bytes } = this;
    const length = end - start - 1;
    bytes[start] = FRONTEND.CopyData;
    bytes[start + 1] = length >>> 24;
    bytes[start + 2] = length >>> 16;
    bytes[start + 3] = length >>> 8;
    bytes[start + 4] = length;
    this.fills[leg] = start + HEADER_BYTES;
    this.take(leg, bytes, start, end);
  }

  flushAll(): void {
    for (let leg = 0; leg < this.legCount; leg++) this.flush(leg);
  }
}
