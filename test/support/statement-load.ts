/**
 * Clients that send statement after statement while hosts fail, and note of each when it began, when it ended, who
 * served it, or what went wrong. A client whose connection was ended connects again.
 */
import { RawClient } from './raw-client.js';
import { WHERE } from './routed-proxy.js';
import { sleep } from './wire.js';

export interface StatementRecord {
  /** Counted over all clients of the load; what `sqlOf` was given. */
  number: number;
  startMs: number;
  endMs: number;
  /** Name of the host; '' for a failure. */
  host: string;
  /** SQLSTATE and text; '' for an answer. */
  error: string;
}

const ANSWER_TIMEOUT_MS = 30_000;
const PAUSE_MS = 2;

export class StatementLoad {
  readonly records: StatementRecord[] = [];
  #isRunning = true;
  #clients: Promise<void>[];

  #sqlOf: (number: number) => string;
  #count = 0;

  /** Begins at once. The statement's first value must name the host. */
  constructor(port: number, clientCount: number, sqlOf: (number: number) => string = () => WHERE) {
    this.#sqlOf = sqlOf;
    this.#clients = Array.from({ length: clientCount }, () => this.#run(port));
  }

  async #run(port: number): Promise<void> {
    let client: RawClient | null = null;
    while (this.#isRunning) {
      const number = this.#count++;
      const record: StatementRecord = { number, startMs: performance.now(), endMs: 0, host: '', error: '' };
      try {
        client ??= await RawClient.connect({ port, password: 'postgres', timeoutMs: ANSWER_TIMEOUT_MS });
        const { rows, error } = await client.query(this.#sqlOf(number));
        if (error !== null) record.error = `${error['C']} ${error['M']}`;
        else record.host = rows[0][0] ?? '';
      } catch (error) {
        record.error = error instanceof Error ? error.message : String(error);
      }
      record.endMs = performance.now();
      this.records.push(record);
      if (client?.isClosed === true) client = null;
      await sleep(PAUSE_MS);
    }
    await client?.end();
  }

  /** Failed ones that began after a moment. */
  errorsSince(sinceMs: number): StatementRecord[] {
    return this.records.filter(({ startMs, error }) => error !== '' && startMs >= sinceMs);
  }

  hostsSince(sinceMs: number, untilMs = Number.POSITIVE_INFINITY): Record<string, number> {
    const served: Record<string, number> = {};
    for (const { startMs, host } of this.records) {
      if (host === '' || startMs < sinceMs || startMs >= untilMs) continue;
      served[host] = (served[host] ?? 0) + 1;
    }
    return served;
  }

  /** Longest time between two answers, over all clients together, from a moment on. */
  longestGapMs(sinceMs: number): number {
    const ends = this.records
      .filter(({ error, endMs }) => error === '' && endMs >= sinceMs)
      .map(({ endMs }) => endMs);
    let last = sinceMs;
    let longest = 0;
    for (const end of ends.sort((a, b) => a - b)) {
      longest = Math.max(longest, end - last);
      last = end;
    }
    return longest;
  }

  /** Every statement under way has ended. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#clients);
  }
}
