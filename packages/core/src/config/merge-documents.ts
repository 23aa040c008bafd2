/** One document out of several: lists one behind the other, tables key by key. */
import type { ParsedDocument } from './parse-document.js';
import { Origin, type Place, type ProblemList } from './problem-list.js';
import type { KeyPath } from './toml-positions.js';

type Sections = Readonly<Record<string, unknown>>;

/** Where an entry of a merged list comes from. */
interface Row {
  origin: Origin;
  index: number;
}

/** Gives each path of the whole the place it has in its own document. */
class MergedPlaces {
  readonly rows = new Map<string, Row[]>();
  /** By section, or by section and key. */
  readonly #homes = new Map<string, Origin>();

  homeOf(...path: string[]): Origin | undefined {
    return this.#homes.get(path.join('\0'));
  }

  settle(origin: Origin, ...path: string[]): void {
    this.#homes.set(path.join('\0'), origin);
  }

  placeOf([section, key, ...rest]: KeyPath): Place | null {
    const name = String(section);
    if (typeof key === 'number') {
      const row = this.rows.get(name)?.[key];
      return row === undefined ? null : row.origin.place(name, row.index, ...rest);
    }
    const own = key === undefined ? undefined : this.homeOf(name, key);
    const home = own ?? this.homeOf(name);
    return home?.place(...[name, ...(key === undefined ? [] : [key]), ...rest]) ?? null;
  }
}

/**
 * Without documents: null. A key that two of them set is an error with both places: which of them counts would hang on the
 * order of file names.
 */
export function mergeDocuments<T extends object>(
  documents: readonly ParsedDocument<T>[],
  problems: ProblemList,
): ParsedDocument<T> | null {
  if (documents.length <= 1) return documents[0] ?? null;
  const data: Record<string, unknown> = {};
  const places = new MergedPlaces();
  for (const document of documents) {
    for (const [section, value] of Object.entries(document.data)) {
      if (value === undefined) continue;
      if (places.homeOf(section) === undefined) places.settle(document.origin, section);
      if (Array.isArray(value)) addRows(data, places, document.origin, [section, value]);
      else addKeys(data, places, document.origin, [section, value as Sections], problems);
    }
  }
  return { data: data as T, origin: new Origin(documents[0].origin.source, places) };
}

function addRows(
  data: Record<string, unknown>,
  places: MergedPlaces,
  origin: Origin,
  [section, values]: [string, unknown[]],
): void {
  const rows = places.rows.get(section) ?? [];
  places.rows.set(section, rows);
  const list = (data[section] ?? []) as unknown[];
  data[section] = list;
  for (const [index, value] of values.entries()) {
    rows.push({ origin, index });
    list.push(value);
  }
}

function addKeys(
  data: Record<string, unknown>,
  places: MergedPlaces,
  origin: Origin,
  [section, table]: [string, Sections],
  problems: ProblemList,
): void {
  const whole = (data[section] ?? {}) as Record<string, unknown>;
  data[section] = whole;
  for (const [key, value] of Object.entries(table)) {
    const home = places.homeOf(section, key);
    if (home === undefined) {
      places.settle(origin, section, key);
      whole[key] = value;
      continue;
    }
    const { source, line } = home.place(section, key);
    problems.error(
      origin.place(section, key),
      `is set already (${line > 0 ? `${source}:${line}` : source}): one of them must go`,
    );
  }
}
