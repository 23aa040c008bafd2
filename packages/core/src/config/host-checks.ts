/** How several entries of one database fit together: its hosts. */
import type { DatabaseEntry } from './loaded-config.js';
import type { Origin, ProblemList } from './problem-list.js';
import type { DatabaseInput } from './schema.js';

interface PlacedHost {
  input: Pick<DatabaseInput, 'patroni_url'>;
  entry: DatabaseEntry;
  origin: Origin;
}

function whereOf(origin: Origin): string {
  const { source, line } = origin.place('name');
  return line > 0 ? `${source}:${line}` : source;
}

export function checkHosts(databases: readonly PlacedHost[], problems: ProblemList): void {
  const byName = new Map<string, PlacedHost[]>();
  for (const placed of databases) {
    const hosts = byName.get(placed.entry.name);
    if (hosts === undefined) byName.set(placed.entry.name, [placed]);
    else hosts.push(placed);
  }
  for (const hosts of byName.values()) checkCluster(hosts, problems);
}

function checkCluster(hosts: readonly PlacedHost[], problems: ProblemList): void {
  const asking = hosts.find(({ input }) => input.patroni_url !== undefined);
  if (asking !== undefined && hosts.every(({ entry }) => entry.role !== 'auto')) {
    problems.warning(asking.origin.place('patroni_url'), 'has no effect without role = "auto"');
  }
  for (const [index, placed] of hosts.entries()) {
    const { entry, origin } = placed;
    const earlier = hosts.slice(0, index);
    const twin = earlier.find((other) => other.entry.host === entry.host && other.entry.port === entry.port);
    if (twin !== undefined) {
      const text = `"${entry.name}" has an entry for this host and port already (${whereOf(twin.origin)})`;
      problems.error(origin.place('host'), text);
      continue;
    }
    const first = earlier.find((other) => other.entry.role === 'primary');
    if (entry.role === 'primary' && first !== undefined) {
      const text =
        `"${entry.name}" has a primary already (${whereOf(first.origin)}): ` +
        'role = "replica" makes this one a replica, role = "auto" on all of them asks the servers';
      problems.error(origin.place(entry.role === 'primary' ? 'role' : 'host'), text);
    }
    if (earlier.some((other) => (other.entry.role === 'auto') !== (entry.role === 'auto'))) {
      problems.error(
        origin.place('role'),
        `role = "auto" is for all hosts of a database or for none ("${entry.name}")`,
      );
    }
  }
}
