import { randomFillSync } from 'node:crypto';
import { type CommitMode, type LocalSetting, PgDogError, parseErrorFields, READY } from '@pgdog-cluster/core';
import { errorFrame } from './error-frame.js';
import type { Leg } from './leg.js';
import type { Scatter } from './scatter.js';
import type { OrderFailure } from './scatter-task.js';
import { savepointMark, settingMark, type TransactionMark, withoutFormer } from './transaction-mark.js';

const HEADER_BYTES = 5;
/** Names of prepared transactions: docs/internals/sharding.md. */
const PREFIX = 'pgdog';
/** How often it is tried to end what is prepared: a time-out or a DBA's cancel may hit it. */
const END_ATTEMPTS_MAX = 3;
/**
 * So late it is given up: a note of recovery that forbade the commit may have been swept away since, which is an hour after it at
 * the earliest (supervisor/two-phase).
 */
const NOTE_LATE_MS = 15 * 60_000;
/**
 * A decision that a crash of its server could forget is none: others act on it. Constant and local, so that it is known to end
 * with the transaction; what might stay would tie the server connection to the session.
 */
const DURABLE = "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)";

/** Null: all is well; else the ErrorResponse for the client. */
type Outcome = (failure: Uint8Array | null) => void;

interface TransactionTerms {
  readonly mode: CommitMode;
  /** BEGIN with what the client said of it. */
  readonly beginText: string;
  readonly isReadOnly: boolean;
  /** What was marked and set before it was over several shards. */
  readonly marks: readonly TransactionMark[];
}

/** What the client's transaction has done on its shard before it was over several. */
export interface DoneBefore {
  readonly hasWritten: boolean;
  /** NOTIFY, or the like: what Postgres does not prepare. */
  readonly isPlaced: boolean;
}

/**
 * One transaction over several shards. Shards join when they are first touched; savepoints are made up for.
 *
 * A commit that has written on several: the shard with what cannot be prepared decides, else the one with the lowest number. It takes an advisory lock of the
 * transaction's number and notes the number in pgdog.transactions, while the others prepare; the decider commits, and with it the
 * note: that is the decision; the others commit what they have prepared. Whoever finds something prepared and can take the lock
 * knows that nobody is at work on it, and goes by the note; where there is none it writes the number's negative first, which
 * the decider would write too: from then on it cannot commit (supervisor/two-phase).
 */
export class DistributedTransaction {
  private readonly scatter: Scatter;
  private readonly mode: CommitMode;
  private readonly beginText: string;
  /** In order; who joins later is told all of it. */
  private marks: TransactionMark[];
  private readonly members = new Map<number, Leg>();
  private readonly written = new Set<Leg>();
  /** Nothing can be written in it, whatever its statements look like: there is nothing to decide, and no note can be made. */
  private readonly isReadOnly: boolean;
  private placed: Leg | null = null;
  hasFailed = false;
  isAborted = false;
  private isCommitting = false;
  /** Its client went meanwhile; null: it is there. */
  private whenLeft: (() => void) | null = null;
  /** The shard on which it began before it was over several; null: it was from its beginning. */
  adoptedShard: number | null = null;

  constructor(scatter: Scatter, { mode, beginText, isReadOnly, marks }: TransactionTerms) {
    this.scatter = scatter;
    this.mode = mode;
    this.beginText = beginText;
    this.isReadOnly = isReadOnly;
    this.marks = [...marks];
  }

  get readyStatus(): number {
    return this.hasFailed ? READY.Failed : READY.InTransaction;
  }

  /** Members, in the order of their shards. */
  get shards(): number[] {
    return [...this.members.keys()].sort((a, b) => a - b);
  }

  /** The one that joined first tells the time of the transaction; null: it has none yet. */
  get firstShard(): number | null {
    for (const shard of this.members.keys()) return shard;
    return null;
  }

  /** What a shard had done in it is gone: nothing of it may be committed. */
  get hasLostMember(): boolean {
    for (const leg of this.members.values()) if (leg.isGone) return true;
    return false;
  }

