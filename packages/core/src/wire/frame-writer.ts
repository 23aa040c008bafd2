import { assert } from '../base/assert.js';

const SHORT_TEXT_UNITS = 48;

/**
 * Builds frames one after another into one buffer that is kept and reused.
 *
 *   begin(type) … fields … end()      again and again, then view() or take()
 *
 *   0 <= frameStart < length <= capacity
 *
 * view() is valid until the next call that writes; reset() starts over. Strings are UTF-8.
 */
export class FrameWriter {
  #bytes: Buffer;
  #length = 0;
  /** Where the open frame's length word stands; -1 between frames. */
  #lengthAt = -1;

  constructor(capacityBytes = 512) {
    assert(capacityBytes > 0, 'a writer needs a buffer');
    this.#bytes = Buffer.allocUnsafeSlow(capacityBytes);
  }

  /** Bytes written since the last reset. */
  get length(): number {
    return this.#length;
  }

  begin(type: number): this {
    this.byte(type);
    return this.beginPacket();
  }

  /** A frame without a type byte: startup packets only. */
  beginPacket(): this {
    assert(this.#lengthAt === -1, 'a frame is already open');
    this.#lengthAt = this.#length;
    return this.int32(0);
  }

  end(): this {
    assert(this.#lengthAt !== -1, 'no frame is open');
    this.#bytes.writeUInt32BE(this.#length - this.#lengthAt, this.#lengthAt);
    this.#lengthAt = -1;
    return this;
  }

  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
    return this;
  }

  /** Signed and unsigned alike: the low 16 bits are written. */
  int16(value: number): this {
    this.#reserve(2);
    this.#bytes[this.#length] = value >>> 8;
    this.#bytes[this.#length + 1] = value;
    this.#length += 2;
    return this;
  }

  /** Signed and unsigned alike: the low 32 bits are written. */
  int32(value: number): this {
    this.#reserve(4);
    const at = this.#length;
    this.#bytes[at] = value >>> 24;
    this.#bytes[at + 1] = value >>> 16;
    this.#bytes[at + 2] = value >>> 8;
    this.#bytes[at + 3] = value;
    this.#length = at + 4;
    return this;
  }

  /** Text and its terminator. A NUL inside would end it early and let the rest be read as other fields. */
  cstring(value: string): this {
    assert(!value.includes('\0'), 'a protocol string cannot hold NUL');
    return this.text(value).byte(0);
  }

  /** Text as it is: no terminator, no length. */
  text(value: string): this {
    // UTF-8 takes at most three bytes for each UTF-16 unit.
    this.#reserve(value.length * 3);
    if (!this.#tryShortAscii(value)) this.#length += this.#bytes.write(value, this.#length, 'utf8');
    return this;
  }

  /** Names are short and ASCII; for those a loop costs less than half of the call into Node's encoder. */
  #tryShortAscii(value: string): boolean {
    if (value.length > SHORT_TEXT_UNITS) return false;
    const at = this.#length;
    for (let index = 0; index < value.length; index += 1) {
      const unit = value.charCodeAt(index);
      // What has been written so far is overwritten by the encoder.
      if (unit > 0x7f) return false;
      this.#bytes[at + index] = unit;
    }
    this.#length = at + value.length;
    return true;
  }

  /** An Int32 length, then the text; null is length -1 and nothing. The shape of DataRow and Bind values. */
  value(value: string | null): this {
    if (value === null) return this.int32(-1);
    const lengthAt = this.#length;
    this.int32(0).text(value);
    this.#bytes.writeInt32BE(this.#length - lengthAt - 4, lengthAt);
    return this;
  }

  bytes(source: Uint8Array, start = 0, end = source.length): this {
    assert(start >= 0 && start <= end && end <= source.length, 'range outside the source');
    this.#reserve(end - start);
    // Short ranges by hand: subarray() would allocate a view for a few bytes.
    if (end - start <= 64) {
      for (let at = start, to = this.#length; at < end; at += 1, to += 1) this.#bytes[to] = source[at];
    } else {
      this.#bytes.set(source.subarray(start, end), this.#length);
    }
    this.#length += end - start;
    return this;
  }

  reset(): this {
    this.#length = 0;
    this.#lengthAt = -1;
    return this;
  }

  /** The finished frames, uncopied. */
  view(): Uint8Array {
    assert(this.#lengthAt === -1, 'a frame is still open');
    return this.#bytes.subarray(0, this.#length);
  }

  /** A copy of the finished frames in memory of its own, and a reset. */
  take(): Uint8Array {
    assert(this.#lengthAt === -1, 'a frame is still open');
    const copy = new Uint8Array(this.#length);
    copy.set(this.#bytes.subarray(0, this.#length));
    this.reset();
    return copy;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
