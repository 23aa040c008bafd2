import { Packr } from 'msgpackr';
import type { ShardCatalogData } from '../shard/shard-catalog.js';
import { PackedAreas } from './packed-areas.js';

/**
 * What is known of the tables of sharded databases. Apart from the configuration, which changes for other reasons too (a
 * host has moved): thousands of tables are unpacked only when one of them has changed.
 */
export class CatalogTable {
  readonly #areas: PackedAreas;
  /** Names of keys once per message, not per column. */
  readonly #packr = new Packr({ useRecords: true, copyBuffers: true });
  #read: { edition: number; catalogs: readonly ShardCatalogData[] } | null = null;

  constructor(buffer: SharedArrayBuffer, areaBytes: number) {
    this.#areas = new PackedAreas(buffer, areaBytes);
  }

  /** Bytes the published catalogs take of their area. */
  usedBytes(): number {
    return this.#areas.usedBytes();
  }

  /** Supervisor only. Throws RangeError when they do not fit; the old ones then stay. */
  publish(catalogs: readonly ShardCatalogData[]): void {
    const packed = this.#packr.pack(catalogs);
    const { areaBytes } = this.#areas;
    if (packed.length > areaBytes) {
      throw new RangeError(`catalogs pack to ${packed.length} bytes, the area holds ${areaBytes}`);
    }
    this.#areas.publish([packed], this.#areas.number() + 1);
  }

  /** The published ones: the same object as long as nothing has changed; null before the first. */
  read(): readonly ShardCatalogData[] | null {
    if (this.#areas.number() === 0) return null;
    if (this.#read?.edition === this.#areas.number()) return this.#read.catalogs;
    const { bytes, number: edition } = this.#areas.read();
    const catalogs = this.#packr.unpack(bytes) as ShardCatalogData[];
    this.#read = { edition, catalogs };
    return catalogs;
  }
}
