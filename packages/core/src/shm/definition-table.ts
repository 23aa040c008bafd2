import { hashOfNames } from './home-table.js';
import { DEFINITION_SLOTS } from './layout.js';

/** Of a database, by its name on the server: entries of several names lead to one. */
export function definitionSlot(serverDatabase: string): number {
  return hashOfNames(serverDatabase, '') & (DEFINITION_SLOTS - 1);
}

/**
 * How often tables, types, functions… of a database have changed, as far as anybody here has noticed. A count, not a list: who has
 * read a text before a change goes by what it was then, who reads it now must not be given that. Databases may share a slot, which
 * costs no more than reading anew. A worker counts before the client is told that its statement is through, so that whoever
 * hears of it from that client, in whichever worker he is, finds it counted.
 */
export class DefinitionTable {
  readonly #cells: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#cells = new Int32Array(buffer);
  }

  count(slot: number): number {
    return Atomics.load(this.#cells, slot);
  }

  changed(slot: number): void {
    Atomics.add(this.#cells, slot, 1);
  }

  /** Slots that have counted, for SHOW. */
  inUse(): number {
    return this.#cells.filter((changes) => changes !== 0).length;
  }
}
