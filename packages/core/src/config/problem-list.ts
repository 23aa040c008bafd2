import type { ConfigurationProblem } from './configuration-problem.js';
import type { KeyPath } from './toml-positions.js';

/** Where a value came from, for messages about it. */
export interface Place {
  source: string;
  line: number;
  key: string;
}

/** `databases[0].host` */
export function dottedKey(path: KeyPath): string {
  let dotted = '';
  for (const segment of path) {
    if (typeof segment === 'number') dotted += `[${segment}]`;
    else dotted += dotted === '' ? segment : `.${segment}`;
  }
  return dotted;
}

/** Where keys stand in a source. */
export interface Positions {
  /** From 1; 0 = not known. */
  lineOf?(path: KeyPath): number;
  /** Instead, where one source was made of another; null = not known. */
  placeOf?(path: KeyPath): Place | null;
}

/** A part of one source: a whole file, one [[databases]] entry, one URL. Gives the place of each key in it. */
export class Origin {
  readonly source: string;
  readonly #positions: Positions | null;
  readonly #path: KeyPath;

  constructor(source: string, positions: Positions | null = null, path: KeyPath = []) {
    this.source = source;
    this.#positions = positions;
    this.#path = path;
  }

  part(...path: KeyPath): Origin {
    return new Origin(this.source, this.#positions, [...this.#path, ...path]);
  }

  place(...path: KeyPath): Place {
    const full = [...this.#path, ...path];
    const { source } = this;
    const positions = this.#positions;
    const place = positions?.placeOf?.(full) ?? null;
    if (place !== null) return place;
    // Nearly all places are asked for in case something is wrong there, and nothing is: found when they are told.
    return {
      source,
      get line() {
        return positions?.lineOf?.(full) ?? 0;
      },
      get key() {
        return dottedKey(full);
      },
    };
  }
}

/** Collects what is wrong, one problem per place at most, so that one mistake is told once. */
export class ProblemList {
  readonly problems: ConfigurationProblem[] = [];
  readonly #seen = new Set<string>();
  /** How often something was told, again or for the first time. */
  toldCount = 0;

  get hasErrors(): boolean {
    return this.problems.some((problem) => problem.severity === 'error');
  }

  error(place: Place, message: string): void {
    this.#add('error', place, message);
  }

  warning(place: Place, message: string): void {
    this.#add('warning', place, message);
  }

  #add(severity: 'error' | 'warning', place: Place, message: string): void {
    this.toldCount++;
    const identity = JSON.stringify([severity, place.source, place.line, place.key]);
    if (this.#seen.has(identity)) return;
    this.#seen.add(identity);
    this.problems.push({ severity, ...place, message });
  }
}
