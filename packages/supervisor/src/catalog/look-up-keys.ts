import {
  type KeysFoundMessage,
  type KeysWantedMessage,
  ShardFunction,
  type ShardKeyType,
  type ShardRule,
  UNKNOWN_SHARD,
} from '@pgdog-cluster/core';
import type { LoadedConfig } from '@pgdog-cluster/core/config';
import type { Client, QueryArrayConfig } from 'pg';
import type { Logger } from '../log/logger.js';
import { reasonOf } from './shard-login.js';

/** Questions at once, of one database. */
const CONNECTIONS_MAX = 4;
/** Questions of one database that wait; more are answered with an error. */
const WAITING_MAX = 100_000;
/** With sharding_lookup_timeout = 0. */
const TIMEOUT_MS_MAX = 30_000;
/** Of one message to a worker, whose keys have a kilobyte each at the most. */
const ANSWERS_MAX = 40;
const PROBLEM_MAX = 300;

/** Types of what a query gives, by their numbers in pg_type. */
const VALUE_TYPES: Readonly<Record<number, ShardKeyType>> = {
  20: 'int8',
  21: 'int2',
  23: 'int4',
  25: 'text',
  1043: 'text',
  2950: 'uuid',
};

const AS_TEXT = { getTypeParser: () => String } as unknown as QueryArrayConfig['types'];

type KeyAnswer = KeysFoundMessage['answers'][number];

export interface KeyLookupOptions {
  logger: Logger;
  /** To the first shard: what the query reads is on all of them. Rejects with the reason. */
  open: (database: string) => Promise<Client>;
  tell: (worker: number, message: KeysFoundMessage) => void;
  /** To all workers. */
  forget: () => void;
}

interface Question {
  readonly rule: ShardRule;
  readonly key: string;
  readonly resolve: (answer: KeyAnswer) => void;
  /** Nobody waits for it any more. */
  isOver: boolean;
}

/** Asks `lookup_query` for the workers, by connections of its own. */
export class KeyLookupDesk {
  readonly #options: KeyLookupOptions;
  readonly #lines = new Map<string, Line>();
  #loaded: Pick<LoadedConfig, 'sharding' | 'general'> | null = null;
  /** Of what is asked. What has been asked in one before may be another now. */
  #generation = 0;

  constructor(options: KeyLookupOptions) {
    this.#options = options;
  }

  takeUp(loaded: Pick<LoadedConfig, 'sharding' | 'general'>): void {
    this.#generation++;
    this.close();
    this.#loaded = loaded;
  }

  /** The tables that are read may be others now. */
  hurry(): void {
    this.#generation++;
    this.#options.forget();
  }

  /** Never rejects. What is answered was asked after the last `forget`: workers keep it for long. */
  async wanted({ worker, database, rule, keys }: KeysWantedMessage): Promise<void> {
    let generation: number;
    let answers: KeyAnswer[];
    do {
      generation = this.#generation;
      answers = await this.#ask(database, rule, keys);
    } while (generation !== this.#generation);
    for (let at = 0; at < answers.length; at += ANSWERS_MAX) {
      const part = answers.slice(at, at + ANSWERS_MAX);
      this.#options.tell(worker, { type: 'keysFound', database, rule, answers: part });
    }
  }

  #ask(database: string, number: number, keys: readonly string[]): Promise<KeyAnswer[]> {
    const sharding = this.#loaded?.sharding.get(database);
    const rule = sharding?.tables[number];
    return Promise.all(
      keys.map((key) =>
        rule === undefined || sharding === undefined
          ? { key, shard: null, problem: 'it has no lookup_query' }
          : this.#line(database, sharding.shardCount).ask(rule, key),
      ),
    );
  }

  #line(database: string, shardCount: number): Line {
    let line = this.#lines.get(database);
    if (line === undefined) {
      const { sharding_lookup_timeout: timeoutMs } = this.#loaded!.general;
      line = new Line(database, shardCount, timeoutMs === 0 ? TIMEOUT_MS_MAX : timeoutMs, this.#options);
      this.#lines.set(database, line);
    }
    return line;
  }

  close(): void {
    for (const line of this.#lines.values()) line.close();
    this.#lines.clear();
  }
}

/** Questions of one database, and the connections that ask them. */
class Line {
  readonly #database: string;
  readonly #shardCount: number;
  readonly #timeoutMs: number;
  readonly #options: KeyLookupOptions;
  readonly #waiting: Question[] = [];
  readonly #idle: Client[] = [];
  #connections = 0;
  #isClosed = false;
  /** Said in the log already. */
  #trouble = '';

  constructor(database: string, shardCount: number, timeoutMs: number, options: KeyLookupOptions) {
    this.#database = database;
    this.#shardCount = shardCount;
    this.#timeoutMs = timeoutMs;
    this.#options = options;
  }

