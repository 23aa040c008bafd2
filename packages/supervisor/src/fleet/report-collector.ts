import type { ReportMessage, ReportRequestMessage, ReportRows } from '@pgdog-cluster/core';

const REPORT_TIMEOUT_MS = 2000;

interface Pending {
  waitingFor: Set<number>;
  rows: ReportRows[keyof ReportRows][];
  finish: () => void;
}

type Post = (worker: number, message: ReportRequestMessage) => void;

/** Asks workers for what ReportRows names and puts the answers together. */
export class ReportCollector {
  readonly #pending = new Map<number, Pending>();
  readonly #timeoutMs: number;
  #nextRequestId = 1;

  constructor(timeoutMs: number = REPORT_TIMEOUT_MS) {
    this.#timeoutMs = timeoutMs;
  }

  /** Rows of all `workers` that answer in time; those that crash or hang are left out. Never rejects. */
  request<Kind extends keyof ReportRows>(
    kind: Kind,
    workers: readonly number[],
    post: Post,
    filter = '',
  ): Promise<ReportRows[Kind][]> {
    return this.#request(kind, workers, post, filter).then(({ rows }) => rows);
  }

  /** Null when one of them did not answer in time. Never rejects. */
  async requestWhole<Kind extends keyof ReportRows>(
    kind: Kind,
    workers: readonly number[],
    post: Post,
  ): Promise<ReportRows[Kind][] | null> {
    const { rows, isWhole } = await this.#request(kind, workers, post, '');
    return isWhole ? rows : null;
  }

  #request<Kind extends keyof ReportRows>(
    kind: Kind,
    workers: readonly number[],
    post: Post,
    filter: string,
  ): Promise<{ rows: ReportRows[Kind][]; isWhole: boolean }> {
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    return new Promise((resolve) => {
      const rows: ReportRows[Kind][] = [];
      const finish = (): void => {
        clearTimeout(timer);
        const isWhole = this.#pending.get(requestId)?.waitingFor.size === 0;
        this.#pending.delete(requestId);
        resolve({ rows, isWhole });
      };
      const timer = setTimeout(finish, this.#timeoutMs);
      this.#pending.set(requestId, { waitingFor: new Set(workers), rows, finish });
      for (const worker of workers) post(worker, { type: 'reportRequest', requestId, kind, filter });
      if (workers.length === 0) finish();
    });
  }

  /** An answer that comes too late finds nobody waiting and is dropped. */
  onReport(message: ReportMessage): void {
    const pending = this.#pending.get(message.requestId);
    if (pending === undefined || !pending.waitingFor.has(message.worker)) return;
    // A worker answers what it was asked: the rows are of the kind of the request.
    for (const row of message.rows) pending.rows.push(row);
    this.#settle(pending, message.worker);
  }

  onWorkerGone(worker: number): void {
    for (const pending of [...this.#pending.values()]) this.#settle(pending, worker);
  }

  #settle(pending: Pending, worker: number): void {
    pending.waitingFor.delete(worker);
    if (pending.waitingFor.size === 0) pending.finish();
  }
}
