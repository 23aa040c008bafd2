// This file is over 400 lines because every answer of every shard comes through here, in one state.
import { BACKEND, decodeText, PgDogError, READY, type SettingNeed, SYNC } from '@pgdog-cluster/core';
import type { Cluster } from '../route/cluster.js';
import type { Session } from '../session/session.js';
import { BLOCKED, CONSUMED } from '../wire/frame-stream.js';
import { Aside } from './aside.js';
import type { CopyIn } from './copy-in.js';
import type { CrossShardRequest } from './cross-shard-request.js';
import { asError, errorFrame } from './error-frame.js';
import { HeldServers } from './held-servers.js';
import { Leg, type LegReader } from './leg.js';
import { isNeedMet } from './met-needs.js';
import { orderPlan } from './order-plan.js';
import { queryFrame } from './query-frame.js';
import type { Order, OrderFailure, ScatterTask } from './scatter-task.js';
import { ValueMerger } from './value-merger.js';

const HEADER_BYTES = 5;
/** One that waits out of its turn is left alone for so long. */
const OUT_OF_TURN_MS = 250;

/** Who is told what the client is told. */
export interface ScatterTold {
  /** A frame of this type, which has been said by all. */
  met(type: number): void;
  /** A CommandComplete. */
  completed(frame: Uint8Array): void;
}

/**
 * Asks several shards the same and gives the client one answer. The shards work at the same time; frames that are no rows
 * (RowDescription, CommandComplete) wait until every shard has said its own, and go to the client once; rows are
 * the merger's. An error of one shard ends it: what the others do is cancelled, what they say is dropped.
 *
 * Statements of ours (order) go the same way, and nobody is told but who has ordered them.
 *
 * States: idle → asking (once it has what it must have at a time: HeldServers) or ordering (until every leg is ready or gone) → idle. What the client sends meanwhile waits.
 */
export class Scatter implements LegReader {
  private readonly client: Session;
  private readonly clusters: readonly Cluster[];
  private readonly told: ScatterTold;
  /** By shard, kept from one task to the next. */
  private readonly kept: (Leg | null)[];
  private legs: Leg[] = [];
  private task: ScatterTask | null = null;
  /** ErrorResponse for the client. */
  private failure: Uint8Array | null = null;
  /** Whose error the failure is; -1: an error of ours. */
  failedShard = -1;
  /** The leg of which a long row is passing. */
  private streaming: Leg | null = null;
  /** Frames behind a CommandComplete that is kept, for who gives that to the client. */
  private behindTag: Uint8Array[] = [];
  /** ParameterDescription is being passed. */
  private isDescribing = false;
  /** Still to be asked, in the order of their shards, and the one asked last. */
  private unbegun: Leg[] = [];
  private begunLast: Leg | null = null;
  /** Orders under way: who is told, and what has gone wrong so far. */
  private orderDone: ((failures: readonly OrderFailure[]) => void) | null = null;
  private orderFailures: OrderFailure[] = [];
  private isOrderFinal = false;
  /** What the merger asks one of the legs; null: nothing. */
  private aside: Aside | null = null;
  readonly held: HeldServers;
  /** The client sends data of COPY; null: it does not. */
  copying: CopyIn | null = null;

  /** What the client asks under way, in one or several tasks: when its first shard was asked, us; 0: none has been. */
  askedUs = 0;
  /** When it came. What is between is the wait for a server connection. */
  requestUs = 0;
  readonly askedShards = new Set<number>();
  /** The one that took longest for one task or order, -1: none has yet; and how long. */
  slowestShard = -1;
  slowestUs = 0;
  /** How many BindComplete the shard had said whose error is the failure. An error of ours comes behind all. */
  failedBindCount = Number.POSITIVE_INFINITY;

