import {
  type Clock,
  ID_ROWS,
  type IdTable,
  NODE_MAX,
  type NodeClaimedMessage,
  type NodeWantedMessage,
  type UniqueIdFunction,
} from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import { reasonOf } from '../catalog/shard-login.js';
import type { Logger } from '../log/logger.js';
import type { ClaimSession } from './claim-session.js';

export interface NodeClaimOptions {
  readonly logger: Logger;
  readonly ids: IdTable;
  readonly clock: Clock;
  /** A whole number below `limit`. */
  readonly below: (limit: number) => number;
  /** Rejects with the reason. */
  readonly open: (database: string) => Promise<ClaimSession>;
  /** Whom `open` would ask first. */
  readonly firstHost: (database: string) => string;
  readonly tell: (worker: number, message: NodeClaimedMessage) => void;
}

/** Ids are made for so long after the server has last said that the number is ours. */
const LEASE_MS = 5_000;
const RENEW_MS = 1_000;
const RETRY_MS = 300;
/** The server's clock has moved on when the lease is renewed for the first time. */
const FIRST_MS = 5;
/** A failure is not told before it has lasted so long: most are over by then. */
const GRACE_MS = 3_000;
/** Of databases with one shard, when nobody has set it: never claimed. */
const UNSET_NODE = 0;
/** Whoever is faster has one; then another is tried. */
const TRIES_MAX = 8;

/** The server has answered: the number is somebody else's. */
class NumberTaken extends Error {}

class Claim {
  readonly database: string;
  readonly row: number;
  session: ClaimSession | null = null;
  host = '';
  /** Ours, or what it was last. */
  node: number | null = null;
  isHeld = false;
  isUsable = false;
  isBusy = false;
  isWanted = false;
  isClosed = false;
  readonly askers = new Set<number>();
  timer: NodeJS.Timeout | undefined;
  failedSinceMs: number | null = null;
  said = '';

  constructor(database: string, row: number) {
    this.database = database;
    this.row = row;
  }
}

/**
 * Sees to it that no two proxies in front of the same shards make ids by the same number: each claims one, by a session lock
 * on the first shard of a database, when the first id of that database is asked for. See docs/internals/made-values.md.
 */
export class NodeClaims {
  readonly #options: NodeClaimOptions;
  readonly #claims = new Map<string, Claim>();
  /** Rows of names that have gone are not given to others: their last id is by another server's clock. */
  readonly #rows = new Map<string, number>();
  #loaded: Pick<LoadedConfig, 'sharding' | 'general'> | null = null;

  constructor(options: NodeClaimOptions) {
    this.#options = options;
  }

  /** What has been claimed stays, where it may. */
  takeUp(loaded: Pick<LoadedConfig, 'sharding' | 'general'>): void {
    this.#loaded = loaded;
    for (const claim of [...this.#claims.values()]) {
      const isKnown = loaded.sharding.has(claim.database);
      if (isKnown && (claim.node === null || this.#mayHave(claim.node))) continue;
      this.#end(claim);
      if (isKnown) this.#schedule(this.#claim(claim.database)!, 0);
    }
  }

  close(): void {
    for (const claim of this.#claims.values()) this.#end(claim);
  }

  /** A worker cannot make an id. Answered as soon as it can, or when it is known that it cannot for now. */
  wanted({ database, worker }: NodeWantedMessage): void {
    const claim = this.#loaded?.sharding.has(database) === true ? this.#claim(database) : null;
    if (claim === null) {
      const error = 'there are too many databases with several shards';
      this.#options.tell(worker, { type: 'nodeClaimed', database, row: 0, error });
      return;
    }
    claim.askers.add(worker);
    if (claim.isBusy) claim.isWanted = true;
    // While it fails it is tried often enough.
    else if (claim.failedSinceMs === null) this.#schedule(claim, claim.isUsable ? FIRST_MS : 0);
  }

  #mayHave(node: number): boolean {
    const { node_id, unique_id_function } = this.#loaded!.general;
    return node_id === null ? node !== UNSET_NODE && node <= NODE_MAX[unique_id_function] : node === node_id;
  }

  #claim(database: string): Claim | null {
    const known = this.#claims.get(database);
    if (known !== undefined) return known;
    const row = this.#rows.get(database) ?? this.#rows.size + 1;
    if (row >= ID_ROWS) return null;
    this.#rows.set(database, row);
    const claim = new Claim(database, row);
    this.#claims.set(database, claim);
    return claim;
  }

  #end(claim: Claim): void {
    claim.isClosed = true;
    this.#options.ids.revoke(claim.row);
    clearTimeout(claim.timer);
    void claim.session?.close();
    this.#claims.delete(claim.database);
    this.#answer(claim, 'the configuration has changed');
  }

  #schedule(claim: Claim, delayMs: number): void {
    clearTimeout(claim.timer);
    if (!claim.isClosed) claim.timer = setTimeout(() => void this.#turn(claim), delayMs).unref();
  }

  async #turn(claim: Claim): Promise<void> {
    claim.isBusy = true;
    claim.isWanted = false;
    let delayMs = RENEW_MS;
    try {
      await this.#renew(claim);
      claim.failedSinceMs = null;
      claim.said = '';
      this.#answer(claim, '');
    } catch (error) {
      delayMs = RETRY_MS;
      if (!(error instanceof NumberTaken)) this.#drop(claim);
      this.#failed(claim, reasonOf(error));
    }
    claim.isBusy = false;
    this.#schedule(claim, claim.isWanted ? Math.min(delayMs, RETRY_MS) : delayMs);
  }

