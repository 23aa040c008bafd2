// ● per-frame path
import { assert, FRAME_LENGTH_MAX, frameBytesOf, readLength } from '@pgdog-cluster/core';
import { copyBytes } from '../io/copy-bytes.js';
/**
 * Cuts the byte stream of one peer into frames (protocol 3: type byte, then a length that counts itself),
 * in place: a frame that lies whole in a received buffer is shown where it lies. Only what straddles two
 * buffers is collected, and only as much of it as the sink asked for; the rest of a long frame streams past.
 */

/** What onFrame did with the frame. */
export const CONSUMED = 0;
/** Not taken: stop here, hold this frame and everything behind it until resume(). */
export const BLOCKED = 1;
/** Not taken: show it again once all of it is there. */
export const NEED_WHOLE = 2;

export interface FrameSink {
  /**
   * How many bytes of the frame must be contiguous before onFrame (5 = the header alone), given its type
   * and its whole size including the type byte; -1 = this frame must not come now.
   */
  headBytes(type: number, frameBytes: number): number;
  /**
   * A frame: bytes[start, end) holds at least the head asked for and at most the whole frame. When shorter
   * than frameBytes the rest comes through onRest. `buffer` is the kernel buffer it lies in, or -1.
   */
  onFrame(
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number;
  /** More of the frame last shown. */
  onRest(bytes: Uint8Array, start: number, end: number, buffer: number, isLast: boolean): void;
  /** The last byte of this chunk has been shown. */
  onChunkEnd(): void;
  /** The stream cannot be followed any further. Nothing more will be shown. */
  onViolation(reason: string): void;
  /** As onViolation, where a frame is announced that is longer than allowed; without it that is a violation too. */
  onTooLong?(reason: string): void;
}

/** Looks at frames before they are shown. */
export interface AheadReader {
  /** Whole frames from `start` on; returns where it stopped. */
  read(bytes: Uint8Array, start: number, end: number): number;
  /** Of the next frame only the head is there. */
  cut(): void;
}

const HEADER_BYTES = 5;
const NO_BYTES = new Uint8Array(0);
/** Memory a stream keeps between two frames; an idle client must stay small. */
const KEPT_BYTES_MAX = 512;

export class FrameStream {
  /** The beginning of a frame whose head is not complete yet: partial[0, partialBytes). */
  private partial = NO_BYTES;
  private partialBytes = 0;
  /** Contiguous bytes wanted before the partial frame is shown. */
  private partialWanted = HEADER_BYTES;
  /** Bytes of the current frame still to stream past. */
  private restBytes = 0;
  /** What came while blocked: held[heldStart, heldEnd). Reused from one request to the next. */
  private held = NO_BYTES;
  private heldStart = 0;
  private heldEnd = 0;
  private isBlocked = false;
  private isStopped = false;
  /** Somebody further up the stack shows frames and will go on: what onFrame is looking at must not be shown again. */
  private isShowing = false;
  private sink: FrameSink;
  /** Where what is being walked ends; of a frame that was collected, what comes behind it: next[nextStart, nextEnd). */
  private walkEnd = 0;
  private isShowingPartial = false;
  private next: Uint8Array = NO_BYTES;
  private nextStart = 0;
  private nextEnd = 0;
  /** Longest frame, its length word included: max_packet_size. */
  private readonly lengthMax: number;

  constructor(sink: FrameSink, lengthMax = FRAME_LENGTH_MAX) {
    this.sink = sink;
    this.lengthMax = lengthMax;
  }

  /** Another reader takes over from the next frame on (login has ended). */
  setSink(sink: FrameSink): void {
    this.sink = sink;
  }

  /** Bytes waiting for resume(). */
  get heldBytes(): number {
    return this.heldEnd - this.heldStart;
  }

  /** Of its own buffers. */
  get keptBytes(): number {
    return this.held.length + this.partial.length;
  }

  /** True between two frames with nothing held. */
  get isAtBoundary(): boolean {
    return this.partialBytes === 0 && this.restBytes === 0 && this.heldEnd === this.heldStart;
  }

  /** True while a frame of which something has been shown still streams. */
  get isInsideFrame(): boolean {
    return this.restBytes > 0;
  }

  /**
   * From within onFrame: shows `reader` the frame bytes[start, end) that is being shown and all that is there behind it.
   * Returns how many bytes that are. A reader stops by itself; of a frame of which only the head is there, with it.
   */
  readAhead(reader: AheadReader, bytes: Uint8Array, start: number, end: number): number {
    if (!this.isShowingPartial) {
      reader.read(bytes, start, this.walkEnd);
      return this.walkEnd - start;
    }
    if (reader.read(bytes, start, end) === end) reader.read(this.next, this.nextStart, this.nextEnd);
    else reader.cut();
    return end - start + this.nextEnd - this.nextStart;
  }

