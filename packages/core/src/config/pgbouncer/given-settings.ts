import { suggestion } from '../parse-document.js';
import type { Place, ProblemList } from '../problem-list.js';
import type { SettingRule } from './rules.js';

export interface Given {
  text: string;
  /** As read; undefined = nothing to write. */
  value: unknown;
  place: Place;
  /** The file says it; else it is PgBouncer's default. */
  isSaid: boolean;
}

export interface GivenPair {
  key: string;
  text: string;
  place: Place;
}

/** Pairs of one section or entry against its rules. Of two with one key the later counts, as in PgBouncer. */
export class GivenSettings {
  /** Of what is not said. */
  readonly #origin: Place;
  readonly #rules: Readonly<Record<string, SettingRule>>;
  readonly #given = new Map<string, Given>();
  readonly #problems: ProblemList;

  constructor(
    origin: Place,
    rules: Readonly<Record<string, SettingRule>>,
    pairs: Iterable<GivenPair>,
    problems: ProblemList,
  ) {
    this.#origin = origin;
    this.#rules = rules;
    this.#problems = problems;
    for (const pair of pairs) this.#take(pair);
  }

  #take({ key, text, place }: GivenPair): void {
    if (!Object.hasOwn(this.#rules, key)) {
      this.#problems.error(place, `unknown key${suggestion(key, Object.keys(this.#rules))}`);
      return;
    }
    const reading = this.#rules[key].read(text);
    if ('expected' in reading) {
      this.#problems.error(place, `expected ${reading.expected}, got ${JSON.stringify(text.slice(0, 40))}`);
      return;
    }
    this.#given.set(key, { text, value: reading.value, place, isSaid: true });
  }

  /** As said, or PgBouncer's default. */
  get(key: string): Given {
    const given = this.#given.get(key);
    if (given !== undefined) return given;
    const rule = this.#rules[key];
    const fallback = 'fallback' in rule ? (rule.fallback ?? '') : '';
    const reading = rule.read(fallback);
    return {
      text: fallback,
      value: 'value' in reading ? reading.value : undefined,
      place: this.#origin.key === '' ? { ...this.#origin, key } : this.#origin,
      isSaid: false,
    };
  }

  /** Writes what has a key of ours; tells what is passed over or refused. */
  apply(write: (to: string, value: unknown, place: Place) => void): void {
    for (const [key, rule] of Object.entries(this.#rules)) {
      const given = this.get(key);
      if (rule.kind === 'map') {
        const remark = rule.remark?.(given.text) ?? null;
        if (given.isSaid && remark !== null) this.#problems.warning(given.place, remark);
        if (!given.isSaid && rule.fallback === null) continue;
        write(rule.to, given.value, given.place);
      } else if (rule.kind !== 'join' && given.isSaid && !rule.harmless.includes(given.text)) {
        if (rule.kind === 'refuse') this.#problems.error(given.place, rule.why);
        else this.#problems.warning(given.place, `has no effect here: ${rule.why}`);
      }
    }
  }
}
