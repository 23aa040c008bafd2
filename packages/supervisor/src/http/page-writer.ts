const FIRST_BYTES = 64 * 1024;
/** Whole numbers below it are written digit by digit, in a tenth of the time that a text of them would take. */
const PLAIN_MAX = 1e9;
const ZERO = 0x30;
const LINE_END = 0x0a;
/** -1.2345678901234567e-308 */
const NUMBER_BYTES_MAX = 24;

/**
 * A page in the making: bytes one behind the other in a buffer that grows. A page of a thousand pools has some hundred
 * thousand lines; as texts they would be put together twice, once as texts and once as bytes.
 */
export class PageWriter {
  #bytes: Buffer;
  #length = 0;

  /** @param expectedBytes how long the page will be, about */
  constructor(expectedBytes = 0) {
    this.#bytes = Buffer.allocUnsafe(Math.max(FIRST_BYTES, expectedBytes));
  }

  copy(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  text(text: string): void {
    // UTF-8 takes three bytes at most for each unit of UTF-16.
    this.#room(text.length * 3);
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
  }

  /** `name{`, then labels with the brace that ends them and a blank, then the value and the line's end. */
  line(name: Uint8Array, labels: Uint8Array, value: number): void {
    this.#room(name.length + labels.length + NUMBER_BYTES_MAX + 1);
    const bytes = this.#bytes;
    bytes.set(name, this.#length);
    bytes.set(labels, this.#length + name.length);
    this.#length += name.length + labels.length;
    this.number(value);
    this.#bytes[this.#length++] = LINE_END;
  }

  /** As the text format has numbers: `+Inf`, `-Inf` and `NaN` beside the usual ones. */
  number(value: number): void {
    if (Number.isInteger(value) && value >= 0 && value < PLAIN_MAX) this.#digits(value);
    else if (Number.isFinite(value)) this.#ascii(String(value));
    else this.#ascii(Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf');
  }

  /** The page. The writer is of no use afterwards. */
  end(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #ascii(text: string): void {
    this.#room(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
  }

  #digits(value: number): void {
    this.#room(NUMBER_BYTES_MAX);
    let count = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) count++;
    let rest = value;
    for (let at = this.#length + count - 1; at >= this.#length; at--) {
      const shorter = Math.floor(rest / 10);
      this.#bytes[at] = ZERO + rest - shorter * 10;
      rest = shorter;
    }
    this.#length += count;
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