  constructor(client: Session, clusters: readonly Cluster[], told: ScatterTold) {
    this.client = client;
    this.told = told;
    this.clusters = clusters;
    this.kept = clusters.map(() => null);
    const scatter = this;
    this.held = new HeldServers(client, {
      get legs() {
        return scatter.kept.filter((leg) => leg !== null);
      },
      get isAsking() {
        return scatter.task !== null && scatter.failure === null;
      },
      get isKeeping() {
        return scatter.task?.keeps !== undefined;
      },
      get requestUs() {
        return scatter.requestUs;
      },
      legOf: (shard) => this.legOf(shard),
      fail: (frame) => this.fail(frame),
    });
  }

  get passesLongRows(): boolean {
    return this.task?.merger.passesLongRows !== false;
  }

  get isStreaming(): boolean {
    return this.streaming !== null;
  }

  get isBusy(): boolean {
    return this.task !== null || this.orderDone !== null;
  }

  /** What comes belongs to another request of the client's. */
  beginRequest(): void {
    this.requestUs = this.client.context.nowUs;
    this.askedUs = 0;
    this.askedShards.clear();
    this.slowestShard = -1;
    this.slowestUs = 0;
    this.failedBindCount = Number.POSITIVE_INFINITY;
    this.held.beginRequest();
    for (const leg of this.kept) if (leg !== null) leg.bindCount = 0;
  }

  /**
   * Asks each leg its statement, all at the same time; `then` comes when all are answered, at once when there are none.
   * @param isFinal it is decided: a cancel of the client's comes too late
   */
  order(orders: readonly Order[], then: (failures: readonly OrderFailure[]) => void, isFinal = false): void {
    if (orders.length === 0) {
      then([]);
      return;
    }
    this.orderDone = then;
    this.isOrderFinal = isFinal;
    this.orderFailures = [];
    this.legs = orders.map(({ leg }) => leg);
    for (const leg of this.legs) leg.beginOrder();
    const { plans } = this.client.context;
    for (const { leg, sql, kind } of orders) {
      leg.begin(queryFrame(sql), 0, false, kind === undefined ? null : orderPlan(plans, kind, sql));
      this.noteAsked(leg);
    }
    this.checkDone();
  }

  start(task: ScatterTask): void {
    this.task = task;
    this.failure = null;
    this.failedShard = -1;
    this.streaming = null;
    this.behindTag = [];
    this.legs = [];
    const { client, held } = this;
    client.requestSinceUs = client.context.nowUs;
    this.noteActivity();
    const problem = held.problemOf(task);
    if (problem !== null) this.fail(errorFrame(problem));
    else if (held.mustTake(task)) held.take(task, () => this.startHeld(task));
    else this.startHeld(task);
  }

  /** What must be had at a time is there. */
  private startHeld(task: ScatterTask): void {
    if (task.asksNothing === true) {
      this.checkDone();
      return;
    }
    this.legs = task.shards.map((shard) => this.legOf(shard));
    task.merger.begin(this.legs);
    for (const leg of this.legs) leg.isReady = false;
    this.unbegun = [...this.legs];
    this.beginNext(task);
    this.checkDone();
    this.held.note();
  }

  /**
   * Asks the next shard; and those behind it, until one has to wait for a server connection. Whoever holds some and waits for
   * others waits in the order of the shards: no two tasks wait for each other. One that is being opened is no server connection
   * yet: it may fail, or go to a client of another worker who has waited longer. Those that will be wanted next are opened meanwhile.
   */
  private beginNext(task: ScatterTask): void {
    for (let leg = this.unbegun.shift(); leg !== undefined; leg = this.unbegun.shift()) {
      this.begunLast = leg;
      this.begin(task, leg);
      if (task.isInTurn || this.task !== task || this.failure !== null) return;
      if (!leg.session.isWaiting) continue;
      for (const { session } of this.unbegun) session.foresee();
      return;
    }
  }

  /** One that waits for a server connection is asked when it has one. */
  private noteAsked(leg: Leg): void {
    this.askedShards.add(leg.shard);
    if (this.askedUs === 0 && leg.session.server !== null) this.askedUs = this.client.context.nowUs;
  }

  served(leg: Leg, waitedUs: number): void {
    this.held.waited(waitedUs);
    if (this.held.isTaking) {
      this.held.goOn();
      return;
    }
    this.noteAsked(leg);
    const { task } = this;
    if (task !== null && !task.isInTurn && this.begunLast === leg && this.failure === null)
      this.beginNext(task);
    this.held.note();
  }

