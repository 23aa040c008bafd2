import {
  type CommitMode,
  catalogLookup,
  commitMode,
  joinShards,
  KeyLookups,
  NO_SCOPE,
  readShards,
  type ShardCatalogData,
  ShardFunction,
  type ShardingSnapshot,
  ShardOids,
  type ShardScope,
} from '@pgdog-cluster/core';
import { ClaimedIds } from '../made/claimed-ids.js';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import { WantedKeys } from './wanted-keys.js';

/** Scopes of one state of the catalog: sessions choose their search paths, so there is a limit. */
const SCOPES_MAX = 256;
const READINGS_AFTER_DDL = 2;
let scopeIds = 0;

/** What this worker knows of one sharded database, and who waits until it knows more. */
export class ShardedDatabase {
  readonly name: string;
  private readonly context: WorkerContext;
  sharding: ShardingSnapshot;
  /** By rule. */
  functions: readonly ShardFunction[] = [];
  /** Null: not read yet, by the rules of now. */
  catalog: ShardCatalogData | null = null;
  /** Why it could not be read lately; '' = it could. */
  private trouble = '';
  /** By shard; null: as the first has them. */
  oids: readonly (ShardOids | null)[] = [];
  private readonly scopes = new Map<string, ShardScope>();
  /** Counts what has been taken up: scopes are of one state. */
  state = 0;
  private readonly waiters = new Set<Session>();
  /** Those that must be looked up, and who waits for them. */
  readonly keys: WantedKeys;
  readonly ids: ClaimedIds;
  /** Completed readings, with or without change. */
  readings = 0;
  private isWanted = false;
  /** Readings to come before it is known what DDL of this worker's clients has changed: one may be under way already. */
  private staleReadings = 0;

  constructor(context: WorkerContext, name: string, sharding: ShardingSnapshot) {
    this.context = context;
    this.name = name;
    this.sharding = sharding;
    this.keys = new WantedKeys(context, name);
    this.ids = new ClaimedIds(context, name);
    this.takeUp(sharding, null);
  }

  get shardCount(): number {
    return this.sharding.shardCount;
  }

  /** Of transactions over several shards that begin now. */
  get commitMode(): CommitMode {
    return commitMode(this.sharding, this.catalog);
  }

  get readFailure(): string {
    return this.trouble;
  }

  /** Another configuration, or another state of the catalog, which is placed by the rules of `sharding`. */
  takeUp(sharding: ShardingSnapshot, catalog: ShardCatalogData | null): void {
    this.sharding = sharding;
    const { shardLookupBytes } = this.context.config.general;
    this.functions = sharding.tables.map((rule, index) => {
      const isAsked = rule.function === 'lookup';
      const lookups = isAsked ? new KeyLookups(index, shardLookupBytes, this.context) : null;
      return new ShardFunction(rule, sharding.shardCount, lookups);
    });
    this.catalog = catalog;
    this.oids = Array.from({ length: sharding.shardCount }, (_, shard) => ShardOids.of(catalog?.oids, shard));
    this.scopes.clear();
    this.state++;
    // Whoever goes on finds rules and catalog of one state.
    this.keys.takeUp(this.functions);
    if (catalog !== null) this.release();
  }

  /** What texts mean under a search path; NO_SCOPE: nothing is known of the catalog. */
  scopeFor(path: readonly string[]): ShardScope {
    const { catalog } = this;
    if (catalog === null) return NO_SCOPE;
    const key = path.join('\0');
    let scope = this.scopes.get(key);
    if (scope === undefined) {
      if (this.scopes.size >= SCOPES_MAX) this.scopes.clear();
      scope = this.makeScope(catalog, path);
      this.scopes.set(key, scope);
    }
    return scope;
  }

  private makeScope(catalog: ShardCatalogData, path: readonly string[]): ShardScope {
    const { sharding } = this;
    const { parser } = this.context;
    const lookup = catalogLookup(catalog, path);
    const isImmutable = immutableFunctions(catalog);
    return {
      id: ++scopeIds,
      madeKeys: sharding.madeKeys,
      find: (schema, name) => lookup.find(schema, name),
      read: (statements, literals, text) => {
        const terms = { lookup, parser, sharding, literals, isImmutable };
        const all = text === null ? terms : { ...terms, text };
        return joinShards(statements.map(({ kind, node }) => readShards(kind, node, all)));
      },
    };
  }

  // Those who wait for a reading of the catalog.

  /** `session` waits until the catalog has been read once more. */
  hold(session: Session, reason: 'unknown' | 'ddl'): void {
    this.waiters.add(session);
    this.want(reason);
  }

  get isStale(): boolean {
    return this.staleReadings > 0;
  }

  /** A client of this worker has changed definitions: nothing is believed until they have been read. */
  wasDefined(): void {
    this.staleReadings = READINGS_AFTER_DDL;
    this.want('ddl');
  }

  /** Somebody has changed definitions, or names what is not known. */
  want(reason: 'unknown' | 'ddl'): void {
    if (this.isWanted) return;
    this.isWanted = true;
    const version = this.catalog?.version ?? 0;
    this.context.tell({
      type: 'catalogWanted',
      worker: this.context.worker,
      database: this.name,
      reason,
      version,
    });
  }

  /** The supervisor has read it; a change has been taken up before. */
  wasRead(trouble: string): void {
    this.isWanted = false;
    this.readings++;
    this.trouble = trouble;
    if (this.staleReadings > 0 && trouble === '') this.staleReadings--;
    if (this.staleReadings > 0) this.want('ddl');
    else this.release();
  }

  private release(): void {
    const sessions = [...this.waiters];
    this.waiters.clear();
    for (const session of sessions) session.resumeRequests();
  }

  /** It waits no more: gone, or cancelled. */
  forget(session: Session): void {
    this.waiters.delete(session);
    this.keys.forget(session);
    this.ids.forget(session);
  }

  holds(session: Session): boolean {
    return this.waiters.has(session) || this.keys.holds(session) || this.ids.holds(session);
  }
}

/** Of `name` or `schema.name`: a name alone may mean any function of that name, whatever schema it is in. */
function immutableFunctions({ functions }: ShardCatalogData): (name: string) => boolean {
  const known = new Map<string, boolean>();
  for (const [schema, name, isImmutable] of functions) {
    known.set(`${schema}.${name}`, isImmutable);
    known.set(name, isImmutable && known.get(name) !== false);
  }
  return (name) => known.get(name) === true;
}