  /** A leg that has begun it already. */
  adopt(leg: Leg, { hasWritten, isPlaced }: DoneBefore): void {
    this.members.set(leg.shard, leg);
    leg.readyStatus = READY.InTransaction;
    this.adoptedShard = leg.shard;
    if (hasWritten) this.noteWrite(leg);
    if (isPlaced) this.notePlaced(leg);
  }

  /** @param name as SQL */
  hasSavepoint(name: string): boolean {
    return this.marks.some((mark) => mark.savepoint === name);
  }

  /** Savepoints that there are. */
  get depth(): number {
    return this.marks.filter(({ savepoint }) => savepoint !== null).length;
  }

  /** What a leg is asked before its first statement; [] when it is a member. */
  join(leg: Leg): string[] {
    if (this.members.get(leg.shard) === leg) return [];
    this.members.set(leg.shard, leg);
    return [this.beginText, ...this.marks.map(({ sql }) => sql)];
  }

  /** Something on it cannot be prepared: it decides. */
  notePlaced(leg: Leg): void {
    this.placed ??= leg;
  }

  /** A statement of it was answered with an error. Who joined with it and never began has done nothing in it. */
  fail(): void {
    this.hasFailed = true;
    for (const [shard, leg] of this.members) {
      if (leg.aheadCount === 0) continue;
      this.members.delete(shard);
      this.written.delete(leg);
      if (this.placed === leg) this.placed = null;
    }
  }

  /** It was in the way of others: nothing of it stays, and what it had is theirs. Its client may only roll back. */
  abort(): void {
    const { legs } = this;
    this.isAborted = true;
    legs[0]?.session.context.sharded.postpone(() => this.drop(legs));
  }

  noteWrite(leg: Leg): void {
    if (!this.isReadOnly) this.written.add(leg);
  }

  noteSavepoint(name: string): void {
    this.marks.push(savepointMark(name));
  }

  noteSetting(setting: LocalSetting): void {
    this.marks = withoutFormer([...this.marks, settingMark(setting)]);
  }

  get settingCount(): number {
    return this.marks.length - this.depth;
  }

  /** RELEASE, or with `isKept` ROLLBACK TO: those behind it are gone. */
  noteReleased(name: string, isKept: boolean): void {
    const index = this.marks.findLastIndex(({ savepoint }) => savepoint === name);
    if (index >= 0 && isKept) this.marks.length = index + 1;
    // What was set behind it holds on.
    else if (index >= 0) {
      const isLeft = ({ savepoint }: TransactionMark, at: number): boolean =>
        at < index || savepoint === null;
      this.marks = withoutFormer(this.marks.filter(isLeft));
    }
    if (isKept) this.hasFailed = false;
  }

  private get legs(): Leg[] {
    return this.shards.map((shard) => this.members.get(shard)!).filter((leg) => !leg.isGone);
  }

  rollback(then: () => void): void {
    this.scatter.order(
      this.legs.map((leg) => ({ leg, sql: 'ROLLBACK' })),
      () => then(),
    );
  }

  /** Commits everywhere or nowhere. */
  commit(then: Outcome): void {
    this.isCommitting = true;
    this.commitAll((failure) => {
      this.isCommitting = false;
      if (this.whenLeft === null) then(failure);
      else this.whenLeft();
    });
  }

  /**
   * The client has gone. What it has asked to be committed is, as on one server: else its parts would be prepared, with
   * their locks, until recovery finds them. @returns false: there is nothing to wait for
   */
  leave(whenDone: () => void): boolean {
    if (this.isCommitting) this.whenLeft = whenDone;
    return this.isCommitting;
  }