  /** Takes bytes[start, end). They may be reused by the caller afterwards: what must be held is copied. */
  push(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    if (this.isStopped || start === end) return;
    if (this.isBlocked || this.heldEnd > this.heldStart) {
      this.hold(bytes, start, end);
      return;
    }
    this.isShowing = true;
    const stop = this.walk(bytes, start, end, buffer);
    this.isShowing = false;
    if (stop >= 0) this.hold(bytes, stop, end);
    this.sink.onChunkEnd();
  }

  /** Stops showing frames until resume(), from within onFrame's caller or from outside. */
  block(): void {
    this.isBlocked = true;
  }

  /** Shows what was held, until all is shown or the sink blocks again. */
  resume(): void {
    this.isBlocked = false;
    // The sink may call resume() from inside onFrame; the outer call goes on by itself.
    if (this.isShowing) return;
    this.isShowing = true;
    // A frame that was blocked after it had been collected is shown again first.
    if (this.partialBytes > 0 && this.partialBytes >= this.partialWanted) {
      this.feedPartial(NO_BYTES, 0, 0);
      this.sink.onChunkEnd();
    }
    while (this.heldEnd > this.heldStart && !this.isBlocked && !this.isStopped) {
      const stop = this.walk(this.held, this.heldStart, this.heldEnd, -1);
      this.heldStart = stop >= 0 ? stop : this.heldEnd;
      this.sink.onChunkEnd();
    }
    if (this.heldStart === this.heldEnd) this.releaseHeld();
    this.isShowing = false;
  }

  private releaseHeld(): void {
    this.heldStart = 0;
    this.heldEnd = 0;
    if (this.held.length > KEPT_BYTES_MAX) this.held = NO_BYTES;
  }

  /**
   * Puts whole frames ahead of everything that has not been shown, the beginning of a frame included; blocked until
   * resume(). Not while a frame streams past.
   */
  prepend(frames: Uint8Array): void {
    this.isBlocked = true;
    const begun = this.isShowing ? NO_BYTES : this.partial.slice(0, this.partialBytes);
    if (begun.length > 0) this.partialBytes = 0;
    const kept = this.held.slice(this.heldStart, this.heldEnd);
    this.heldStart = 0;
    this.heldEnd = 0;
    this.hold(frames, 0, frames.length);
    this.hold(begun, 0, begun.length);
    this.hold(kept, 0, kept.length);
  }

  /** Forgets everything; nothing is shown any more. */
  stop(): void {
    this.isStopped = true;
    this.held = NO_BYTES;
    this.heldStart = 0;
    this.heldEnd = 0;
    this.partial = NO_BYTES;
    this.partialBytes = 0;
  }

  /** Returns -1 when all was shown or kept as the beginning of a frame, else where it was blocked. */
  private walk(bytes: Uint8Array, start: number, end: number, buffer: number): number {
    let position = start;
    this.walkEnd = end;
    while (position < end) {
      if (this.isStopped) return -1;
      if (this.isBlocked) return position;
      if (this.restBytes > 0) {
        const size = Math.min(this.restBytes, end - position);
        this.restBytes -= size;
        this.sink.onRest(bytes, position, position + size, buffer, this.restBytes === 0);
        position += size;
        continue;
      }
      if (this.partialBytes > 0) {
        position = this.feedPartial(bytes, position, end);
        continue;
      }
      const available = end - position;
      if (available < HEADER_BYTES) return this.keepPartial(bytes, position, end, HEADER_BYTES);
      const type = bytes[position];
      const frameBytes = frameBytesOf(bytes, position, this.lengthMax);
      const wanted = frameBytes < 0 ? -1 : this.sink.headBytes(type, frameBytes);
      if (wanted < 0)
        return frameBytes < 0
          ? this.violateLength(bytes, position)
          : this.violate('unexpected message', type);
      if (available < wanted) return this.keepPartial(bytes, position, end, wanted);
      const frameEnd = frameBytes < available ? position + frameBytes : end;
      const outcome = this.sink.onFrame(type, bytes, position, frameEnd, buffer, frameBytes);
      if (outcome === CONSUMED) {
        this.restBytes = this.isStopped ? 0 : frameBytes - (frameEnd - position);
        position = frameEnd;
      } else if (outcome === BLOCKED) {
        this.isBlocked = true;
        return position;
      } else {
        assert(frameEnd - position < frameBytes, 'a sink wants more of a frame than there is');
        return this.keepPartial(bytes, position, end, frameBytes);
      }
    }
    return -1;
  }

