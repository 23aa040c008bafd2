import type { LoadedConfig } from '@pgdog-cluster/core/config';
import type { LogFields, Logger } from '../log/logger.js';
import { type EndedPart, type LeftPart, type RoundOutcome, recoverOnce } from './round.js';
import type { ShardSession } from './shard-session.js';

export interface RecoveryOptions {
  logger: Logger;
  /** Rejects with the reason. @param user only as this one of the server */
  open: (database: string, shard: number, user?: string) => Promise<ShardSession>;
}

/** What has been ended since the start, per database. */
export interface RecoveryFigures {
  database: string;
  committed: number;
  rolledBack: number;
  /** Of the last round: prepared, nobody is at work on it, and it could not be ended. */
  inDoubt: number;
}

/** One row of SHOW TRANSACTIONS. `part` null: a shard could not be asked. */
export interface TransactionRow {
  database: string;
  part: LeftPart | null;
  reason: string;
}

const SWEEP_MS = 60_000;
/** setTimeout takes no more. */
const INTERVAL_MS_MAX = 0x7fff_ffff;

class Recovered implements RecoveryFigures {
  readonly database: string;
  readonly shardCount: number;
  committed = 0;
  rolledBack = 0;
  inDoubt = 0;
  sweptMs = Number.NEGATIVE_INFINITY;
  /** What was said of a transaction (by its name and shard) or of a shard, and still holds. */
  said = new Map<string, string>();

  constructor(database: string, shardCount: number) {
    this.database = database;
    this.shardCount = shardCount;
  }
}

/** Ends what proxies that died have left prepared, in all databases with several shards. See docs/internals/sharding.md. */
export class TwoPhaseRecovery {
  readonly #options: RecoveryOptions;
  #databases: Recovered[] = [];
  readonly #timers = new Map<Recovered, NodeJS.Timeout>();
  readonly #sessions = new Set<ShardSession>();
  #intervalMs = 0;
  #isClosed = false;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** At once, and from then on as the configuration says. */
  takeUp({ sharding, general }: Pick<LoadedConfig, 'sharding' | 'general'>): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#intervalMs = Math.min(general.two_phase_recovery_interval, INTERVAL_MS_MAX);
    const before = new Map(this.#databases.map((recovered) => [recovered.database, recovered]));
    this.#databases = [...sharding].map(([name, { shardCount }]) => {
      const known = before.get(name);
      return Object.assign(new Recovered(name, shardCount), known && figuresOf(known));
    });
    for (const recovered of this.#databases) this.#schedule(recovered, 0);
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const session of this.#sessions) void session.close();
  }

  get figures(): readonly RecoveryFigures[] {
    return this.#databases;
  }

  /** As it is now: every shard is asked. */
  async rows(): Promise<TransactionRow[]> {
    const rows = await Promise.all(
      this.#databases.map(async (recovered) => {
        const { database, said } = recovered;
        const { left, unasked } = await this.#once(recovered, { isDry: true });
        return [
          ...unasked.map((reason) => ({ database, part: null, reason })),
          ...left.map((part) => ({
            database,
            part,
            reason: part.state === 'in progress' ? '' : part.reason || (said.get(keyOf(part)) ?? ''),
          })),
        ];
      }),
    );
    return rows.flat();
  }

  #schedule(recovered: Recovered, delayMs: number): void {
    if (this.#isClosed || this.#intervalMs === 0 || !this.#databases.includes(recovered)) return;
    const timer = setTimeout(() => void this.#round(recovered), delayMs).unref();
    this.#timers.set(recovered, timer);
  }

  async #round(recovered: Recovered): Promise<void> {
    const now = performance.now();
    const isSweep = now - recovered.sweptMs >= SWEEP_MS;
    if (isSweep) recovered.sweptMs = now;
    try {
      const outcome = await this.#once(recovered, { isSweep });
      if (this.#isClosed) return;
      this.#note(recovered, outcome);
    } catch (error) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#options.logger.log('error', 'internal', 'two-phase recovery failed', { reason });
    }
    this.#schedule(recovered, this.#intervalMs);
  }

  #once(
    { database, shardCount }: Recovered,
    how: { isDry?: boolean; isSweep?: boolean },
  ): Promise<RoundOutcome> {
    const open = async (shard: number, user?: string): Promise<ShardSession> => {
      const session = await this.#options.open(database, shard, user);
      if (this.#isClosed) void session.close();
      this.#sessions.add(session);
      session.onClose = () => this.#sessions.delete(session);
      return session;
    };
    return recoverOnce({ shardCount, open, ...how });
  }

  #note(recovered: Recovered, { ended, left, unasked, unswept }: RoundOutcome): void {
    for (const part of ended) this.#noteEnd(recovered, part);
    const inDoubt = left.filter(({ state }) => state === 'in doubt');
    recovered.inDoubt = inDoubt.length;
    const said = new Map<string, string>();
    const say = (key: string, reason: string, text: string, fields: LogFields = {}): void => {
      said.set(key, reason);
      if (recovered.said.get(key) !== reason) this.#warn(recovered, text, { reason, ...fields });
    };
    for (const reason of unasked) say(reason, '', `recovery of prepared transactions waits for ${reason}`);
    for (const why of unswept) say(why, '', `old rows of pgdog.transactions cannot be deleted ${why}`);
    for (const part of inDoubt) {
      const text = `prepared transaction ${keyOf(part)} stays as it is: ${part.reason}`;
      say(keyOf(part), part.reason, text, { id: part.id, shard: part.foundOn });
    }
    recovered.said = said;
  }

  #noteEnd(recovered: Recovered, { gid, id, foundOn: shard, decider, owner, outcome }: EndedPart): void {
    const { database } = recovered;
    recovered[outcome === 'committed' ? 'committed' : 'rolledBack']++;
    const why =
      outcome === 'committed' ? `shard ${decider} has decided so` : `shard ${decider} has not decided`;
    const text = `"${database}": ${gid} on shard ${shard} ${outcome.replace('_', ' ')}: ${why}`;
    const fields = { database, id, shard, decider, owner, outcome };
    this.#options.logger.log('info', 'two_phase_recovered', text, fields);
  }

  #warn({ database }: Recovered, text: string, fields: LogFields): void {
    this.#options.logger.log('warn', 'two_phase_waits', `"${database}": ${text}`, { database, ...fields });
  }
}

const keyOf = ({ gid, foundOn }: LeftPart): string => `${gid} on shard ${foundOn}`;

function figuresOf({ committed, rolledBack, inDoubt, sweptMs, said }: Recovered): Partial<Recovered> {
  return { committed, rolledBack, inDoubt, sweptMs, said };
}
