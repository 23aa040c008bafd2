/** One place in the stress run: a client after another, each with its talk, and what it must find again. */
import type { Chance } from '../chance.js';
import { Vanished, type VanishHow } from '../chaos-client.js';
import { ChaosFailure, ConnectionLost } from '../reply-machine.js';
import type { StressLedger } from './stress-ledger.js';
import { PASSWORD, PLAIN, SHOP } from './stress-settings.js';
import { type Answer, PgTalk, type Talk, WireTalk } from './talk.js';

/** What a client may be told, and when: the run knows what it does to them. */
export interface Surroundings {
  readonly port: number;
  readonly isOpen: boolean;
  readonly ledger: StressLedger;
  /** Shard of each key, in the database with a fixed number of shards. */
  readonly homes: ReadonlyMap<number, number>;
  /** One definition at a time, as Postgres wants it. */
  isDefining: boolean;
  /** A limit over several pools: transactions over shards could keep all places from each other. */
  readonly isTight: boolean;
  /** Why connections may be lost, of what has been asked since then; '' when they may not. */
  excuseFor(sinceMs: number): string;
  isImpatientSince(sinceMs: number): boolean;
}

export type Action = (client: StressClient) => Promise<void>;

/** Of locks that cannot be had: Postgres found that two wait for each other, or for each other's rows. */
const OF_LOCKS = new Set(['40P01', '40001', '55P03']);
const CANCELLED = '57014';
export const CHECKOUT_TIMEOUT = '58000';
const REFUSED = '0A000';
const SHARDS_CHANGED = '57P01';
const HOWS: readonly VanishHow[] = ['reset', 'fin', 'destroy', 'terminate', 'terminate'];
const HISTORY_MAX = 40;

/** What one connection has made for itself. */
export class Belongings {
  /** What app.mine may be: two values while an answer is missing. */
  mine = [''];
  tempToken: string | null = null;
  locks = new Set<string>();
  prepared = new Map<string, string>();
  channel: string | null = null;
}

export class StressClient {
  readonly name: string;
  readonly number: number;
  readonly database: string;
  readonly user: string;
  readonly isWire: boolean;
  readonly chance: Chance;
  readonly around: Surroundings;
  readonly history: string[] = [];
  readonly counts = new Map<string, number>();
  own = new Belongings();
  /** Key of its row that moves; null while nobody knows. */
  moverKey: number | null = null;
  isInTransaction = false;
  failure: string | null = null;
  #talk: Talk | null = null;
  #tokens = 0;
  #actions: readonly [weight: number, action: Action][];

  constructor(
    number: number,
    place: { database: string; user: string; isWire: boolean },
    chance: Chance,
    around: Surroundings,
    actions: readonly [weight: number, action: Action][],
  ) {
    this.number = number;
    this.database = place.database;
    this.user = place.user;
    this.isWire = place.isWire;
    this.name = `${place.database}/${place.user}/${number}${place.isWire ? '' : ' (pg)'}`;
    this.chance = chance;
    this.around = around;
    this.#actions = actions;
  }

  get talk(): Talk {
    if (this.#talk === null) throw new Error('not connected');
    return this.#talk;
  }

  get wire(): WireTalk {
    return this.talk as WireTalk;
  }

  get isSharded(): boolean {
    return this.database !== PLAIN;
  }

  /** Its number of shards stays, so that what it wrote is where it is looked for. */
  get isSteady(): boolean {
    return this.database === SHOP || this.database === PLAIN;
  }

  get ledger(): StressLedger {
    return this.around.ledger;
  }

  word(): string {
    this.#tokens++;
    return `w${this.number}x${this.#tokens}`;
  }

  get isBusy(): boolean {
    return this.#talk?.isBusy === true;
  }

  /** Passes on a cancel, if there is something to cancel. */
  async cancel(): Promise<void> {
    this.#note('-- cancel');
    await this.#talk?.cancel();
  }

  /** What it is doing, for whoever wants to know who waits for whom. */
  describe(): string {
    const talk = this.#talk;
    if (talk === null) return `${this.name}: not connected`;
    const ms = Math.round(performance.now() - talk.sinceMs);
    const { pid } = talk.key;
    return `${this.name} [${pid}] ${talk.isBusy ? `waits for ${ms} ms` : 'is idle'}${this.isInTransaction ? ' in a transaction' : ''}: ${talk.doing}`;
  }

  #note(text: string): void {
    this.history.push(`${Math.round(performance.now())} ${text.slice(0, 200)}`);
    if (this.history.length > HISTORY_MAX) this.history.shift();
  }

