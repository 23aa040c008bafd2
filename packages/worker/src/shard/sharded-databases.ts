import {
  type CatalogReadMessage,
  type KeysForgottenMessage,
  type KeysFoundMessage,
  type NodeClaimedMessage,
  type PoolSnapshot,
  placementDigest,
  type ShardOids,
} from '@pgdog-cluster/core';
import { HeldWaits } from '../pool/held-waits.js';
import type { Session } from '../session/session.js';
import type { WorkerContext } from '../worker-context.js';
import { ShardDesk } from './shard-desk.js';
import { ShardedDatabase } from './sharded-database.js';

/** The sharded databases of a worker, by name. */
export class ShardedDatabases {
  private readonly context: WorkerContext;
  private readonly byName = new Map<string, ShardedDatabase>();
  readonly heldWaits: HeldWaits;
  private postponed: (() => void)[] = [];

  constructor(context: WorkerContext) {
    this.context = context;
    this.heldWaits = new HeldWaits(context);
    this.takeUp();
  }

  get(name: string): ShardedDatabase | null {
    return this.byName.get(name) ?? null;
  }

  get hasPostponed(): boolean {
    return this.postponed.length > 0;
  }

  /** For the end of the loop's turn. */
  postpone(work: () => void): void {
    this.postponed.push(work);
  }

  runPostponed(): void {
    const { postponed } = this;
    this.postponed = [];
    for (const work of postponed) work();
  }

  /** The supervisor has found out something that was asked. */
  receive(message: CatalogReadMessage | KeysFoundMessage | KeysForgottenMessage | NodeClaimedMessage): void {
    if (message.type === 'catalogRead') this.get(message.database)?.wasRead(message.error ?? '');
    else if (message.type === 'keysFound') this.get(message.database)?.keys.found(message);
    else if (message.type === 'nodeClaimed') this.get(message.database)?.ids.claimed(message);
    else this.forgetKeys();
  }

  /** What has been said of shards of keys may be another now. */
  private forgetKeys(): void {
    for (const { functions } of this.byName.values()) for (const each of functions) each.lookups?.clear();
  }

  /**
   * Another configuration, or another state of a catalog: both come with an epoch, and new rules with the catalog of before.
   * One that is placed by other rules counts as none: those who need it wait for the next.
   */
  takeUp(): void {
    const { databases, catalogs = [] } = this.context.config;
    for (const { name, sharding } of databases) {
      if (sharding === undefined) continue;
      const placedBy = placementDigest(sharding);
      const catalog = catalogs.find((each) => each.database === name && each.placedBy === placedBy) ?? null;
      const known = this.byName.get(name);
      if (known === undefined) {
        const made = new ShardedDatabase(this.context, name, sharding);
        if (catalog !== null) made.takeUp(sharding, catalog);
        this.byName.set(name, made);
      } else if (known.catalog?.version !== catalog?.version || !isSame(known.sharding, sharding)) {
        known.takeUp(sharding, catalog);
      }
    }
    for (const name of this.byName.keys()) {
      if (!databases.some((database) => database.name === name && database.sharding !== undefined)) {
        this.byName.delete(name);
      }
    }
    for (const { shared, snapshot } of this.context.pools.values()) shared.oids = this.oidsOf(snapshot);
  }

  /** Of the shard that a pool is on; null: as the first has them. */
  oidsOf({ database, shard = 0 }: Pick<PoolSnapshot, 'database' | 'shard'>): ShardOids | null {
    return this.byName.get(database)?.oids[shard] ?? null;
  }

  /** What finds the shard of a session's statements; null: its database has one shard only. */
  deskFor(session: Session): ShardDesk | null {
    const { database, user } = session;
    const sharded = this.byName.get(database);
    if (sharded === undefined) return null;
    const clusters = [];
    for (let shard = 0; shard < sharded.shardCount; shard++) {
      const cluster = this.context.clusterFor(database, user, shard);
      if (cluster === null) return null;
      clusters.push(cluster);
    }
    return new ShardDesk(session, sharded, clusters);
  }
}

function isSame(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
