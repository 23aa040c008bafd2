import { Packr } from 'msgpackr';
import type { ConfigSnapshot } from '../config/snapshot.js';
import type { CatalogTable } from './catalog-table.js';
import { PackedAreas } from './packed-areas.js';
import { shareValues, withoutSharedAddresses } from './shared-values.js';

/** The configuration snapshot, packed. */
export class RoutingTable {
  readonly #areas: PackedAreas;
  readonly #catalogs: CatalogTable;
  readonly #packr = new Packr({ useRecords: true, copyBuffers: true });

  constructor(buffer: SharedArrayBuffer, areaBytes: number, catalogs: CatalogTable) {
    this.#areas = new PackedAreas(buffer, areaBytes);
    this.#catalogs = catalogs;
  }

  /** Number of the published snapshot; 0 before the first. Cheap enough for every turn. */
  epoch(): number {
    return this.#areas.number();
  }

  /** Bytes the published snapshot takes of its area. */
  usedBytes(): number {
    return this.#areas.usedBytes();
  }

  /** Supervisor only. Throws RangeError when the packed snapshot does not fit an area; the old one then stays. */
  publish(snapshot: ConfigSnapshot): void {
    if (!Number.isInteger(snapshot.epoch) || snapshot.epoch < 1)
      throw new RangeError('epoch must be at least 1');
    const packed = this.#packr.pack(withoutSharedAddresses(snapshot));
    const { areaBytes } = this.#areas;
    if (packed.length > areaBytes) {
      throw new RangeError(`configuration packs to ${packed.length} bytes, the area holds ${areaBytes}`);
    }
    this.#areas.publish(packed, snapshot.epoch);
  }

  /**
   * The published snapshot, as a fresh object, with the catalogs as they are now: these may be newer than its epoch, never
   * older. Throws when nothing has been published.
   */
  read(): ConfigSnapshot {
    const { bytes } = this.#areas.read();
    if (bytes.length === 0) throw new Error('no configuration has been published');
    const snapshot = shareValues(this.#packr.unpack(bytes) as ConfigSnapshot);
    const catalogs = this.#catalogs.read();
    return catalogs === null ? snapshot : { ...snapshot, catalogs };
  }
}