  async #renew(claim: Claim): Promise<void> {
    const { firstHost, open } = this.#options;
    const host = firstHost(claim.database);
    // Another primary: locks of the one before are none of its.
    if (claim.session !== null && host !== claim.host) this.#drop(claim);
    if (claim.session === null) {
      claim.host = host;
      const session = await open(claim.database);
      if (claim.isClosed) void session.close();
      claim.session = session;
    }
    const { session } = claim;
    if (!claim.isHeld) await this.#take(claim, session);
    await this.#prove(claim, session);
  }

  async #take(claim: Claim, session: ClaimSession): Promise<void> {
    const { ids, clock, logger } = this.#options;
    const node = await this.#choose(claim, session);
    const serverMs = await session.prove();
    if (claim.isClosed) throw new Error('it is over');
    ids.claim(claim.row, { node, serverMs, monotonicMs: clock.nowMs(), leaseMs: LEASE_MS });
    const { database } = claim;
    if (claim.node !== node) {
      const text = `ids of this proxy in "${database}" have the number ${node}`;
      logger.log('info', 'node_claimed', text, { database, node });
    }
    claim.node = node;
    claim.isHeld = true;
    await new Promise((resolve) => setTimeout(resolve, FIRST_MS));
  }

  async #prove(claim: Claim, session: ClaimSession): Promise<void> {
    const { ids, clock } = this.#options;
    const serverMs = await session.prove();
    if (claim.isClosed || claim.node === null) throw new Error('it is over');
    const lease = { node: claim.node, serverMs, monotonicMs: clock.nowMs(), leaseMs: LEASE_MS };
    claim.isUsable = ids.renew(claim.row, lease);
    if (!claim.isUsable) throw new Error(`the clock of ${session.place} is behind ids that have been made`);
  }

  async #choose(claim: Claim, session: ClaimSession): Promise<number> {
    const { node_id, unique_id_function } = this.#loaded!.general;
    if (node_id !== null) {
      if (await session.claim(node_id)) return node_id;
      await session.endDead(node_id);
      throw new NumberTaken(`another proxy makes ids of node_id ${node_id} in "${claim.database}"`);
    }
    if (claim.node !== null && (await session.claim(claim.node))) return claim.node;
    const free = freeNodes(await session.taken(), unique_id_function);
    for (let tries = 0; tries < TRIES_MAX && free.length > 0; tries++) {
      const [node] = free.splice(this.#options.below(free.length), 1);
      if (await session.claim(node)) return node;
    }
    throw new NumberTaken(`other proxies have all numbers that ids of "${claim.database}" have room for`);
  }

  #failed(claim: Claim, reason: string): void {
    if (claim.isClosed) return;
    claim.isUsable = false;
    const nowMs = this.#options.clock.nowMs();
    claim.failedSinceMs ??= nowMs;
    if (nowMs - claim.failedSinceMs < GRACE_MS) return;
    this.#answer(claim, reason);
    if (claim.said === reason) return;
    claim.said = reason;
    const { database } = claim;
    const text = `"${database}": pgdog.unique_id() cannot be made: ${reason}`;
    this.#options.logger.log('error', 'node_unclaimed', text, { database, reason });
  }

  /** What has been leased is valid to its end: ids are of a ms before that. */
  #drop(claim: Claim): void {
    void claim.session?.close();
    claim.session = null;
    claim.isHeld = false;
  }

  #answer({ askers, database, row }: Claim, error: string): void {
    for (const worker of askers) this.#options.tell(worker, { type: 'nodeClaimed', database, row, error });
    askers.clear();
  }
}

function freeNodes(taken: ReadonlySet<number>, form: UniqueIdFunction): number[] {
  const free: number[] = [];
  for (let node = UNSET_NODE + 1; node <= NODE_MAX[form]; node++) if (!taken.has(node)) free.push(node);
  return free;
}
