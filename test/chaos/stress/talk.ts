/** Requests and their whole answers, by the strict client of the chaos run or by pg; both say what they are waiting for. */
import pg from 'pg';
import * as frames from '../../support/frames.js';
import { ChaosClient, type ChaosTarget, sendCancel, Vanished, type VanishHow } from '../chaos-client.js';
import { ChaosFailure, ConnectionLost, type Request } from '../reply-machine.js';

/** Of every request, while servers are stopped and started beside it. */
export const BOUND_MS = 30_000;
const LABEL_MAX = 300;

export interface Answer {
  /** SQLSTATE of the first error; '' for success. */
  code: string;
  message: string;
  rows: (string | null)[][];
  tags: string[];
  copied: string;
}

export interface Step {
  sql: string;
  values?: string[];
}

type Target = ChaosTarget & { parameters: Record<string, string> };

export abstract class Talk {
  /** What is under way, for whoever asks why it takes so long. */
  doing = 'nothing yet';
  sinceMs = performance.now();
  isBusy = false;
  /** When the request before the last one was sent: a cancel from then on may have been meant for this one. */
  #beforeMs = 0;
  #cancelledMs = Number.NEGATIVE_INFINITY;
  #isGone = false;
  readonly target: Target;

  constructor(target: Target) {
    this.target = target;
  }

  abstract ask(sql: string): Promise<Answer>;
  abstract execute(sql: string, values: string[], name?: string): Promise<Answer>;
  protected abstract end(how: VanishHow): Promise<void>;
  abstract get key(): { pid: number; secret: Buffer };

  /** Whatever is asked of it from now on throws Vanished. */
  async vanish(how: VanishHow): Promise<void> {
    if (this.#isGone) return;
    this.#isGone = true;
    await this.end(how);
  }

  protected async during<T>(doing: string, work: () => Promise<T>): Promise<T> {
    if (this.#isGone) throw new Vanished();
    this.#beforeMs = this.sinceMs;
    this.sinceMs = performance.now();
    this.doing = doing.slice(0, LABEL_MAX);
    this.isBusy = true;
    try {
      return await work();
    } finally {
      this.isBusy = false;
    }
  }

  /** Resolves when the proxy has passed it on. */
  async cancel(): Promise<void> {
    const { pid, secret } = this.key;
    this.#cancelledMs = Number.POSITIVE_INFINITY;
    await sendCancel(this.target, pid, secret).catch(() => undefined);
    this.#cancelledMs = performance.now();
  }

  /** Whether a cancel can have met what is under way. */
  get wasCancelled(): boolean {
    return this.#cancelledMs >= this.#beforeMs;
  }
}

export class WireTalk extends Talk {
  readonly client: ChaosClient;

  private constructor(client: ChaosClient, target: Target) {
    super(target);
    this.client = client;
  }

  static async open(target: Target): Promise<WireTalk> {
    const talk = new WireTalk(await ChaosClient.open(target), target);
    await talk.during('login', async () => {
      const refusal = await talk.client.login(target.parameters, 196608);
      if (refusal !== null) throw new ConnectionLost(`login: ${refusal['C']} ${refusal['M']}`);
    });
    return talk;
  }

  get key(): { pid: number; secret: Buffer } {
    return this.client;
  }

  async #answer(doing: string, requests: Request[], splitAt = 0): Promise<Answer> {
    await this.during(doing, async () => {
      this.client.flush(splitAt);
      await this.client.settled(BOUND_MS);
    });
    return answerOf(requests);
  }

  ask(sql: string): Promise<Answer> {
    return this.#answer(sql, [this.client.request('Q', frames.Q(sql), sql)]);
  }

  #steps({ sql, values = [] }: Step, statement = '', isNew = true): Request[] {
    const { client } = this;
    const parse = isNew ? [client.request('P', frames.P(statement, sql), sql)] : [];
    return [
      ...parse,
      client.request('B', frames.B('', statement, { values }), sql),
      client.request('E', frames.E(''), sql),
    ];
  }

