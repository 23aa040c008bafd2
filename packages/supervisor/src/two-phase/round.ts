import { reasonOf } from '../catalog/shard-login.js';
import { isYoung, type KnownShard, obstacleTo, wrongShard } from './ending.js';
import { parseGid, type TransactionName } from './gid.js';
import type { ShardSession } from './shard-session.js';

/** The prepared part of a transaction of ours on one shard. */
export interface PreparedPart extends TransactionName {
  /** Where it was found. */
  foundOn: number;
  owner: string;
  ageMs: number;
}

export interface LeftPart extends PreparedPart {
  /** In progress: somebody is at work on it. */
  state: 'in progress' | 'in doubt';
  /** Why it stays in doubt. */
  reason: string;
}

export interface EndedPart extends PreparedPart {
  outcome: 'committed' | 'rolled_back';
}

export interface RoundOutcome {
  ended: EndedPart[];
  left: LeftPart[];
  /** `shard 1: …`: shards that could not be asked. */
  unasked: string[];
  /** Why rows that nobody needs could not be deleted. */
  unswept: string[];
}

export interface RoundOptions {
  shardCount: number;
  /** @param user only as this one of the server */
  open: (shard: number, user?: string) => Promise<ShardSession>;
  /** Only look: nothing is ended, no lock taken. */
  isDry?: boolean;
  /** Rows that nobody needs any more are deleted too. */
  isSweep?: boolean;
}

/** One look at all shards of a database, and the end of what nobody is at work on. Rejects only for mistakes of ours. */
export async function recoverOnce(options: RoundOptions): Promise<RoundOutcome> {
  const numbers = Array.from({ length: options.shardCount }, (_, shard) => shard);
  const opened = await Promise.allSettled(numbers.map((shard) => options.open(shard)));
  const shards = opened.map((one) => (one.status === 'fulfilled' ? one.value : reasonOf(one.reason)));
  try {
    return await new Round(options, shards).run();
  } finally {
    await Promise.all(sessionsOf(shards).map((session) => session.close()));
  }
}

const sessionsOf = (shards: readonly (ShardSession | string)[]): ShardSession[] =>
  shards.filter((shard) => typeof shard !== 'string');

class Round {
  readonly #options: RoundOptions;
  /** A text: why it cannot be asked. */
  readonly #shards: (ShardSession | string)[];
  readonly #outcome: RoundOutcome = { ended: [], left: [], unasked: [], unswept: [] };

  constructor(options: RoundOptions, shards: readonly (ShardSession | string)[]) {
    this.#options = options;
    this.#shards = [...shards];
  }

