import type { ClientReport, ReportMessage, ReportRequestMessage, ServerReport } from '@pgdog-cluster/core';

const REPORT_TIMEOUT_MS = 2000;

interface Pending {
  waitingFor: Set<number>;
  rows: (ClientReport | ServerReport)[];
  finish: () => void;
}

/** Asks workers for their clients or server connections and puts the answers together. */
export class ReportCollector {
  readonly #pending = new Map<number, Pending>();
  readonly #timeoutMs: number;
  #nextRequestId = 1;

  constructor(timeoutMs: number = REPORT_TIMEOUT_MS) {
    this.#timeoutMs = timeoutMs;
  }

  /** Rows of all `workers` that answer in time; those that crash or hang are left out. Never rejects. */
  request(
    kind: ReportRequestMessage['kind'],
    workers: readonly number[],
    post: (worker: number, message: ReportRequestMessage) => void,
  ): Promise<(ClientReport | ServerReport)[]> {
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    return new Promise((resolve) => {
      const rows: (ClientReport | ServerReport)[] = [];
      const finish = (): void => {
        clearTimeout(timer);
        this.#pending.delete(requestId);
        resolve(rows);
      };
      const timer = setTimeout(finish, this.#timeoutMs);
      this.#pending.set(requestId, { waitingFor: new Set(workers), rows, finish });
      for (const worker of workers) post(worker, { type: 'reportRequest', requestId, kind });
      if (workers.length === 0) finish();
    });
  }

  /** An answer that comes too late finds nobody waiting and is dropped. */
  onReport(message: ReportMessage): void {
    const pending = this.#pending.get(message.requestId);
    if (pending === undefined || !pending.waitingFor.has(message.worker)) return;
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
