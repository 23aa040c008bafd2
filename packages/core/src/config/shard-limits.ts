import type { CheckedParts } from './cross-checks.js';
import type { Place, ProblemList } from './problem-list.js';
import { concernsUser } from './template-checks.js';

/**
 * Limits on server connections that leave no room for one on each shard at a time: what writes on all of them is refused (53300,
 * limit_too_small). A warning, for whoever asks one shard at a time does not mind.
 */
export function warnOfShardLimits(parts: CheckedParts, problems: ProblemList): void {
  const shardCounts = new Map<string, number>();
  for (const { entry } of parts.databases)
    if (entry.shard > 0)
      shardCounts.set(entry.name, Math.max(shardCounts.get(entry.name) ?? 0, entry.shard + 1));
  if (shardCounts.size === 0) return;
  const { general } = parts;
  const told = new Set<string>();
  const look = (name: string, place: () => Place, value: number): void => {
    const shardCount = shardCounts.get(name);
    if (shardCount === undefined || value === 0 || value >= shardCount) return;
    const { source, line, key } = place();
    const id = `${source} ${line} ${key}`;
    if (told.has(id)) return;
    told.add(id);
    problems.warning(
      place(),
      `${value} server connections at a time are fewer than database "${name}" has shards (${shardCount}): what writes on all of them is refused`,
    );
  };
  const ofGeneral = (key: 'max_server_conn' | 'max_db_connections' | 'max_user_connections') => () =>
    parts.generalOrigin(key).place(key);
  for (const name of shardCounts.keys()) look(name, ofGeneral('max_server_conn'), general.max_server_conn);
  for (const { entry, origin } of parts.databases) {
    if (entry.limits.servers === null)
      look(entry.name, ofGeneral('max_db_connections'), general.max_db_connections);
    else look(entry.name, () => origin.place('max_db_connections'), entry.limits.servers);
  }
  for (const { entry, origin } of parts.users) {
    for (const name of shardCounts.keys()) {
      if (!concernsUser(entry, name)) continue;
      if (entry.limits.servers === null)
        look(name, ofGeneral('max_user_connections'), general.max_user_connections);
      else look(name, () => origin.place('max_user_connections'), entry.limits.servers);
    }
  }
}
