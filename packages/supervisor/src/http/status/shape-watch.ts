import type { QueryReport } from '@pgdog-cluster/core';
import type { ShapeStatus } from '@pgdog-cluster/core/status';
import { mergeQueries } from '../../admin/merged-queries.js';

const SHAPES_SHOWN = 20;
const QUERY_CHARS_MAX = 2000;
/** Workers are asked that often: they take some milliseconds for a thousand shapes each. */
const ASK_EVERY_MS = 5000;

/** Which statements take the time: asked of the workers, now and then, and only while somebody looks. */
export class ShapeWatch {
  readonly #report: (filter: string) => Promise<readonly QueryReport[]>;
  #askedMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  #shapes: ShapeStatus[] | null = null;

  constructor(report: (filter: string) => Promise<readonly QueryReport[]>) {
    this.#report = report;
  }

  /** What is known; null before the first answer. Asks again when that is old. @param nowMs of the monotonic clock */
  latest(nowMs: number): ShapeStatus[] | null {
    if (!this.#isAsking && nowMs - this.#askedMs >= ASK_EVERY_MS) {
      this.#askedMs = nowMs;
      this.#isAsking = true;
      this.#ask()
        // Said by whoever reports; what was known stays.
        .catch(() => {})
        .finally(() => {
          this.#isAsking = false;
        });
    }
    return this.#shapes;
  }

  async #ask(): Promise<void> {
    const rows = mergeQueries(await this.#report(''), true).filter(({ calls, errors }) => calls + errors > 0);
    rows.sort((a, b) => b.totalUs - a.totalUs);
    this.#shapes = rows.slice(0, SHAPES_SHOWN).map((row) => ({
      database: row.database,
      query: row.query.slice(0, QUERY_CHARS_MAX),
      route: row.access,
      calls: row.calls,
      errors: row.errors,
      rows: row.rows,
      meanUs: row.calls === 0 ? 0 : row.totalUs / row.calls,
      p99Us: row.p99Us,
      maxUs: row.maxUs,
      totalUs: row.totalUs,
    }));
  }
}