  /** Copies the beginning of a frame; all of [position, end) is taken. */
  private keepPartial(bytes: Uint8Array, position: number, end: number, wanted: number): number {
    const size = end - position;
    this.reservePartial(Math.max(size, Math.min(wanted, 64 * 1024)));
    copyBytes(this.partial, 0, bytes, position, end);
    this.partialBytes = size;
    this.partialWanted = wanted;
    return -1;
  }

  /** Completes the partial frame from [position, end); returns where the walk goes on. */
  private feedPartial(bytes: Uint8Array, position: number, end: number): number {
    let cursor = position;
    while (true) {
      const size = Math.min(this.partialWanted - this.partialBytes, end - cursor);
      if (size > 0) {
        this.reservePartial(this.partialBytes + size);
        this.partial.set(bytes.subarray(cursor, cursor + size), this.partialBytes);
        this.partialBytes += size;
        cursor += size;
      }
      if (this.partialBytes < this.partialWanted) return cursor;
      const isHeld = cursor === end;
      this.next = isHeld ? this.held : bytes;
      this.nextStart = isHeld ? this.heldStart : cursor;
      this.nextEnd = isHeld ? this.heldEnd : end;
      this.isShowingPartial = true;
      const outcome = this.showPartial();
      this.isShowingPartial = false;
      this.next = NO_BYTES;
      if (outcome === NEED_WHOLE) continue;
      if (outcome === BLOCKED) {
        this.isBlocked = true;
        return cursor;
      }
      return cursor;
    }
  }

  /** Shows the partial frame if its head is complete; NEED_WHOLE when more bytes are wanted first. */
  private showPartial(): number {
    const frame = this.partial;
    const type = frame[0];
    const frameBytes = frameBytesOf(frame, 0, this.lengthMax);
    if (frameBytes < 0) {
      this.violateLength(frame, 0);
      return CONSUMED;
    }
    if (this.partialWanted === HEADER_BYTES) {
      const wanted = this.sink.headBytes(type, frameBytes);
      if (wanted < 0) {
        this.violate('unexpected message', type);
        return CONSUMED;
      }
      if (wanted > this.partialBytes) {
        this.partialWanted = wanted;
        return NEED_WHOLE;
      }
    }
    const size = this.partialBytes;
    const outcome = this.sink.onFrame(type, frame, 0, size, -1, frameBytes);
    if (outcome === NEED_WHOLE) {
      assert(size < frameBytes, 'a sink wants more of a frame than there is');
      this.partialWanted = frameBytes;
      return NEED_WHOLE;
    }
    if (outcome === CONSUMED) {
      this.partialBytes = 0;
      this.restBytes = this.isStopped ? 0 : frameBytes - size;
      // A long frame's memory is not kept for the next short one.
      if (this.partial.length > KEPT_BYTES_MAX) this.partial = NO_BYTES;
    }
    return outcome;
  }

  private reservePartial(size: number): void {
    if (this.partial.length >= size) return;
    // Twice what has come, and no more than what is to come: what is announced alone is not believed.
    const grown = new Uint8Array(Math.max(64, size, Math.min(this.partial.length * 2, this.partialWanted)));
    grown.set(this.partial.subarray(0, this.partialBytes));
    this.partial = grown;
  }

  private hold(bytes: Uint8Array, start: number, end: number): void {
    if (start === end || this.isStopped) return;
    const size = end - start;
    if (this.heldEnd + size > this.held.length) {
      const kept = this.heldEnd - this.heldStart;
      const grown = new Uint8Array(Math.max(128, kept * 2, kept + size));
      grown.set(this.held.subarray(this.heldStart, this.heldEnd));
      this.held = grown;
      this.heldStart = 0;
      this.heldEnd = kept;
    }
    copyBytes(this.held, this.heldEnd, bytes, start, end);
    this.heldEnd += size;
  }

  private violateLength(bytes: Uint8Array, start: number): number {
    const length = readLength(bytes, start + 1);
    const { onTooLong } = this.sink;
    if (length <= this.lengthMax || onTooLong === undefined) {
      return this.violate('invalid message length', bytes[start]);
    }
    this.stop();
    onTooLong.call(this.sink, `message of ${length} bytes exceeds max_packet_size (${this.lengthMax} bytes)`);
    return -1;
  }

  private violate(reason: string, type: number): number {
    this.stop();
    const shown = type >= 0x20 && type < 0x7f ? `'${String.fromCharCode(type)}'` : `0x${type.toString(16)}`;
    this.sink.onViolation(`${reason} (type ${shown})`);
    return -1;
  }
}
