import { Packr } from 'msgpackr';
import type { ConfigSnapshot } from '../config/snapshot.js';
import {
  ROUTING_AREA,
  ROUTING_EPOCH,
  ROUTING_HEADER_BYTES,
  ROUTING_LENGTH,
  ROUTING_SEQUENCE,
} from './layout.js';
import { Seqlock } from './seqlock.js';

/**
 * The configuration snapshot, packed, in one of two areas. The supervisor writes the area nobody is told to
 * read, then flips the header under a sequence cell; workers look at the epoch between requests.
 *
 * Why two areas and not one under the lock: packing a large configuration takes milliseconds, and a worker
 * that starts in between must not wait for it.
 */
export class RoutingTable {
  readonly #cells: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #areaBytes: number;
  readonly #lock: Seqlock;
  readonly #packr = new Packr({ useRecords: false, copyBuffers: true });

  constructor(buffer: SharedArrayBuffer, areaBytes: number) {
    this.#cells = new Int32Array(buffer, 0, ROUTING_HEADER_BYTES / 4);
    this.#bytes = new Uint8Array(buffer);
    this.#areaBytes = areaBytes;
    this.#lock = new Seqlock(this.#cells, ROUTING_SEQUENCE);
  }

  /** Number of the published snapshot; 0 before the first. Cheap enough for every turn. */
  epoch(): number {
    return Atomics.load(this.#cells, ROUTING_EPOCH);
  }

  /** Bytes the published snapshot takes of its area. */
  usedBytes(): number {
    return Atomics.load(this.#cells, ROUTING_LENGTH);
  }

  /** Supervisor only. Throws RangeError when the packed snapshot does not fit an area; the old one then stays. */
  publish(snapshot: ConfigSnapshot): void {
    if (!Number.isInteger(snapshot.epoch) || snapshot.epoch < 1)
      throw new RangeError('epoch must be at least 1');
    const packed = this.#packr.pack(snapshot);
    if (packed.length > this.#areaBytes) {
      throw new RangeError(
        `configuration packs to ${packed.length} bytes, the area holds ${this.#areaBytes}`,
      );
    }
    const area = 1 - this.#cells[ROUTING_AREA];
    // A reader still copying this area took it up two flips ago: the sequence has changed since, so it will
    // read again. That is why the area may be overwritten without asking anybody.
    this.#bytes.set(packed, this.#areaStart(area));
    this.#lock.beginWrite();
    this.#cells[ROUTING_AREA] = area;
    this.#cells[ROUTING_LENGTH] = packed.length;
    // The epoch is polled alone by workers, hence atomically; inside the lock, so that it agrees with the area.
    Atomics.store(this.#cells, ROUTING_EPOCH, snapshot.epoch);
    this.#lock.endWrite();
  }

  /** The published snapshot, as a fresh object. Throws when nothing has been published. */
  read(): ConfigSnapshot {
    for (;;) {
      const sequence = this.#lock.beginRead();
      const length = this.#cells[ROUTING_LENGTH];
      const start = this.#areaStart(this.#cells[ROUTING_AREA]);
      // Copied before unpacking: bytes that change under msgpackr could send it anywhere. The length is only
      // trusted after the check, hence the bound by slice().
      const copy = this.#bytes.slice(start, start + length);
      if (!this.#lock.isUnchanged(sequence)) continue;
      if (length === 0) throw new Error('no configuration has been published');
      return this.#packr.unpack(copy) as ConfigSnapshot;
    }
  }

  #areaStart(area: number): number {
    return ROUTING_HEADER_BYTES + area * this.#areaBytes;
  }
}