  /** Clients until the phase is over; what must not be is kept in `failure`. */
  async run(): Promise<void> {
    while (this.around.isOpen && this.failure === null) {
      try {
        await this.#life();
      } catch (error) {
        this.#judge(error as Error);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    this.#talk = null;
  }

  #judge(error: Error): void {
    const talk = this.#talk;
    const sinceMs = talk?.sinceMs ?? performance.now();
    this.#note(`!! ${error.message}`);
    // Whoever hangs stays where it is: the dump shows what it waits for.
    if (error instanceof Vanished) return;
    if (error instanceof ConnectionLost) {
      const excuse = this.around.excuseFor(sinceMs);
      const isRefused = error.message.includes(CHECKOUT_TIMEOUT) && this.around.isImpatientSince(sinceMs);
      if (excuse !== '' || isRefused || !this.isSteady) {
        void talk?.vanish('destroy');
        return;
      }
    }
    this.failure = `${error instanceof ChaosFailure ? error.message : error.stack} (${talk?.doing ?? 'login'})`;
  }

  async #life(): Promise<void> {
    const { chance, around } = this;
    this.own = new Belongings();
    this.isInTransaction = false;
    this.#talk = null;
    const parameters: Record<string, string> = chance.is(50) ? { application_name: this.word() } : {};
    const target = {
      host: '127.0.0.1',
      port: around.port,
      user: this.user,
      password: PASSWORD,
      database: this.database,
      parameters,
    };
    this.#note('login');
    this.#talk = this.isWire ? await WireTalk.open(target) : await PgTalk.open(target);
    for (let steps = chance.between(1, 15); steps > 0 && around.isOpen; steps--) {
      const weights = this.#actions.map(([weight]) => weight);
      const [, action] = this.#actions[chance.weighted(weights)] as [number, Action];
      this.#note(`-- ${action.name}`);
      await action(this);
      this.counts.set(action.name, (this.counts.get(action.name) ?? 0) + 1);
      this.checkNotifications();
      if (chance.is(30)) await new Promise((resolve) => setTimeout(resolve, chance.between(0, 20)));
    }
    await this.talk.vanish(chance.pick(HOWS));
  }

  /** True for success; false for an error that may be; else throws. */
  isDone(answer: Answer): boolean {
    const { code, message } = answer;
    this.#note(`${this.talk.doing} => ${code === '' ? answer.tags.join() : `${code} ${message}`}`);
    if (code === '') return true;
    const { sinceMs } = this.talk;
    const what = `${code} ${message} (${this.talk.doing})`;
    if (code === CANCELLED) {
      if (!this.talk.wasCancelled) throw new ChaosFailure(`nobody cancelled it: ${what}`);
      return false;
    }
    if (OF_LOCKS.has(code)) return false;
    const isExcused = this.around.excuseFor(sinceMs) !== '';
    if (code === CHECKOUT_TIMEOUT && (isExcused || this.around.isImpatientSince(sinceMs))) return false;
    // Of shards that are not there any more, or are there anew.
    if ((code === REFUSED || code === SHARDS_CHANGED) && !this.isSteady) return false;
    if ((code.startsWith('08') || code.startsWith('57P') || code.startsWith('25P')) && isExcused)
      return false;
    throw new ChaosFailure(`told without a reason: ${what}`);
  }

  async ask(sql: string): Promise<Answer> {
    return this.talk.ask(sql);
  }

  /** By COMMIT or ROLLBACK; where that is cancelled the transaction is there still, and has failed. */
  async endTransaction(sql: 'COMMIT' | 'ROLLBACK'): Promise<Answer> {
    const answer = await this.talk.ask(sql);
    let isEnded = this.isDone(answer);
    while (!isEnded) isEnded = this.isDone(await this.talk.ask('ROLLBACK'));
    this.isInTransaction = false;
    return answer;
  }

  /** By either protocol, named or not. */
  async any(sql: string, values: string[] = []): Promise<Answer> {
    if (values.length === 0 && this.chance.is(50)) return this.talk.ask(sql);
    return this.talk.execute(sql, values, this.chance.is(40) ? nameOf(sql) : undefined);
  }

  expect(isTrue: boolean, what: string): void {
    if (!isTrue) throw new ChaosFailure(`${what} (${this.talk.doing})`);
  }

  expectRows(answer: Answer, wanted: (string | null)[][]): void {
    const got = JSON.stringify(answer.rows);
    this.expect(
      got === JSON.stringify(wanted),
      `rows ${got.slice(0, 300)} instead of ${JSON.stringify(wanted)}`,
    );
  }

  checkNotifications(): void {
    if (!this.isWire) return;
    for (const { channel, payload } of this.wire.client.machine.notifications)
      this.expect(
        channel === this.own.channel && payload.startsWith(`w${this.number}x`),
        `notification ${channel} ${payload} of another client`,
      );
  }
}

/** One name for one text, so that a client prepares each of them once. */
function nameOf(sql: string): string {
  let hash = 7;
  for (let at = 0; at < sql.length; at++) hash = (Math.imul(hash, 31) + sql.charCodeAt(at)) | 0;
  return `s${hash >>> 0}`;
}
