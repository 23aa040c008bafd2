import { BACKEND, TextRanking } from '@pgdog-cluster/core';
import type { PlanCache } from '../plan/plan-cache.js';
import type { Leg } from './leg.js';
import { orderPlan } from './order-plan.js';
import { queryFrame } from './query-frame.js';
import { readRow } from './value-merger.js';

/** Of whose kind all questions of mergers are. */
const SAMPLE = TextRanking.sample();

/** A question of a merger's, which one leg is asked when all have answered what the client asks. */
export class Aside {
  /** Who is asked; null: nobody yet. */
  leg: Leg | null = null;
  private readonly sql: string;
  private readonly onAnswered: (values: readonly (string | null)[]) => void;
  private values: readonly (string | null)[] = [];

  constructor(sql: string, onAnswered: (values: readonly (string | null)[]) => void) {
    this.sql = sql;
    this.onAnswered = onAnswered;
  }

  /** Of the transaction that the statement is in, if it is in one: the leg has its server connection then. */
  begin(leg: Leg, plans: PlanCache): void {
    this.leg = leg;
    leg.begin(queryFrame(this.sql), 0, false, orderPlan(plans, 'ranking', SAMPLE));
  }

  /** What the leg says, but for errors and its ReadyForQuery; a row that is not there as a whole is no answer. */
  take(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): void {
    if (type === BACKEND.DataRow && end - start === frameBytes) this.values = readRow(bytes, start, end);
  }

  answered(): void {
    this.onAnswered(this.values);
  }
}