  refused(error: PgDogError): void {
    this.fail(errorFrame(error));
  }

  takenLost(): void {
    this.held.lost();
  }

  private begin(task: ScatterTask, leg: Leg): void {
    const ahead = task.prepare(leg).map(queryFrame);
    leg.begin(Buffer.concat([...ahead, task.framesFor(leg)]), ahead.length, task.copy?.isBatch);
    this.noteAsked(leg);
  }

  /** Its server connection was lost before it had said anything: it asks another one, for which it may have to wait. */
  retried(leg: Leg): void {
    const { task } = this;
    if (task !== null) this.lookAtTurn(leg, task);
    this.held.note();
  }

  /** It waits out of its turn: those behind it have what others may be waiting for, who have what it waits for itself. */
  private lookAtTurn(leg: Leg, task: ScatterTask): void {
    const { context } = this.client;
    context.deadlines.add(context.nowMs + OUT_OF_TURN_MS, () => {
      if (this.task !== task || this.failure !== null || leg.session.waitingSinceMs === 0) return;
      const isInTheWay = this.legs.some(({ shard, session }) => shard > leg.shard && session.isInDemand);
      if (!isInTheWay) this.lookAtTurn(leg, task);
      else this.fail(lostFrame(leg));
    });
  }

  /** The next shard's turn. */
  passed(leg: Leg, hasError: boolean): void {
    const { task } = this;
    if (task === null || !task.isInTurn || this.begunLast !== leg) return;
    if (hasError) {
      // It is about to be shown, which ends the task, or is held behind rows that need the next shard's.
      this.client.context.sharded.postpone(() => {
        if (this.task === task) this.passed(leg, false);
      });
      return;
    }
    if (this.failure === null) this.beginNext(task);
  }

  /** A server that waits for the client's data has its locks: the next one may be asked. */
  copyBegan(leg: Leg): void {
    if (this.failure === null) this.passed(leg, false);
    else leg.abortCopy(false);
  }

  drained(): void {
    this.copying?.balance();
  }

  /** It keeps a server connection for what the client has on it; null: none does. */
  get keeper(): Leg | null {
    for (const leg of this.kept)
      if (leg !== null && leg.session.server !== null && leg.session.pins !== 0) return leg;
    return null;
  }

  legOf(shard: number): Leg {
    const known = this.kept[shard];
    if (known !== null && !known.isGone) return known;
    const made = new Leg(this.client, shard, this.clusters[shard], this);
    this.kept[shard] = made;
    return made;
  }

  // What legs say.

  frame(
    leg: Leg,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    if (!this.isBusy) return CONSUMED;
    if (this.aside !== null && this.aside.leg === leg)
      return this.asideFrame(this.aside, leg, type, bytes, start, end, frameBytes);
    switch (type) {
      case BACKEND.ReadyForQuery:
        leg.readyStatus = bytes[start + HEADER_BYTES];
        if (leg.aheadCount > 0) leg.aheadAnswered();
        else this.ready(leg);
        return CONSUMED;
      case BACKEND.ErrorResponse:
        this.legFailed(leg, asError(bytes, start, end));
        // What was to be within a transaction is on its way, and would be done by itself.
        if (leg.aheadCount > 0) leg.session.end();
        return CONSUMED;
      case BACKEND.NoticeResponse:
        if (this.failure === null && this.task?.merger.isNews?.(leg, bytes, start, end) !== false)
          this.client.passBytes(bytes, start, end);
        return CONSUMED;
      case BACKEND.ParameterStatus:
      case BACKEND.NotificationResponse:
        return CONSUMED;
      case BACKEND.DataRow:
      case BACKEND.CopyData:
        return this.row(leg, bytes, start, end, buffer, frameBytes);
      default:
        if (type === BACKEND.CommandComplete && this.orderDone !== null)
          leg.orderTag = decodeText(bytes, start + HEADER_BYTES, end - 1);
        return leg.aheadCount > 0 ? CONSUMED : this.meet(leg, bytes, start, end);
    }
  }