  /** Never rejects. */
  ask(rule: ShardRule, key: string): Promise<KeyAnswer> {
    return new Promise((resolve) => {
      const answer = (shard: number | null, problem: string): void =>
        resolve({ key, shard, problem: problem.slice(0, PROBLEM_MAX) });
      if (this.#isClosed || this.#waiting.length >= WAITING_MAX) {
        answer(null, `${this.#waiting.length} keys wait to be looked up already`);
        return;
      }
      const question: Question = {
        rule,
        key,
        isOver: false,
        resolve: (given) => {
          clearTimeout(timer);
          answer(given.shard, given.problem);
        },
      };
      const timer = setTimeout(() => {
        question.isOver = true;
        answer(null, `lookup_query has given no answer in ${this.#timeoutMs} ms`);
      }, this.#timeoutMs);
      this.#waiting.push(question);
      this.#work();
    });
  }

  #work(): void {
    while (this.#waiting.length > 0) {
      const client = this.#idle.pop();
      if (client !== undefined) void this.#serve(client);
      else if (this.#connections < CONNECTIONS_MAX) void this.#connect();
      else return;
      if (client === undefined) return;
    }
  }

  async #connect(): Promise<void> {
    this.#connections++;
    try {
      const client = await this.#options.open(this.#database);
      client.on('error', () => this.#lost(client));
      this.#trouble = '';
      if (this.#isClosed) await client.end().catch(() => {});
      else void this.#serve(client);
    } catch (error) {
      this.#connections--;
      this.#failed(`cannot be asked: ${reasonOf(error)}`);
      // Others serve all that wait, or come here themselves.
      if (this.#connections > 0) return;
      for (const { key, resolve } of this.#waiting.splice(0)) {
        resolve({ key, shard: null, problem: `lookup_query cannot be asked: ${reasonOf(error)}` });
      }
    }
  }

  /** One question after another, as long as there are any. */
  async #serve(client: Client): Promise<void> {
    for (let question = this.#next(); question !== undefined; question = this.#next()) {
      this.#work();
      const { rule, key, resolve } = question;
      try {
        resolve({ key, ...(await this.#find(client, rule, key)) });
      } catch (error) {
        this.#failed(`fails: ${reasonOf(error)}`);
        resolve({ key, shard: null, problem: `lookup_query fails: ${reasonOf(error)}` });
        // A server's word leaves the connection as it was; a time-out does not.
        if (!(error instanceof Error && 'severity' in error && error.severity === 'ERROR')) {
          this.#lost(client);
          this.#work();
          return;
        }
      }
    }
    if (this.#isClosed) await client.end().catch(() => {});
    else this.#idle.push(client);
  }

  /** Those that are over would keep those behind them waiting. */
  #next(): Question | undefined {
    let question = this.#waiting.shift();
    while (question?.isOver === true) question = this.#waiting.shift();
    return question;
  }

  async #find(client: Client, rule: ShardRule, key: string): Promise<Omit<KeyAnswer, 'key'>> {
    const question: QueryArrayConfig<string[]> & { query_timeout: number } = {
      text: rule.lookupQuery ?? '',
      values: [key],
      rowMode: 'array',
      query_timeout: this.#timeoutMs,
      types: AS_TEXT,
    };
    const { rows, fields } = await client.query<(string | null)[]>(question);
    if (rows.length === 0) return { shard: null, problem: '' };
    const [value] = rows[0];
    if (rows.length > 1 || fields.length !== 1 || value === null) {
      throw asError('gives another answer than one value in one row');
    }
    const shard =
      rule.lookupResult === 'shard' ? shardNumber(value) : this.#shardOf(rule, fields[0].dataTypeID, value);
    const isShard = Number.isInteger(shard) && shard >= 0 && shard < this.#shardCount;
    if (!isShard) throw asError(`gives "${value}", and there are shards 0 to ${this.#shardCount - 1}`);
    return { shard, problem: '' };
  }

  /** Of a value in place of the key. */
  #shardOf(rule: ShardRule, type: number, value: string): number {
    const keyType = VALUE_TYPES[type];
    if (keyType === undefined) throw asError(`gives a value of a type that leads to no shard (oid ${type})`);
    const found = new ShardFunction(
      { ...rule, keyType, function: rule.lookupHash ?? 'hash' },
      this.#shardCount,
    );
    const bytes = Buffer.from(value);
    const shard = found.ofText(bytes, 0, bytes.length);
    if (shard === UNKNOWN_SHARD) throw asError('gives a value that leads to no shard');
    return shard;
  }

  #failed(text: string): void {
    if (text === this.#trouble) return;
    this.#trouble = text;
    const database = this.#database;
    this.#options.logger.log('warn', 'lookup_failed', `"${database}": lookup_query ${text}`, { database });
  }

  #lost(client: Client): void {
    const at = this.#idle.indexOf(client);
    if (at >= 0) this.#idle.splice(at, 1);
    // By its own error and by that of the question: once.
    if (lostClients.has(client)) return;
    lostClients.add(client);
    this.#connections--;
    void client.end().catch(() => {});
  }

  close(): void {
    this.#isClosed = true;
    for (const { key, resolve } of this.#waiting.splice(0)) {
      resolve({ key, shard: null, problem: 'the configuration is being read again' });
    }
    for (const client of this.#idle.splice(0)) void client.end().catch(() => {});
  }
}

/** NaN: it is none. A text without a digit is no 0. */
function shardNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

const lostClients = new WeakSet<Client>();

/** As one of the server's, after which the connection can be used on. */
function asError(text: string): Error {
  return Object.assign(new Error(text), { severity: 'ERROR' });
}