  async run(): Promise<RoundOutcome> {
    const { isDry = false, isSweep = false } = this.#options;
    const isSwept = isSweep && !isDry && this.#canSweep() && (await this.#beginSweep());
    const parts = await this.#look();
    if (isSwept) await this.#sweep(parts);
    this.#outcome.unasked.push(...this.#shards.filter((shard) => typeof shard === 'string'));
    for (const group of byTransaction(this.#withoutObstacles(parts)).values()) {
      const decider = this.#shards[group[0].decider] as ShardSession;
      await (isDry ? this.#judge(decider, group) : this.#end(decider, group));
    }
    return this.#outcome;
  }

  async #look(): Promise<PreparedPart[]> {
    const found = await Promise.all(
      this.#shards.map(async (session, foundOn) => {
        if (typeof session === 'string') return [];
        try {
          const rows = await session.prepared();
          return rows.flatMap(({ gid, owner, ageMs }) => {
            const name = parseGid(gid);
            return name === null ? [] : [{ ...name, foundOn, owner, ageMs }];
          });
        } catch (error) {
          this.#shards[foundOn] = `shard ${foundOn}: ${reasonOf(error)}`;
          await session.close();
          return [];
        }
      }),
    );
    return found.flat();
  }

  #withoutObstacles(parts: readonly PreparedPart[]): PreparedPart[] {
    const shards: KnownShard[] = this.#shards;
    return parts.filter((part) => {
      const { decider, foundOn } = part;
      let reason = obstacleTo(part, foundOn, shards);
      const session = this.#shards[decider];
      if (reason === null && typeof session === 'object' && !session.hasRows) {
        reason = `shard ${decider} has no pgdog.transactions: run pgdog-cluster setup`;
      }
      if (reason !== null) this.#leave([part], 'in doubt', reason);
      return reason === null;
    });
  }

  async #judge(decider: ShardSession, group: readonly PreparedPart[]): Promise<void> {
    try {
      const isHeld = (await decider.held()).has(group[0].id);
      this.#leave(group, isHeld || isYoung(ageOf(group)) ? 'in progress' : 'in doubt');
    } catch (error) {
      this.#leave(group, 'in doubt', `cannot ask shard ${group[0].decider}: ${reasonOf(error)}`);
    }
  }

  #leave(parts: readonly PreparedPart[], state: LeftPart['state'], reason = ''): void {
    this.#outcome.left.push(...parts.map((part) => ({ ...part, state, reason })));
  }

  async #end(decider: ShardSession, group: readonly PreparedPart[]): Promise<void> {
    try {
      const ending = await decider.claim(group[0].id, ageOf(group));
      for (const part of group) {
        if (ending === 'busy') this.#leave([part], 'in progress');
        else await this.#finish(part, ending);
      }
    } catch (error) {
      this.#leave(group, 'in doubt', `cannot ask shard ${group[0].decider}: ${reasonOf(error)}`);
    }
    // Of a connection that is lost the server has released it.
    await decider.release().catch(() => {});
  }

  async #finish(part: PreparedPart, ending: 'commit' | 'rollback'): Promise<void> {
    const { foundOn, gid, owner } = part;
    const session = this.#shards[foundOn] as ShardSession;
    try {
      let finish = await session.finish(ending, gid);
      if (finish === 'forbidden') finish = await this.#finishAs(owner, foundOn, ending, gid);
      if (finish === 'done') {
        this.#outcome.ended.push({ ...part, outcome: ending === 'commit' ? 'committed' : 'rolled_back' });
      } else if (finish === 'busy') this.#leave([part], 'in progress');
      else if (finish === 'forbidden') {
        const remedy = `give users.toml the password of ${owner}, or of a superuser with schema_admin = true`;
        const who = `${session.place} may not end it, only ${owner} or a superuser may`;
        this.#leave([part], 'in doubt', `${who}: ${remedy}`);
      }
    } catch (error) {
      this.#leave([part], 'in doubt', reasonOf(error));
    }
  }

  /** Its owner may always; often the password is known. */
  async #finishAs(owner: string, shard: number, ending: 'commit' | 'rollback', gid: string) {
    let session: ShardSession;
    try {
      session = await this.#options.open(shard, owner);
    } catch {
      return 'forbidden';
    }
    try {
      return await session.finish(ending, gid);
    } finally {
      await session.close();
    }
  }

  /** Only who sees every shard knows that nobody needs a row. */
  #canSweep(): boolean {
    return this.#shards.every(
      (session, shard) =>
        typeof session !== 'string' && session.hasRows && wrongShard(this.#shards, shard, 0) === null,
    );
  }

  async #beginSweep(): Promise<boolean> {
    const begun = await Promise.allSettled(sessionsOf(this.#shards).map((session) => session.beginSweep()));
    if (begun.every(({ status }) => status === 'fulfilled')) return true;
    await Promise.allSettled(sessionsOf(this.#shards).map((session) => session.release()));
    return false;
  }

  async #sweep(parts: readonly PreparedPart[]): Promise<void> {
    const isWhole = this.#shards.every((session) => typeof session !== 'string');
    const needed = [...new Set(parts.map(({ id }) => id))];
    const swept = sessionsOf(this.#shards).map(async (session) => {
      try {
        await (isWhole ? session.sweep(needed) : session.release());
      } catch (error) {
        this.#outcome.unswept.push(`as ${session.place}: ${reasonOf(error)}`);
      }
    });
    await Promise.all(swept);
  }
}

/** Since when the first of them is prepared. */
function ageOf(group: readonly PreparedPart[]): number {
  return Math.max(...group.map(({ ageMs }) => ageMs));
}

/** The parts of one transaction together: its lock is taken once. */
function byTransaction(parts: readonly PreparedPart[]): Map<string, PreparedPart[]> {
  const groups = new Map<string, PreparedPart[]>();
  for (const part of parts) {
    const key = `${part.decider}:${part.id}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [part]);
    else group.push(part);
  }
  return groups;
}
