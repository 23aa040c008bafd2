import { PgDogError } from '@pgdog-cluster/core';
import type { CrossCursor } from './cross-cursor.js';

/** In one transaction; a name that is remembered takes some hundred bytes. */
const NAMES_MAX = 4096;

/** Where a cursor or a portal is: asked as it is of the first of its shards, or of several, where `cursor` puts its rows together. */
export type CursorPlace = ShardPlace | SpreadPlace;

export interface ShardPlace {
  readonly kind: 'shard';
  /** Those that have it: a write has its portal on all that it was for. */
  readonly shards: readonly number[];
}

export interface SpreadPlace {
  readonly kind: 'spread';
  readonly cursor: CrossCursor;
  /** A DECLAREd one, which FETCH may ask. */
  readonly isCursor: boolean;
  readonly isBinary: boolean;
}

interface Entry {
  readonly place: CursorPlace;
  /** Savepoints that there were when it was made. */
  depth: number;
}

/** Cursors and portals of a transaction over several shards by their names, which they share, while they are open. */
export class CursorNames {
  readonly #entries = new Map<string, Entry>();

  get(name: string): CursorPlace | null {
    return this.#entries.get(name)?.place ?? null;
  }

  /** Of so many more. */
  problemOf(count: number): PgDogError | null {
    if (this.#entries.size + count <= NAMES_MAX) return null;
    return new PgDogError('cross_shard', `more than ${NAMES_MAX} cursors are open`, { hint: 'CLOSE some.' });
  }

  set(name: string, place: CursorPlace, depth: number): void {
    this.#entries.set(name, { place, depth });
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** RELEASE: what was made behind a savepoint belongs to the one before, of which there are `depth` now. */
  released(depth: number): void {
    for (const entry of this.#entries.values()) entry.depth = Math.min(entry.depth, depth);
  }

  /** ROLLBACK TO the savepoint of this number, from 1: what was made behind it is closed. */
  rolledBack(depth: number): void {
    for (const [name, entry] of this.#entries) if (entry.depth >= depth) this.#entries.delete(name);
  }

  /** Bytes of rows that cursors keep. */
  get heldBytes(): number {
    let sum = 0;
    for (const { place } of this.#entries.values())
      if (place.kind === 'spread') sum += place.cursor.heldBytes;
    return sum;
  }

  /** Bytes that cursors may take for groups and for rows that were seen. */
  get stateBytesMax(): number {
    let sum = 0;
    for (const { place } of this.#entries.values()) {
      if (place.kind === 'spread') sum += place.cursor.state.stateBytesMax;
    }
    return sum;
  }
}