  private commitAll(then: Outcome): void {
    if (this.hasLostMember || this.legs.some(isOutside)) {
      this.abandon(errorFrame(lostMember()), then);
      return;
    }
    const { legs, written } = this;
    const writers = legs.filter((leg) => written.has(leg));
    const readers = legs.filter((leg) => !written.has(leg));
    // What they have read holds only if they say so (serializable).
    this.scatter.order(
      readers.map((leg) => ({ leg, sql: 'COMMIT' })),
      (failures) => {
        if (failures.length > 0) this.abandon(failures[0].frame, then, readers);
        else if (writers.length < 2) this.commitPlainly(writers, then);
        else if (this.mode === 'two_phase') this.commitInPhases(writers, then);
        else if (this.mode === 'plain') this.commitPlainly(writers, then);
        else {
          const shards = writers.map(({ shard }) => shard).join(', ');
          const text = `the transaction has written on shards ${shards}, which cannot be committed as one`;
          const hint =
            'Set max_prepared_transactions on every shard, or two_phase_commit = false (not atomic).';
          this.abandon(errorFrame(new PgDogError('cross_shard', text, { hint })), then, readers);
        }
      },
    );
  }

  /** Nothing stays of it on those that have not ended yet. */
  private abandon(frame: Uint8Array, then: Outcome, ended: readonly Leg[] = []): void {
    this.scatter.order(
      this.legs.filter((leg) => !ended.includes(leg)).map((leg) => ({ leg, sql: 'ROLLBACK' })),
      () => then(frame),
    );
  }

  private commitPlainly(writers: readonly Leg[], then: Outcome): void {
    this.scatter.order(
      writers.map((leg) => ({ leg, sql: 'COMMIT' })),
      (failures) => {
        if (failures.length === 0) then(null);
        else if (failures.some(({ leg }) => leg.isGone)) then(errorFrame(unknownOutcome()));
        else then(failures[0].frame);
      },
    );
  }

  private commitInPhases(writers: readonly Leg[], then: Outcome): void {
    const { placed } = this;
    const decider = placed !== null && writers.includes(placed) ? placed : writers[0];
    const others = writers.filter((leg) => leg !== decider);
    const id = newId();
    const nameOf = ({ shard }: Leg): string => `'${PREFIX}:${id}:${decider.shard}:${shard}'`;
    const note =
      `SELECT pg_catalog.pg_advisory_xact_lock(${id}); ${DURABLE}; ` +
      `INSERT INTO pgdog.transactions (id) VALUES (${id}), (-${id})`;
    for (const { session } of others) session.keepsServer = 'untilTold';
    const { context } = decider.session;
    const startMs = context.nowMs;
    this.scatter.order(
      [
        { leg: decider, sql: note, kind: 'note' },
        ...others.map((leg) => ({ leg, sql: `PREPARE TRANSACTION ${nameOf(leg)}`, kind: 'prepare' })),
      ],
      (failures) => {
        const refusals = [...failures, ...unprepared(others, failures)];
        const isLate = context.nowMs - startMs > NOTE_LATE_MS;
        if (refusals.length === 0 && (isLate || isOutside(decider))) {
          const error = isLate ? new PgDogError('commit_forestalled') : lostMember();
          refusals.push({ leg: decider, frame: errorFrame(error) });
        }
        if (refusals.length > 0) this.undo(decider, others, refusals, nameOf, then);
        else this.decide(decider, others, nameOf, then);
      },
    );
  }

  /** Some could not prepare, or the decider not note it: nobody commits. What a lost one has prepared is for recovery to roll back. */
  private undo(
    decider: Leg,
    others: readonly Leg[],
    refusals: readonly OrderFailure[],
    nameOf: (leg: Leg) => string,
    then: Outcome,
  ): void {
    const refused = new Set(refusals.map(({ leg }) => leg));
    const prepared = others.filter((leg) => !refused.has(leg) && !leg.isGone);
    this.drop(others.filter((leg) => refused.has(leg)));
    const ofDecider = refusals.find(({ leg }) => leg === decider);
    const frame = ofDecider === undefined ? refusals[0].frame : withRemedy(ofDecider.frame);
    const open = decider.isGone ? [] : [{ leg: decider, sql: 'ROLLBACK' }];
    this.scatter.order(open, () => this.endPrepared('ROLLBACK', prepared, nameOf, () => then(frame)));
  }

  /** Their server connections are not needed any more, and nobody else gives them back. */
  private drop(legs: readonly Leg[]): void {
    for (const leg of legs) if (!leg.isGone) leg.session.end();
  }

