/**
 * A list of thousands, packed in pieces: those in which every entry is the object it was are not packed again. Entries are
 * never written to once they are packed.
 */
import { Packr } from 'msgpackr';

/** A piece is packed anew for one entry that has changed, so it is short; names of keys stand in each, so not too short. */
const PIECE_MIN = 32;
const PIECE_MAX = 256;

/** Neighbours of a list, and their bytes. */
export interface PackedPiece<T> {
  entries: readonly T[];
  /** They may be taken for what is the same entries. */
  isLasting: boolean;
  byteLength: number;
  /** Null: they are in the published area, at `at`. */
  bytes: Uint8Array | null;
  at: number;
}

export interface ListPacking<T> {
  /** As it is packed, and whether that is all there is to it. */
  pack: (entry: T) => { packed: object; isLasting: boolean };
  /** A lasting one still packs to the same. */
  isSame: (entry: T) => boolean;
}

const AS_IT_IS: ListPacking<object> = {
  pack: (entry) => ({ packed: entry, isLasting: true }),
  isSame: () => true,
};

export class PackedLists<T extends object> {
  readonly #packr = new Packr({ useRecords: true, copyBuffers: true });
  /** Of the list that is published, by their first entry. */
  #known = new Map<T, PackedPiece<T>>();

  /** Pieces that make up the list. Nothing is remembered before `settle`. */
  piecesOf(list: readonly T[], packing: ListPacking<T> = AS_IT_IS): PackedPiece<T>[] {
    const pieces: PackedPiece<T>[] = [];
    let open: T[] = [];
    const close = (): void => {
      if (open.length > 0) pieces.push(this.#pack(open, packing));
      open = [];
    };
    for (let at = 0; at < list.length; ) {
      const known = this.#known.get(list[at]);
      // Too few before it: they take it in, or entries that come one by one would end up in pieces of one.
      const isWanted = known !== undefined && (open.length === 0 || open.length >= PIECE_MIN);
      if (isWanted && isThere(known, list, at, packing)) {
        close();
        pieces.push(known);
        at += known.entries.length;
        continue;
      }
      open.push(list[at++]);
      if (open.length === PIECE_MAX) close();
    }
    close();
    return pieces;
  }

  /** These are published. */
  settle(pieces: readonly PackedPiece<T>[]): void {
    this.#known = new Map();
    for (const piece of pieces) {
      if (piece.isLasting && piece.entries.length >= PIECE_MIN) this.#known.set(piece.entries[0], piece);
    }
  }

  unpack(bytes: Uint8Array): T[] {
    return this.#packr.unpack(bytes) as T[];
  }

  #pack(entries: readonly T[], packing: ListPacking<T>): PackedPiece<T> {
    const packed = entries.map(packing.pack);
    const bytes = this.#packr.pack(packed.map((entry) => entry.packed));
    const isLasting = packed.every((entry) => entry.isLasting);
    return { entries, isLasting, byteLength: bytes.length, bytes, at: 0 };
  }
}

function isThere<T>(
  { entries }: PackedPiece<T>,
  list: readonly T[],
  at: number,
  { isSame }: ListPacking<T>,
): boolean {
  return entries.every((entry, place) => list[at + place] === entry && isSame(entry));
}
