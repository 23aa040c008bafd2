/** How several entries of one database fit together: its shards, and the hosts of each. */
import type { DatabaseEntry } from './loaded-config.js';
import type { Origin, ProblemList } from './problem-list.js';
import type { DatabaseInput } from './schema.js';

interface PlacedHost {
  input: Pick<DatabaseInput, 'patroni_url' | 'shard' | 'pooler_mode'>;
  entry: DatabaseEntry;
  origin: Origin;
}

/** Far above what one proxy serves; a slip of the finger must not make an array of millions. */
const SHARDS_MAX = 1_024;

function whereOf(origin: Origin): string {
  const { source, line } = origin.place('name');
  return line > 0 ? `${source}:${line}` : source;
}

function grouped<K>(hosts: readonly PlacedHost[], keyOf: (entry: DatabaseEntry) => K): Map<K, PlacedHost[]> {
  const groups = new Map<K, PlacedHost[]>();
  for (const placed of hosts) {
    const key = keyOf(placed.entry);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [placed]);
    else group.push(placed);
  }
  return groups;
}

/** Without those that stand alone, about which there is nothing to say: of thousands nearly all. */
function concerned(databases: readonly PlacedHost[]): PlacedHost[] {
  const names = new Set<string>();
  const twice = new Set<string>();
  for (const { entry } of databases) (names.has(entry.name) ? twice : names).add(entry.name);
  return databases.filter(
    ({ entry, input }) => twice.has(entry.name) || entry.shard > 0 || input.patroni_url !== undefined,
  );
}

export function checkHosts(databases: readonly PlacedHost[], problems: ProblemList): void {
  for (const hosts of grouped(concerned(databases), ({ name }) => name).values()) {
    const shards = grouped(hosts, ({ shard }) => shard);
    checkShards(hosts, shards, problems);
    for (const [shard, own] of shards) checkCluster(own, shards.size > 1 ? shard : null, problems);
  }
}

function checkShards(
  hosts: readonly PlacedHost[],
  shards: ReadonlyMap<number, readonly PlacedHost[]>,
  problems: ProblemList,
): void {
  const highest = Math.max(...shards.keys());
  const [last] = shards.get(highest)!;
  const { name } = last.entry;
  if (highest >= SHARDS_MAX) {
    problems.error(last.origin.place('shard'), `expected a number below ${SHARDS_MAX}, got ${highest}`);
    return;
  }
  for (let shard = 0; shard < highest; shard++) {
    if (shards.has(shard)) continue;
    const text = `"${name}" has no shard ${shard}: shards are numbered from 0 without gaps`;
    problems.error(last.origin.place('shard'), text);
    return;
  }
  if (shards.size === 1) return;
  checkPlaces(hosts, problems);
  checkWriters(shards, problems);
}

/** No two shards in one place, and what clients notice is the same on all of them. */
function checkPlaces(hosts: readonly PlacedHost[], problems: ProblemList): void {
  for (const [index, { entry, input, origin }] of hosts.entries()) {
    const twin = hosts
      .slice(0, index)
      .find(
        ({ entry: other }) =>
          other.shard !== entry.shard &&
          other.host === entry.host &&
          other.port === entry.port &&
          other.serverDatabase === entry.serverDatabase,
      );
    if (twin !== undefined) {
      const text = `shard ${twin.entry.shard} is this database on this host already (${whereOf(twin.origin)}): its rows would count twice`;
      problems.error(origin.place('shard'), text);
    }
    if (entry.overrides.poolerMode === hosts[0].entry.overrides.poolerMode) continue;
    const key = input.pooler_mode === undefined ? 'name' : 'pooler_mode';
    const text = `one for all shards of "${entry.name}": another entry says otherwise (${whereOf(hosts[0].origin)})`;
    problems.error(origin.place(key), text);
  }
}

/** Read-only is a database whose shards all are. */
function checkWriters(shards: ReadonlyMap<number, readonly PlacedHost[]>, problems: ProblemList): void {
  const hasWriter = (own: readonly PlacedHost[]): boolean =>
    own.some(({ entry }) => entry.role !== 'replica');
  const all = [...shards.values()];
  if (!all.some(hasWriter)) return;
  for (const own of all) {
    if (hasWriter(own)) continue;
    const { entry, origin } = own[0];
    const text = `shard ${entry.shard} of "${entry.name}" has only replicas, and other shards have a primary`;
    problems.error(origin.place('role'), text);
  }
}

/** @param shard null: the database has one */
function checkCluster(hosts: readonly PlacedHost[], shard: number | null, problems: ProblemList): void {
  const asking = hosts.find(({ input }) => input.patroni_url !== undefined);
  if (asking !== undefined && hosts.every(({ entry }) => entry.role !== 'auto')) {
    problems.warning(asking.origin.place('patroni_url'), 'has no effect without role = "auto"');
  }
  const name = shard === null ? `"${hosts[0].entry.name}"` : `shard ${shard} of "${hosts[0].entry.name}"`;
  for (const [index, placed] of hosts.entries()) {
    const { entry, origin } = placed;
    const earlier = hosts.slice(0, index);
    const twin = earlier.find((other) => other.entry.host === entry.host && other.entry.port === entry.port);
    if (twin !== undefined) {
      const text = `${name} has an entry for this host and port already (${whereOf(twin.origin)})`;
      problems.error(origin.place('host'), text);
      continue;
    }
    const first = earlier.find((other) => other.entry.role === 'primary');
    if (entry.role === 'primary' && first !== undefined) {
      const text =
        `${name} has a primary already (${whereOf(first.origin)}): ` +
        'role = "replica" makes this one a replica, role = "auto" on all of them asks the servers';
      problems.error(origin.place(entry.role === 'primary' ? 'role' : 'host'), text);
    }
    if (earlier.some((other) => (other.entry.role === 'auto') !== (entry.role === 'auto'))) {
      problems.error(
        origin.place('role'),
        `role = "auto" is for all hosts of a database or for none (${name})`,
      );
    }
  }
}
