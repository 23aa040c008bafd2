/** What workers get to see of databases apart from their pools. */
import type { DatabaseSnapshot, TemplateSnapshot } from '@pgdog-cluster/core';
import { type DatabaseEntry, hasPlaceholder, type LoadedConfig } from '@pgdog-cluster/core/config';
import type { KnownSnapshots } from './known-snapshots.js';

/** Largest value of a limit kept in a 32-bit cell. */
const LIMIT_MAX = 0x7fff_ffff;

type Terms = Pick<LoadedConfig, 'general' | 'tenantColumn' | 'sharding'>;

export function databasesOf(loaded: LoadedConfig, known: KnownSnapshots): DatabaseSnapshot[] {
  const byName = new Map<string, DatabaseEntry[]>();
  for (const entry of loaded.databases) {
    const known = byName.get(entry.name);
    if (known === undefined) byName.set(entry.name, [entry]);
    else known.push(entry);
  }
  return [...byName].map(([name, entries]) => {
    if (entries.length > 1 || loaded.sharding.has(name)) return databaseOf(name, entries, loaded);
    const [entry] = entries;
    const database = known.database(entry) ?? databaseOf(name, entries, loaded);
    known.noteDatabase(entry, database);
    return database;
  });
}

/** One database of its entries, one per host of each shard. */
export function databaseOf(
  name: string,
  entries: readonly DatabaseEntry[],
  { general, tenantColumn, sharding }: Terms,
): DatabaseSnapshot {
  const ofShards = sharding.get(name);
  const sizes = entries.map(({ overrides }) =>
    Math.min(LIMIT_MAX, overrides.poolSize ?? general.default_pool_size),
  );
  const { pattern } = entries[0];
  return {
    name,
    hasAuthQuery: entries.some(({ authQuery }) => authQuery !== null),
    strangerPoolSize: Math.min(...sizes),
    // Entries that contradict one another are held to the stricter one.
    ...(tenantColumn !== null && entries.some(({ isMultiTenant }) => isMultiTenant) ? { tenantColumn } : {}),
    ...(ofShards === undefined ? {} : { sharding: ofShards }),
    ...(pattern === null ? {} : { pattern }),
  };
}

/** Nothing where there are none. */
export function templatesOf(loaded: LoadedConfig): { templates?: TemplateSnapshot[] } {
  if (loaded.templates.length === 0) return {};
  return {
    templates: loaded.templates.map(({ pattern, entries }) => ({
      ...databaseOf(pattern, entries, loaded),
      pattern,
    })),
  };
}

/** Entries whose host is known before anybody has come: it is resolved and watched like any other. */
export function entriesWithHost({ databases, templates }: LoadedConfig): DatabaseEntry[] {
  const fixed = templates.flatMap(({ entries }) => entries).filter(({ host }) => !hasPlaceholder(host));
  return [...databases, ...fixed];
}
