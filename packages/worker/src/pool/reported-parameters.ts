/**
 * What servers report by ParameterStatus, as shared maps: thousands of sessions and connections see the same few
 * combinations. A map is never changed; a change leads to another map.
 */

const INTERNED_MAX = 1024;
/** Longer maps are not shared: what is kept here is bounded by both. Postgres's own take less than 1 KB. */
const INTERNED_KEY_LENGTH_MAX = 16 * 1024;
/** Postgres reports 15; extensions may add some. Each connection and session refers to a map of them. */
const REPORTED_MAX = 128;

/** May `name` be in the map too? A server that reports ever new names would fill our memory. */
export function hasRoomFor(map: ReadonlyMap<string, string>, name: string): boolean {
  return map.size < REPORTED_MAX || map.has(name);
}

/** Reported by servers that are replicas. A session that goes from host to host is told what holds for all it may reach. */
const STANDBY = 'in_hot_standby';

/** Of all pools: a session that goes from one server to another, on another shard too, finds the same map there. */
const interned = new Map<string, ReadonlyMap<string, string>>();

export class ReportedParameters {
  /** Of a database with several hosts. Once true it stays so. */
  isRouted: boolean;

  constructor(isRouted: boolean) {
    this.isRouted = isRouted;
  }

  /** What of a server is not the clients' to know: they may be served by another next. */
  hides(name: string): boolean {
    return this.isRouted && name === STANDBY;
  }

  change(from: ReadonlyMap<string, string>, name: string, value: string): ReadonlyMap<string, string> {
    if (from.get(name) === value || this.hides(name)) return from;
    const changed = new Map(from);
    changed.set(name, value);
    return this.intern(changed);
  }

  intern(map: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    if (this.isRouted && map.get(STANDBY) === 'on') return this.intern(new Map(map).set(STANDBY, 'off'));
    const key = [...map]
      .map(([name, value]) => `${name}\u0000${value}`)
      .sort()
      .join('\u0000');
    if (key.length > INTERNED_KEY_LENGTH_MAX) return map;
    const known = interned.get(key);
    if (known !== undefined) return known;
    if (interned.size >= INTERNED_MAX) interned.clear();
    interned.set(key, map);
    return map;
  }
}