  ask(sql: string, then: (values: readonly (string | null)[]) => void): void {
    this.aside = new Aside(sql, then);
    this.checkDone();
  }

  private beginAside(aside: Aside): void {
    const [leg] = this.legs;
    if (leg.isGone) this.legLost(leg);
    else aside.begin(leg, this.client.context.plans);
  }

  private asideFrame(
    aside: Aside,
    leg: Leg,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): number {
    if (type === BACKEND.ErrorResponse) this.fail(asError(bytes, start, end), leg);
    else if (type === BACKEND.ReadyForQuery) {
      leg.readyStatus = bytes[start + HEADER_BYTES];
      leg.isReady = true;
      this.aside = null;
      aside.answered();
      this.checkDone();
    } else aside.take(type, bytes, start, end, frameBytes);
    return CONSUMED;
  }

  private legFailed(leg: Leg, frame: Uint8Array): void {
    if (this.orderDone === null) {
      if (this.failure === null) {
        this.failedShard = leg.shard;
        this.failedBindCount = leg.bindCount;
      }
      this.fail(frame, leg);
      return;
    }
    // Of a leg that is not asked it would be taken for the failure of one that is.
    if (!this.legs.includes(leg) || this.orderFailures.some((failure) => failure.leg === leg)) return;
    this.orderFailures.push({ leg, frame });
  }

  private row(
    leg: Leg,
    bytes: Uint8Array,
    start: number,
    end: number,
    buffer: number,
    frameBytes: number,
  ): number {
    const { task } = this;
    if (this.failure !== null || task === null || leg.aheadCount > 0) return CONSUMED;
    if (task.rowRefusal != null) {
      this.fail(errorFrame(task.rowRefusal));
      return CONSUMED;
    }
    if (leg.pending !== null || (this.streaming !== null && this.streaming !== leg)) return BLOCKED;
    const isWhole = end - start === frameBytes;
    if (!isWhole && !task.merger.passesLongRows) {
      this.fail(
        errorFrame(
          new PgDogError('cross_shard', `a row of ${frameBytes} bytes is too long to be merged (16 MB)`),
        ),
      );
      return CONSUMED;
    }
    const outcome = task.merger.row(leg, bytes, start, end, buffer);
    if (outcome === CONSUMED && !isWhole) this.streaming = leg;
    const { problem } = task.merger;
    if (problem !== null) this.fail(errorFrame(problem));
    return outcome;
  }

  restOf(leg: Leg, bytes: Uint8Array, start: number, end: number, buffer: number, isLast: boolean): void {
    if (this.streaming !== leg) return;
    // To the end, whatever happens meanwhile: the client has its head.
    this.pass(bytes, start, end, buffer);
    if (!isLast) return;
    this.streaming = null;
    this.resumeAll();
    this.checkDone();
  }

  /** A frame that every shard says once: the client gets it when the last of them has. */
  private meet(leg: Leg, bytes: Uint8Array, start: number, end: number): number {
    const { task } = this;
    if (this.failure !== null || task === null) return CONSUMED;
    if (task.merger.said !== undefined) {
      if (bytes[start] === BACKEND.BindComplete) leg.bindCount++;
      task.merger.said(leg, bytes, start, end);
      if (task.merger.problem !== null) this.fail(errorFrame(task.merger.problem));
      return CONSUMED;
    }
    if (leg.pending !== null) return BLOCKED;
    leg.pending = bytes.slice(start, end);
    if (bytes[start] === BACKEND.BindComplete) leg.bindCount++;
    task.merger.legMeets(leg);
    if (task.merger.problem !== null) {
      this.fail(errorFrame(task.merger.problem));
      return CONSUMED;
    }
    this.tryMeet();
    return CONSUMED;
  }

