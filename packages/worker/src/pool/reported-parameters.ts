/**
 * What servers of one pool report by ParameterStatus, as shared maps: thousands of sessions and connections
 * of a pool see the same few combinations. A map is never changed; a change leads to another map.
 */

const INTERNED_MAX = 256;
/** Longer maps are not shared: what is kept here is bounded by both. Postgres's own take less than 1 KB. */
const INTERNED_KEY_LENGTH_MAX = 16 * 1024;
/** Postgres reports 15; extensions may add some. Each connection and session refers to a map of them. */
const REPORTED_MAX = 128;

/** May `name` be in the map too? A server that reports ever new names would fill our memory. */
export function hasRoomFor(map: ReadonlyMap<string, string>, name: string): boolean {
  return map.size < REPORTED_MAX || map.has(name);
}

export class ReportedParameters {
  private readonly interned = new Map<string, ReadonlyMap<string, string>>();

  change(from: ReadonlyMap<string, string>, name: string, value: string): ReadonlyMap<string, string> {
    if (from.get(name) === value) return from;
    const changed = new Map(from);
    changed.set(name, value);
    return this.intern(changed);
  }

  intern(map: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const key = [...map]
      .map(([name, value]) => `${name}\u0000${value}`)
      .sort()
      .join('\u0000');
    if (key.length > INTERNED_KEY_LENGTH_MAX) return map;
    const known = this.interned.get(key);
    if (known !== undefined) return known;
    if (this.interned.size >= INTERNED_MAX) this.interned.clear();
    this.interned.set(key, map);
    return map;
  }
}
