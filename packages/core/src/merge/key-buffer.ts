// ● per-frame path

/** Bytes of one key while it is put together; kept and written over by the next. */
export class KeyBuffer {
  bytes = new Uint8Array(1024);
  length = 0;

  append(source: Uint8Array, start: number, end: number): true {
    const size = end - start;
    this.#reserve(size);
    for (let index = 0; index < size; index++) this.bytes[this.length + index] = source[start + index];
    this.length += size;
    return true;
  }

  byte(value: number): true {
    this.#reserve(1);
    this.bytes[this.length++] = value;
    return true;
  }

  int32(value: number): true {
    this.#reserve(4);
    this.length += 4;
    this.int32At(this.length - 4, value);
    return true;
  }

  int32At(at: number, value: number): void {
    this.bytes[at] = value >>> 24;
    this.bytes[at + 1] = value >>> 16;
    this.bytes[at + 2] = value >>> 8;
    this.bytes[at + 3] = value;
  }

  #reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.length + count, 2 * this.bytes.length));
    grown.set(this.bytes);
    this.bytes = grown;
  }
}
