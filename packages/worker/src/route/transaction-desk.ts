import { decodeText, type SqlPlan } from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { CONSUMED } from '../wire/frame-stream.js';
import type { BatchAhead } from './batch-ahead.js';
import { beginTag, HeldTransaction, stepOf, type TransactionStep } from './held-transaction.js';
import { MadeAnswer } from './made-answer.js';

/** Begins and ends, without a server, transactions in which nothing happens; keeps the one that is held, and what SET TRANSACTION says of it. */
export class TransactionDesk {
  private readonly session: Session;
  held: HeldTransaction | null = null;
  /** A batch of one such statement is being answered. */
  private made: MadeAnswer | null = null;

  constructor(session: Session) {
    this.session = session;
  }

  get isAnswering(): boolean {
    return this.made !== null;
  }

  /** A Query of this plan, whose text is bytes[start, end): true, it has been answered. */
  takesQuery(plan: SqlPlan, bytes: Uint8Array, start: number, end: number): boolean {
    const step = stepFor(plan);
    if (step === null || !this.mayTake(step)) return false;
    this.take(step, plan, decodeText(bytes, start, end));
    if (!this.isPiece) this.session.sendReady();
    return true;
  }

  /** The batch ahead is one BEGIN, COMMIT or ROLLBACK and nothing else: its frames are answered one by one. */
  takesBatch(ahead: BatchAhead): boolean {
    if (!this.mayTakeBatch(ahead)) return false;
    const [plan] = ahead.plans;
    const step = stepFor(plan);
    if (step === null) return false;
    this.made = new MadeAnswer(this.session, plan, (text) => this.take(step, plan, text), this.isPiece);
    return true;
  }

  mayTakeBatch(ahead: BatchAhead): boolean {
    if (!ahead.isOne || ahead.hasOther || !ahead.mayName) return false;
    const step = stepFor(ahead.plans[0]);
    return step !== null && this.mayTake(step);
  }

  private get isPiece(): boolean {
    return this.session.router?.shards?.cross.pieces.isOn === true;
  }

  /** A frame of the batch that is being answered. */
  frame(type: number, bytes: Uint8Array, start: number, end: number): number {
    if (this.made?.frame(type, bytes, start, end) === true) this.made = null;
    return this.session.requests?.drop() ?? CONSUMED;
  }

  private mayTake(step: DeskStep): boolean {
    if (step === 'modes') return this.held?.hasFailed === false;
    if (step !== 'begin') return this.held !== null;
    return this.held === null && this.session.pool?.snapshot.poolerMode === 'transaction';
  }

  private take(step: DeskStep, plan: SqlPlan, text: string): void {
    const { session, held } = this;
    let tag = beginTag(plan);
    if (step === 'begin') this.held = new HeldTransaction(text, plan);
    else if (step === 'modes') {
      tag = 'SET';
      held?.says(text, plan);
      const { asked } = session.router?.shards ?? {};
      // Every shard is told.
      if (asked !== undefined) asked.isShardTold = false;
    } else {
      // COMMIT of a failed transaction answers ROLLBACK.
      tag = step === 'commit' && held?.hasFailed === false ? 'COMMIT' : 'ROLLBACK';
      this.held = null;
      session.transactions++;
    }
    session.queries++;
    session.send(MadeAnswer.completion(tag));
    session.tap?.completed(tag);
  }
}

type DeskStep = TransactionStep | 'modes';

function stepFor(plan: SqlPlan): DeskStep | null {
  const isSet = plan.route.begin?.isOfThisOne === true && plan.statements.length === 1;
  return isSet ? 'modes' : stepOf(plan);
}