  /** Once every leg has come there, and all rows before it have been given. */
  tryMeet(): void {
    const { task } = this;
    if (task === null || this.failure !== null || task.merger.isWorking === true) return;
    if (this.legs.some(({ pending, hasHead }) => pending === null || hasHead)) return;
    const frames = this.legs.map(({ pending }) => pending!);
    const type = frames[0][0];
    if (frames.some((frame) => frame[0] !== type)) {
      this.fail(errorFrame(new PgDogError('internal', 'shards have answered in different ways')));
      return;
    }
    this.isDescribing = type === BACKEND.ParameterDescription;
    const copyProblem = type === BACKEND.CopyInResponse ? this.copyBegins(task, frames) : null;
    if (type !== BACKEND.CopyInResponse) task.merger.meet(type, frames);
    this.isDescribing = false;
    // What stands behind a CommandComplete that is kept the client is not told of if that does not come to it.
    if (task.merger.problem === null && task.merger.heldTag == null) this.told.met(type);
    this.haveMet(task, copyProblem);
  }

  private copyBegins({ copy }: ScatterTask, frames: readonly Uint8Array[]): PgDogError | null {
    if (copy === undefined) return new PgDogError('internal', 'shards ask for data that nobody has');
    return copy.begins(this.legs, frames);
  }

  private haveMet({ merger }: ScatterTask, copyProblem: PgDogError | null = null): void {
    if (merger.isWorking === true) return;
    for (const each of this.legs) each.pending = null;
    const problem = merger.problem ?? copyProblem;
    if (problem !== null) this.fail(errorFrame(problem));
    else this.resumeAll();
  }

  /** The merger has done what took it several turns. */
  worked(): void {
    const { task } = this;
    if (task === null || this.failure !== null) return;
    this.haveMet(task);
    this.checkDone();
  }

  later(work: () => void): void {
    this.client.context.sharded.postpone(work);
  }

  get isFull(): boolean {
    return this.client.connection.isFull;
  }

  /** Whoever was blocked may go on; a leg that is being shown goes on by itself. */
  resumeAll(): void {
    for (const leg of this.legs) if (!leg.isReady) leg.session.resumeAnswers();
  }

  private ready(leg: Leg): void {
    leg.isReady = true;
    const tookUs = this.client.context.nowUs - leg.session.requestSinceUs;
    if (tookUs >= this.slowestUs) {
      this.slowestUs = tookUs;
      this.slowestShard = leg.shard;
    }
    this.checkDone();
  }

  /** The first error is the client's; what else is under way is of no use any more. */
  fail(frame: Uint8Array, failed: Leg | null = null): void {
    const { task } = this;
    if (this.failure !== null || task === null) return;
    this.failure = frame;
    this.held.stop();
    this.aside = null;
    this.copying?.stop();
    task.merger.stop?.();
    for (const leg of this.unbegun) leg.isReady = true;
    this.unbegun = [];
    for (const leg of this.legs) {
      // The last one may end at once: what comes behind is the client's next request.
      if (this.task !== task) return;
      leg.pending = null;
      leg.abortCopy(leg === failed);
      if (leg !== failed && !leg.isReady && !leg.isGone) leg.cancel();
    }
    this.resumeAll();
    this.checkDone();
  }

  gone(leg: Leg): void {
    if (this.kept[leg.shard] === leg) this.kept[leg.shard] = null;
    this.held.note();
    // What the transaction had done there is lost.
    if (this.held.isWanted(leg.shard)) this.legLost(leg);
    if (!this.isBusy || !this.legs.includes(leg) || leg.isReady) return;
    leg.isReady = true;
    if (this.streaming === leg) {
      // A row has gone to the client in part: nothing can follow it.
      this.client.fail(lost(leg), true);
      return;
    }
    this.legLost(leg);
    this.checkDone();
  }

  private legLost(leg: Leg): void {
    this.legFailed(leg, lostFrame(leg));
  }

  violated(leg: Leg, reason: string): void {
    this.fail(
      errorFrame(new PgDogError('server_lost', `shard ${leg.shard} does not speak the protocol: ${reason}`)),
    );
    leg.session.end();
  }

