import {
  ROUTING_AREA,
  ROUTING_EPOCH,
  ROUTING_HEADER_BYTES,
  ROUTING_LENGTH,
  ROUTING_SEQUENCE,
} from './layout.js';
import { Seqlock } from './seqlock.js';

/**
 * Packed data in one of two areas, with a number. The supervisor writes the area nobody is told to read, then flips the
 * header under a sequence cell; workers look at the number between requests.
 *
 * Why two areas and not one under the lock: packing takes milliseconds, and a worker that starts in between must not wait
 * for it.
 */
export class PackedAreas {
  readonly #cells: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #areaBytes: number;
  readonly #lock: Seqlock;

  constructor(buffer: SharedArrayBuffer, areaBytes: number) {
    this.#cells = new Int32Array(buffer, 0, ROUTING_HEADER_BYTES / 4);
    this.#bytes = new Uint8Array(buffer);
    this.#areaBytes = areaBytes;
    this.#lock = new Seqlock(this.#cells, ROUTING_SEQUENCE);
  }

  /** Of what is published; 0 before the first. Cheap enough for every turn. */
  number(): number {
    return Atomics.load(this.#cells, ROUTING_EPOCH);
  }

  /** Bytes that what is published takes of its area. */
  usedBytes(): number {
    return Atomics.load(this.#cells, ROUTING_LENGTH);
  }

  get areaBytes(): number {
    return this.#areaBytes;
  }

  /** Supervisor only: a part of what is published, where it is. Good until the next publication has ended. */
  published(at: number, length: number): Uint8Array {
    const start = this.#areaStart(this.#cells[ROUTING_AREA]) + at;
    return this.#bytes.subarray(start, start + length);
  }

  /** Supervisor only; `parts`, one behind the other, fit an area. They may be parts of what is published. */
  publish(parts: readonly Uint8Array[], number: number): void {
    const area = 1 - this.#cells[ROUTING_AREA];
    // A reader still copying this area took it up two flips ago: the sequence has changed since, so it will
    // read again. That is why the area may be overwritten without asking anybody.
    const start = this.#areaStart(area);
    let end = start;
    for (const part of parts) {
      this.#bytes.set(part, end);
      end += part.length;
    }
    this.#lock.beginWrite();
    this.#cells[ROUTING_AREA] = area;
    this.#cells[ROUTING_LENGTH] = end - start;
    // The number is polled alone by workers, hence atomically; inside the lock, so that it agrees with the area.
    Atomics.store(this.#cells, ROUTING_EPOCH, number);
    this.#lock.endWrite();
  }

  /** A copy of what is published, with its number; empty before the first. */
  read(): { bytes: Uint8Array; number: number } {
    for (;;) {
      const sequence = this.#lock.beginRead();
      const length = this.#cells[ROUTING_LENGTH];
      const number = this.#cells[ROUTING_EPOCH];
      const start = this.#areaStart(this.#cells[ROUTING_AREA]);
      // Copied before unpacking: bytes that change under msgpackr could send it anywhere. The length is only
      // trusted after the check, hence the bound by slice().
      const bytes = this.#bytes.slice(start, start + length);
      if (this.#lock.isUnchanged(sequence)) return { bytes, number };
    }
  }

  #areaStart(area: number): number {
    return ROUTING_HEADER_BYTES + area * this.#areaBytes;
  }
}
