/**
 * What servers of one pool report by ParameterStatus, as shared maps: thousands of sessions and connections
 * of a pool see the same few combinations. A map is never changed; a change leads to another map.
 */

const INTERNED_MAX = 256;

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
    const known = this.interned.get(key);
    if (known !== undefined) return known;
    if (this.interned.size >= INTERNED_MAX) this.interned.clear();
    this.interned.set(key, map);
    return map;
  }
}