  private checkDone(): void {
    const { task, legs, orderDone } = this;
    if (!this.isBusy || this.streaming !== null || legs.some(({ isReady }) => !isReady)) return;
    if (this.held.isTaking) return;
    if (this.aside !== null && this.aside.leg === null) {
      this.beginAside(this.aside);
      return;
    }
    if (task?.merger.isWorking === true) return;
    this.task = null;
    this.orderDone = null;
    this.legs = [];
    this.noteActivity();
    this.held.note();
    if (orderDone !== null) orderDone(this.orderFailures);
    else if (task !== null) task.done(legs, this.failure);
  }

  /** The client is active on all shards of its transaction when it is on one. */
  private noteActivity(): void {
    for (const leg of this.kept) if (leg !== null) leg.session.lastActivityMs = this.client.context.nowMs;
  }

  /** Server connections of these shards, for a transaction that needs them one after the other. */
  hold(
    { shards, isWrite }: Pick<CrossShardRequest, 'shards' | 'isWrite'>,
    then: (failure: Uint8Array | null) => void,
  ): void {
    this.start({
      shards,
      merger: new ValueMerger(),
      isInTurn: true,
      keeps: isWrite ? 'write' : 'read',
      asksNothing: true,
      framesFor: () => SYNC,
      prepare: () => [],
      described: (frame) => frame,
      done: (_, failure) => then(failure),
    });
  }

  restAll(): void {
    this.rest(this.kept.filter((leg) => leg !== null));
  }

  /** Legs that belong to no transaction of the client's any more. */
  rest(legs: readonly Leg[]): void {
    for (const leg of legs) {
      // A transaction that is open there would be met by the next task.
      if (!leg.isGone && leg.readyStatus !== READY.Idle) leg.session.end();
    }
  }

  isMet(need: SettingNeed): boolean {
    return isNeedMet(this.client, need);
  }

  /** To the client. */
  pass(bytes: Uint8Array, start: number, end: number, buffer: number): void {
    const { task } = this;
    if (task !== null && task.merger.heldTag != null) this.passBehindTag(task, bytes.slice(start, end));
    else if (this.isDescribing && task !== null) this.client.send(task.described(bytes.subarray(start, end)));
    else if (buffer >= 0) this.client.passSlice(buffer, start, end);
    else this.client.passBytes(bytes, start, end);
  }

  private passBehindTag({ described }: ScatterTask, frame: Uint8Array): void {
    // exempt: of writes over several shards, a frame or two
    this.behindTag.push(this.isDescribing ? described(frame) : frame);
  }

  takeBehindTag(): readonly Uint8Array[] {
    const { behindTag } = this;
    this.behindTag = [];
    return behindTag;
  }

  complete(frame: Uint8Array): void {
    this.told.completed(frame);
    this.pass(frame, 0, frame.length, -1);
  }

  // What the client does meanwhile.

  /** It has read what was queued. Who has answered all may have been stopped, too, and be asked once more. */
  clientDrained(): void {
    for (const leg of this.kept) leg?.session.clientDrained();
    this.task?.merger.drained?.();
  }

  cancel(): void {
    if (this.orderDone !== null && this.isOrderFinal) return;
    const { task, orderDone } = this;
    // One that waits for a server connection is asked nothing that could answer.
    const isWaiting = this.held.isTaking || this.legs.some(({ session }) => session.waitingSinceMs !== 0);
    if (task !== null && (isWaiting || task.merger.isWorking === true)) {
      this.fail(errorFrame(new PgDogError('query_cancelled')));
      return;
    }
    for (const leg of this.legs) {
      const isMeant = this.task === task && this.orderDone === orderDone;
      if (isMeant && !leg.isReady && !leg.isGone) leg.cancel();
    }
  }

  /** The client has gone. */
  end(): void {
    this.task?.merger.stop?.();
    this.task = null;
    this.orderDone = null;
    this.aside = null;
    this.copying = null;
    this.held.stop();
    for (const leg of this.kept) leg?.session.end();
  }
}

function lost({ shard }: Leg): PgDogError {
  return new PgDogError('server_lost', `the connection to shard ${shard} was lost`);
}

const lostFrame = (leg: Leg): Uint8Array => errorFrame(lost(leg));
