/** Sessions of many steps on the proxy and on the reference, kept in step: what is refused on the one is left out on the other. */
import type { RawClient } from '../support/raw-client.js';
import { type Answer, difference, run } from './oracle-answer.js';
import { describeCase } from './oracle-case.js';
import { type OracleRig, type OracleTally, refusalKind, type Verdict } from './oracle-rig.js';
import type { SessionGenerator, SessionStep } from './session-generator.js';
import { WRITE_TABLES } from './write-tables.js';

const BATCH_STEPS = 25;
/** Batches of a session; rows are put back after it. */
const SESSION_BATCHES = 4;
/** Shown of a batch that went wrong. */
const HISTORY_MAX = 30;

/** Rows of one statement that violate different constraints: which of them is named depends on which is looked at first. */
const OF_SEVERAL_ROWS = /several rows|ON CONFLICT|SELECT|without the key|of the key/;
/** 21000: a row that ON CONFLICT would change twice, which is seen where both are. */
const VIOLATION = /^23|^21000$/;

function isOtherRow({ construct, prepared }: SessionStep, own: Answer, their: Answer): boolean {
  const isViolation = ({ error }: Answer): boolean => VIOLATION.test(error?.C ?? '');
  const isLike = own.status === their.status && isViolation(own) && isViolation(their);
  return isLike && OF_SEVERAL_ROWS.test(prepared ?? construct);
}

/**
 * Rows that move become rows of their new shard one after the other, in an order that one server could have, but need not: on the
 * way one may meet another that has not moved yet. In the end no two are alike, for the index is where all of them are.
 */
function isOtherOrder({ sql }: SessionStep, own: Answer, their: Answer): boolean {
  return own.error === null && their.error?.C === '23505' && setsKey(sql);
}

function setsKey(sql: string): boolean {
  const table = WRITE_TABLES.find(({ name }) => sql.startsWith(`UPDATE ${name} `));
  const [, settings = ''] = sql.split(' WHERE ')[0]?.split(' SET ') ?? [];
  return settings.split(', ').some((each) => each.startsWith(`${table?.key?.name} = `));
}

export class SessionOracle {
  readonly #rig: OracleRig;
  readonly #generator: SessionGenerator;
  readonly #tally: OracleTally;
  #status = 'I';
  #history: string[] = [];
  /** Both are right, and have other rows now. */
  #isApart = false;
  /** What went ahead of each wrong answer, and the answer itself. */
  readonly histories: string[] = [];

  constructor(rig: OracleRig, generator: SessionGenerator, tally: OracleTally) {
    this.#rig = rig;
    this.#generator = generator;
    this.#tally = tally;
  }

  /** At least so many steps. */
  async run(count: number): Promise<void> {
    let done = 0;
    while (done < count) {
      this.#generator.newSession();
      const [ours, theirs] = await this.#rig.clients();
      this.#status = 'I';
      this.#history = [];
      this.#isApart = false;
      for (let batch = 0; batch < SESSION_BATCHES; batch++) {
        const steps = await this.#batch(ours, theirs);
        if (steps === null) break;
        done += steps;
      }
      await this.#rig.disconnect();
      await this.#rig.refill();
    }
  }

  /** @returns steps; null: what follows compares to nothing */
  async #batch(ours: RawClient, theirs: RawClient): Promise<number | null> {
    let steps = 0;
    do {
      const step = steps < BATCH_STEPS ? this.#generator.next(this.#status) : this.#generator.end();
      steps++;
      const verdict = await this.#step(step, ours, theirs);
      this.#note(step, verdict);
      if (verdict.kind === 'wrong' || this.#isApart) return null;
    } while (steps < BATCH_STEPS || this.#status !== 'I');
    const state = await this.#rig.stateDifference();
    if (state === null) return steps;
    const last: SessionStep = { construct: 'rows after a batch', sql: '', order: 'any' };
    this.#note(last, { kind: 'wrong', text: `afterwards, ${state}` });
    return null;
  }

  #note(step: SessionStep, verdict: Verdict): void {
    const text = describeCase({ ...step, steps: [step], isWrite: true, isSession: true });
    this.#history.push(`[${this.#status}] ${step.statement?.name ?? ''} ${text} ⇒ ${verdict.kind}`);
    this.#tally.add({ ...step, steps: [step], isWrite: true, isSession: true }, verdict);
    if (verdict.kind === 'wrong') this.histories.push(this.#history.slice(-HISTORY_MAX).join('\n'));
  }

  async #step(step: SessionStep, ours: RawClient, theirs: RawClient): Promise<Verdict> {
    try {
      const before = this.#status;
      const own = await run(ours, step);
      if (own.error?.C === '0A000') return await this.#refused(own, theirs, before);
      const their = await run(theirs, step);
      this.#status = their.status;
      this.#generator.noteOutcome(own.error === null);
      if (isOtherOrder(step, own, their)) {
        this.#isApart = true;
        return { kind: 'equal', text: '' };
      }
      const problem = isOtherRow(step, own, their) ? null : difference(own, their, step.order);
      return problem === null ? { kind: 'equal', text: '' } : { kind: 'wrong', text: problem };
    } catch (error) {
      return { kind: 'wrong', text: `${error}` };
    }
  }

  /** A refusal is an error like others: it fails the transaction, and nothing else has happened. */
  async #refused(own: Answer, theirs: RawClient, before: string): Promise<Verdict> {
    this.#generator.noteOutcome(false);
    const isEnded = before !== 'I' && own.status === 'I';
    if (isEnded) await run(theirs, { sql: 'ROLLBACK' });
    else if (before === 'T') await run(theirs, { sql: 'SELECT 1 / 0' });
    this.#status = own.status;
    const expected = before === 'I' || isEnded ? 'I' : 'E';
    const text = refusalKind(own.error ?? {});
    if (own.status === expected) return { kind: 'refused', text };
    return { kind: 'wrong', text: `status ${own.status} after a refusal in ${before}: ${text}` };
  }
}