  #named = new Set<string>();
  execute(sql: string, values: string[], name = ''): Promise<Answer> {
    const isNew = name === '' || !this.#named.has(name);
    const requests = this.#steps({ sql, values }, name, isNew);
    requests.push(this.client.request('S', frames.S(), 'Sync'));
    return this.#answer(`${name} ${sql} (${values})`, requests).then((answer) => {
      const [parse] = requests;
      if (isNew && name !== '' && parse?.error === null && !parse.isSkipped) this.#named.add(name);
      return answer;
    });
  }

  /** In one write, with a Sync behind all or behind each: an answer for each Sync. */
  async batch(steps: readonly Step[], isOneSync: boolean): Promise<Answer[]> {
    const groups: Request[][] = isOneSync ? [[]] : steps.map(() => []);
    for (const [index, step] of steps.entries()) {
      const group = groups[isOneSync ? 0 : index] as Request[];
      group.push(...this.#steps(step));
      if (!isOneSync || index === steps.length - 1) group.push(this.client.request('S', frames.S(), 'Sync'));
    }
    await this.#answer(
      `batch, ${isOneSync ? 'one Sync' : 'a Sync each'}: ${steps.map(({ sql }) => sql).join('; ')}`,
      [],
    );
    return groups.map(answerOf);
  }

  /** In portions, with what follows them in the same batch. */
  portions(sql: string, portion: number, count: number): Promise<Answer> {
    const { client } = this;
    const requests = [
      client.request('P', frames.P('', sql), sql),
      client.request('B', frames.B('', ''), sql),
      ...Array.from({ length: count }, () => client.request('E', frames.E('', portion), sql)),
      client.request('S', frames.S(), 'Sync'),
    ];
    return this.#answer(`${count} portions of ${portion}: ${sql}`, requests);
  }

  /** COPY FROM STDIN by a Query; ended by CopyFail unless `isWhole`. */
  async copyIn(sql: string, rows: readonly string[], isWhole: boolean): Promise<Answer> {
    const request = this.client.request('Q', frames.Q(sql), sql);
    return this.during(sql, async () => {
      this.client.flush();
      await this.client.until(() => request.isCopyIn || this.client.machine.isSettled, BOUND_MS);
      if (request.isCopyIn) {
        for (const row of rows) this.client.raw(frames.d(`${row}\n`));
        request.isCopyEnded = true;
        this.client.raw(isWhole ? frames.c() : frames.f('given up'));
        this.client.flush();
        await this.client.settled(BOUND_MS);
      }
      return answerOf([request]);
    });
  }

  /** The beginning of a request, or all of it, and no ear for the answer. */
  async leaveWith(bytes: Buffer, count: number, how: VanishHow): Promise<void> {
    // Nobody is here for an answer that comes at once.
    this.client.pause();
    this.client.raw(bytes.subarray(0, count));
    this.client.flush();
    await new Promise((resolve) => setTimeout(resolve, 2));
    await this.vanish(how);
  }

  protected async end(how: VanishHow): Promise<void> {
    this.client.vanish(how);
    if (how === 'terminate')
      await Promise.race([this.client.closed, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
  }
}

function answerOf(requests: readonly Request[]): Answer {
  const failed = requests.find(({ error }) => error !== null);
  return {
    code: failed?.sqlstate ?? '',
    message: failed?.error?.['M'] ?? '',
    rows: requests.flatMap(({ rows }) => rows),
    tags: requests.flatMap(({ tags }) => tags),
    copied: Buffer.concat(requests.flatMap(({ copied }) => copied)).toString(),
  };
}

type Connection = { stream: { destroy(): void; resetAndDestroy(): void } };
const asText = { getTypeParser: () => (value: string) => value };

export class PgTalk extends Talk {
  readonly #client: pg.Client;

  private constructor(target: Target) {
    super(target);
    const { parameters, ...rest } = target;
    this.#client = new pg.Client({ ...rest, application_name: parameters['application_name'] });
    this.#client.on('error', () => undefined);
  }

  static async open(target: Target): Promise<PgTalk> {
    const talk = new PgTalk(target);
    await talk.during('login', () =>
      bounded('login', talk.#client.connect()).catch((error: Error & { code?: string }) => {
        if (error instanceof ChaosFailure) throw error;
        throw new ConnectionLost(`login: ${error.code} ${error.message}`);
      }),
    );
    return talk;
  }

  get key(): { pid: number; secret: Buffer } {
    const { processID, secretKey } = this.#client as unknown as { processID: number; secretKey: number };
    const secret = Buffer.alloc(4);
    secret.writeInt32BE(secretKey);
    return { pid: processID, secret };
  }

  ask(sql: string): Promise<Answer> {
    return this.#answer(sql, { text: sql });
  }

  execute(sql: string, values: string[], name?: string): Promise<Answer> {
    return this.#answer(`${name ?? ''} ${sql} (${values})`, { text: sql, values, name });
  }

  #answer(doing: string, query: pg.QueryConfig): Promise<Answer> {
    return this.during(doing, async () => {
      try {
        const given: unknown = await bounded(
          doing,
          this.#client.query({ ...query, rowMode: 'array', types: asText as never } as pg.QueryArrayConfig),
        );
        const results = [given].flat() as pg.QueryArrayResult<string[]>[];
        return {
          ...{ code: '', message: '', copied: '' },
          rows: results.flatMap(({ rows }) => rows),
          tags: results.map(({ command, rowCount }) => `${command} ${rowCount ?? ''}`.trim()),
        };
      } catch (error) {
        const { code, message, severity } = error as pg.DatabaseError;
        if (error instanceof ChaosFailure) throw error;
        if (code === undefined || code.length !== 5 || severity === 'FATAL')
          throw new ConnectionLost(`${code ?? ''} ${message}`);
        return { code, message, rows: [], tags: [], copied: '' };
      }
    });
  }

  protected async end(how: VanishHow): Promise<void> {
    const { stream } = (this.#client as unknown as { connection: Connection }).connection;
    if (how === 'reset') stream.resetAndDestroy();
    else if (how === 'destroy') stream.destroy();
    else
      await Promise.race([
        this.#client.end().catch(() => undefined),
        new Promise((resolve) => setTimeout(resolve, 1_000).unref()),
      ]);
  }
}

function bounded<T>(what: string, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ChaosFailure(`no answer within ${BOUND_MS} ms to ${what.slice(0, LABEL_MAX)}`)),
      BOUND_MS,
    );
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
