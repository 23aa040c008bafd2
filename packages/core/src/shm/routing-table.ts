import { Packr } from 'msgpackr';
import type { ConfigSnapshot, HostAddress, PoolSnapshot } from '../config/snapshot.js';
import type { CatalogTable } from './catalog-table.js';
import { PackedAreas } from './packed-areas.js';
import { type ListPacking, PackedLists, type PackedPiece } from './packed-lists.js';
import { shareValues, withoutAddresses } from './shared-values.js';

/** Lists that may be of thousands, in the order in which they are packed. */
const LISTS = ['pools', 'clusters', 'users', 'databases'] as const;

type List = (typeof LISTS)[number];

/** The snapshot without its long lists, which follow it. */
interface PackedHead {
  snapshot: Omit<ConfigSnapshot, List>;
  /** Bytes of each piece. */
  pieces: Record<List, number[]>;
}

const LENGTH_BYTES = 4;

/**
 * The configuration snapshot, packed: the length of its head, the head, then pieces of its lists. What is in a snapshot that was
 * published is not written to any more: pieces of it that are in the next one too are copied.
 */
export class RoutingTable {
  readonly #areas: PackedAreas;
  readonly #catalogs: CatalogTable;
  readonly #packr = new Packr({ useRecords: true, copyBuffers: true });
  readonly #lists = {
    pools: new PackedLists<PoolSnapshot>(),
    clusters: new PackedLists<ConfigSnapshot['clusters'][number]>(),
    users: new PackedLists<ConfigSnapshot['users'][number]>(),
    databases: new PackedLists<ConfigSnapshot['databases'][number]>(),
  };

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
    const lists = this.#lists;
    const pieces = {
      pools: lists.pools.piecesOf(snapshot.pools, poolPacking(snapshot)),
      clusters: lists.clusters.piecesOf(snapshot.clusters),
      users: lists.users.piecesOf(snapshot.users),
      databases: lists.databases.piecesOf(snapshot.databases),
    };
    const inOrder: PackedPiece<unknown>[] = LISTS.flatMap((list): PackedPiece<unknown>[] => pieces[list]);
    const { pools, clusters, users, databases, ...rest } = snapshot;
    const lengths = (list: List): number[] => pieces[list].map(({ byteLength }) => byteLength);
    const head: PackedHead = {
      snapshot: rest,
      pieces: {
        pools: lengths('pools'),
        clusters: lengths('clusters'),
        users: lengths('users'),
        databases: lengths('databases'),
      },
    };
    const packedHead = this.#packr.pack(head);
    this.#write(packedHead, inOrder, snapshot.epoch);
    lists.pools.settle(pieces.pools);
    lists.clusters.settle(pieces.clusters);
    lists.users.settle(pieces.users);
    lists.databases.settle(pieces.databases);
  }

  #write(head: Uint8Array, pieces: readonly PackedPiece<unknown>[], epoch: number): void {
    const { areaBytes } = this.#areas;
    const headBytes = LENGTH_BYTES + head.length;
    const size = pieces.reduce((sum, { byteLength }) => sum + byteLength, headBytes);
    if (size > areaBytes) {
      throw new RangeError(`configuration packs to ${size} bytes, the area holds ${areaBytes}`);
    }
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, head.length, true);
    const parts = pieces.map(({ bytes, at, byteLength }) => bytes ?? this.#areas.published(at, byteLength));
    this.#areas.publish([length, head, ...parts], epoch);
    let end = headBytes;
    for (const piece of pieces) {
      piece.at = end;
      // They are in the area now.
      piece.bytes = null;
      end += piece.byteLength;
    }
  }

  /**
   * The published snapshot, as a fresh object, with the catalogs as they are now: these may be newer than its epoch, never
   * older. Throws when nothing has been published.
   */
  read(): ConfigSnapshot {
    const { bytes } = this.#areas.read();
    if (bytes.length === 0) throw new Error('no configuration has been published');
    const headLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    let end = LENGTH_BYTES + headLength;
    const { snapshot, pieces } = this.#packr.unpack(bytes.subarray(LENGTH_BYTES, end)) as PackedHead;
    const next = (byteLength: number): Uint8Array => {
      end += byteLength;
      return bytes.subarray(end - byteLength, end);
    };
    const lists = this.#lists;
    const whole = shareValues({
      ...snapshot,
      pools: pieces.pools.flatMap((byteLength) => lists.pools.unpack(next(byteLength))),
      clusters: pieces.clusters.flatMap((byteLength) => lists.clusters.unpack(next(byteLength))),
      users: pieces.users.flatMap((byteLength) => lists.users.unpack(next(byteLength))),
      databases: pieces.databases.flatMap((byteLength) => lists.databases.unpack(next(byteLength))),
    });
    const catalogs = this.#catalogs.read();
    return catalogs === null ? whole : { ...whole, catalogs };
  }
}

/** Without addresses that are the host's. A host that has moved has others. */
function poolPacking({ hosts }: ConfigSnapshot): ListPacking<PoolSnapshot> {
  const addressesOf = new Map<number, HostAddress[]>(hosts.map(({ index, addresses }) => [index, addresses]));
  const isSame = ({ hostIndex, addresses }: PoolSnapshot): boolean =>
    addressesOf.get(hostIndex) === addresses;
  return {
    isSame,
    pack: (pool) =>
      isSame(pool) ? { packed: withoutAddresses(pool), isLasting: true } : { packed: pool, isLasting: false },
  };
}