  /** What cannot be ended here is for recovery. */
  private endPrepared(
    verb: 'COMMIT' | 'ROLLBACK',
    legs: readonly Leg[],
    nameOf: (leg: Leg) => string,
    then: () => void,
    attempt = 1,
  ): void {
    for (const { session } of legs) session.keepsServer = 'untilDone';
    this.scatter.order(
      legs
        .filter(({ isGone }) => !isGone)
        .map((leg) => ({ leg, sql: `${verb} PREPARED ${nameOf(leg)}`, kind: verb })),
      (failures) => {
        const again = failures.map(({ leg }) => leg);
        const isLast = attempt === END_ATTEMPTS_MAX;
        if (isLast) this.drop(again);
        if (isLast || again.length === 0) then();
        else this.endPrepared(verb, again, nameOf, then, attempt + 1);
      },
      true,
    );
  }

  private decide(decider: Leg, others: readonly Leg[], nameOf: (leg: Leg) => string, then: Outcome): void {
    this.scatter.order([{ leg: decider, sql: 'COMMIT' }], (failures) => {
      // Lost in between: it may have committed, and only recovery can tell.
      if (failures.length > 0 && decider.isGone) {
        this.drop(others);
        then(errorFrame(unknownOutcome()));
        return;
      }
      const isUndone = failures.length > 0 || decider.orderTag !== 'COMMIT';
      const frame = isUndone ? (failures[0]?.frame ?? errorFrame(lostMember())) : null;
      this.endPrepared(isUndone ? 'ROLLBACK' : 'COMMIT', others, nameOf, () => then(frame));
    });
  }
}

const IDS_FROM = 10n ** 18n;
const IDS_TO = 2n ** 63n;

const ID_BYTES = 8;
/** Random bytes are dear by the call, not by the byte. */
const random = Buffer.alloc(128 * ID_BYTES);
let randomUsed = random.length;

/** Of all positive ones of type bigint those of 19 digits: texts with them are of one length. */
function newId(): bigint {
  if (randomUsed === random.length) {
    randomFillSync(random);
    randomUsed = 0;
  }
  const number = random.readBigUInt64BE(randomUsed);
  randomUsed += ID_BYTES;
  return IDS_FROM + (number % (IDS_TO - IDS_FROM));
}

/** Not in its transaction, whatever has happened to it: what it does now is done at once, and alone. */
function isOutside({ readyStatus }: Leg): boolean {
  return readyStatus !== READY.InTransaction;
}

/** Postgres answers ROLLBACK, and no error, where there is nothing to prepare: no transaction, or one that has failed. */
function unprepared(legs: readonly Leg[], failures: readonly OrderFailure[]): OrderFailure[] {
  return legs
    .filter((leg) => leg.orderTag !== 'PREPARE TRANSACTION' && !failures.some((each) => each.leg === leg))
    .map((leg) => ({ leg, frame: errorFrame(lostMember()) }));
}

/** Our own table is missing, or may not be written: what to do about it. */
function withRemedy(frame: Uint8Array): Uint8Array {
  const fields = parseErrorFields(frame, HEADER_BYTES, frame.length);
  if (fields.sqlstate === UNIQUE_VIOLATION) return errorFrame(new PgDogError('commit_forestalled'));
  if (!SETUP_CODES.has(fields.sqlstate)) return frame;
  const text = `a commit over several shards needs the table pgdog.transactions: ${fields.message}`;
  return errorFrame(new PgDogError('cross_shard', text, { hint: 'Run pgdog-cluster setup.' }));
}

/** The negative of the number is there: recovery has been quicker. */
const UNIQUE_VIOLATION = '23505';
/** No such schema, no such table, permission denied. */
const SETUP_CODES: ReadonlySet<string> = new Set(['3F000', '42P01', '42501']);

export function lostMember(): PgDogError {
  return new PgDogError('server_lost', 'the connection to one of its shards was lost');
}

function unknownOutcome(): PgDogError {
  return new PgDogError('commit_unknown');
}
