/** A configuration of ours in the making: tables of pgdog.toml and users.toml with where each key came from. */

import { dottedKey, type Place } from '../problem-list.js';
import type { KeyPath } from '../toml-positions.js';

export interface DraftEntry {
  key: string;
  /** As TOML has it; undefined never. */
  value: unknown;
  place: Place;
}

/** Something that the reader of the written file should know. */
export interface DraftNote {
  place: Place;
  text: string;
}

export class DraftTable {
  readonly name: string;
  readonly isList: boolean;
  readonly place: Place;
  readonly entries: DraftEntry[] = [];

  constructor(name: string, isList: boolean, place: Place) {
    this.name = name;
    this.isList = isList;
    this.place = place;
  }

  /** Undefined is not written: the default of ours stays. */
  set(key: string, value: unknown, place: Place): void {
    if (value === undefined) return;
    const at = this.entries.findIndex((entry) => entry.key === key);
    if (at === -1) this.entries.push({ key, value, place });
    else this.entries[at] = { key, value, place };
  }

  get(key: string): unknown {
    return this.entries.find((entry) => entry.key === key)?.value;
  }

  toObject(): Record<string, unknown> {
    return Object.fromEntries(this.entries.map(({ key, value }) => [key, value]));
  }
}

/** One file of ours. */
export class DraftDocument {
  readonly tables: DraftTable[] = [];

  table(name: string, place: Place): DraftTable {
    const table = new DraftTable(name, false, place);
    this.tables.push(table);
    return table;
  }

  listed(name: string, place: Place): DraftTable {
    const table = new DraftTable(name, true, place);
    this.tables.push(table);
    return table;
  }

  /** As a TOML parser would give it. */
  toObject(): Record<string, unknown> {
    const root: Record<string, unknown> = {};
    for (const table of this.tables) {
      if (!table.isList) root[table.name] = table.toObject();
      else if (Array.isArray(root[table.name])) (root[table.name] as unknown[]).push(table.toObject());
      else root[table.name] = [table.toObject()];
    }
    return root;
  }

  /** Where what stands at each path came from, for messages. */
  places(): DraftPlaces {
    const places = new Map<string, Place>();
    const counts = new Map<string, number>();
    for (const { name, isList, place, entries } of this.tables) {
      const index = counts.get(name) ?? 0;
      counts.set(name, index + 1);
      const path: KeyPath = isList ? [name, index] : [name];
      places.set(dottedKey(path), place);
      for (const entry of entries) places.set(dottedKey([...path, entry.key]), entry.place);
    }
    return new DraftPlaces(places);
  }
}

export class DraftPlaces {
  readonly #places: ReadonlyMap<string, Place>;

  constructor(places: ReadonlyMap<string, Place>) {
    this.#places = places;
  }

  /** Of the key, else of the nearest table around it with the key of ours; null = nowhere. */
  placeOf(path: KeyPath): Place | null {
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(dottedKey(path.slice(0, length)));
      if (place === undefined) continue;
      return length === path.length ? place : { ...place, key: dottedKey(path) };
    }
    return null;
  }
}
