import {
  BACKEND,
  decodeName,
  FRONTEND,
  FrameWriter,
  PgDogError,
  readBind,
  readExecute,
  readTarget,
  SYNC,
  TARGET,
} from '@pgdog-cluster/core';
import type { Session } from '../session/session.js';
import { tagFrame } from './agree.js';
import type { BatchFrames } from './batch-frames.js';
import { quoted } from './control-step.js';
import type { CountedRequest } from './counted-request.js';
import { CrossCursor } from './cross-cursor.js';
import type { CrossShardRequest } from './cross-shard-request.js';
import type { CursorDesk } from './cursor-desk.js';
import { boundPortal } from './cursor-source.js';
import type { DistributedTransaction } from './distributed-transaction.js';
import { errorFrame } from './error-frame.js';
import { FirstMerger } from './first-merger.js';
import type { Leg } from './leg.js';
import type { MergeState } from './merge-state.js';
import { PlanMerger } from './plan-merger.js';
import type { Scatter } from './scatter.js';

const HEADER_BYTES = 5;
const SUSPENDED = Uint8Array.of(BACKEND.PortalSuspended, 0, 0, 0, 4);
const writer = new FrameWriter(256);

/** Null: all is well; else the ErrorResponse for the client. */
type Outcome = (failure: Uint8Array | null) => void;

/**
 * A batch, or what of it comes before a Flush, whose portals are open on several shards: what prepares, binds, describes and
 * closes goes to the shards as it is; what executes such a portal is a portion of its rows, put together by us.
 */
export class PortalBatch {
  private readonly session: Session;
  private readonly scatter: Scatter;
  private readonly batch: BatchFrames;
  private readonly desk: CursorDesk;
  private readonly counted: CountedRequest;
  private steps: Uint8Array[] = [];
  /** Legs that have the client's statements. */
  private readonly given = new Set<Leg>();
  private request: CrossShardRequest | null = null;
  private transaction: DistributedTransaction | null = null;
  private onDone: Outcome = () => undefined;

  constructor(
    session: Session,
    scatter: Scatter,
    batch: BatchFrames,
    desk: CursorDesk,
    counted: CountedRequest,
  ) {
    this.session = session;
    this.scatter = scatter;
    this.batch = batch;
    this.desk = desk;
    this.counted = counted;
  }

  /** Whether the batch that is all there leaves a portal open on several shards, or uses one that is. */
  takes(request: CrossShardRequest, isInTransaction: boolean): boolean {
    const frames = this.batch.steps();
    const [own, executed] = [new Set<string>(), new Set<string>()];
    let opens = false;
    for (const frame of frames.flatMap((step) => split(step))) {
      const name = portalOf(frame);
      if (name === null) continue;
      if (frame[0] === FRONTEND.Bind) {
        own.add(name);
        opens ||= isInTransaction && name !== '';
      } else if (frame[0] !== FRONTEND.Close && !own.has(name) && this.isSpread(name)) return true;
      else if (frame[0] === FRONTEND.Execute) {
        // Asked once more, it says that there is nothing left.
        opens ||= rowsMaxOf(frame) > 0 || executed.has(name);
        executed.add(name);
      }
    }
    const isOpen = own.size > 0 && (this.batch.endsAtFlush || this.batch.executeCount === 0);
    return isSpreadRead(request) && own.size > 0 && (opens || isOpen);
  }

  private isSpread(name: string): boolean {
    return this.desk.names.get(name)?.kind === 'spread';
  }

  /** Portals that it uses and does not make, and whether it makes any. */
  private used(): { names: Set<string>; closed: Set<string>; hasOwn: boolean } {
    const [names, closed, own] = [new Set<string>(), new Set<string>(), new Set<string>()];
    for (const frame of this.batch.steps().flatMap((step) => split(step))) {
      const name = portalOf(frame);
      if (name === null) continue;
      if (frame[0] === FRONTEND.Bind) own.add(name);
      else if (!own.has(name)) (frame[0] === FRONTEND.Close ? closed : names).add(name);
    }
    return { names, closed, hasOwn: own.size > 0 };
  }

  /** It asks for rows or columns, which a transaction that has failed does not give. */
  get asksPortals(): boolean {
    return this.used().names.size > 0;
  }

  /** Where a batch goes in the client's transaction that only uses what other batches have made. */
  placed(
    request: CrossShardRequest,
    { adoptedShard }: DistributedTransaction,
  ): CrossShardRequest | PgDogError {
    const { names, closed, hasOwn } = this.used();
    const all = [...names, ...[...closed].filter((name) => !names.has(name))];
    if (hasOwn || all.length === 0 || [...names].some((name) => this.isSpread(name))) return request;
    const shards = new Set<number>();
    for (const name of all) {
      const place = this.desk.names.get(name);
      if (place === null && name === '' && names.has('')) return unknownUnnamed(adoptedShard);
      shards.add(place?.kind === 'shard' ? place.shards[0] : (adoptedShard ?? request.shards[0]));
    }
    if (shards.size === 1) return { ...request, shards: [...shards] };
    return new PgDogError('cross_shard', 'portals of several shards are used in one batch');
  }

  /**
   * Portals that it closes, where it does not do so itself: whatever else it asks may be on other shards, and the name is free everywhere.
   * @param asked shards that are sent the batch
   */
  closeAhead(hasFailed: boolean, asked: readonly number[], onDone: Outcome): void {
    const { names, closed } = this.used();
    // None is open any more.
    if (hasFailed) {
      for (const name of closed) this.desk.names.delete(name);
      onDone(null);
      return;
    }
    const orders = [...closed].flatMap((name) => {
      const place = this.desk.names.get(name);
      if (place === null || name === '') return [];
      const sql = `CLOSE ${quoted(name)}`;
      if (place.kind === 'shard') {
        this.desk.names.delete(name);
        const others = place.shards.filter((shard) => !asked.includes(shard));
        return others.map((shard) => ({ leg: this.scatter.legOf(shard), sql }));
      }
      if (names.has(name)) return [];
      this.desk.names.delete(name);
      return place.cursor.legs.map((leg) => ({ leg, sql }));
    });
    this.scatter.order(orders, ([failure]) => onDone(failure?.frame ?? null));
  }

  /** Against the portals that it makes, of which it will be known where they are; null: nothing. */
  get ownProblem(): PgDogError | null {
    const made = new Set<string>();
    for (const frame of this.batch.steps().flatMap((step) => split(step))) {
      const name = frame[0] === FRONTEND.Bind ? portalOf(frame) : null;
      if (name !== null && this.desk.names.get(name) === null) made.add(name);
    }
    if ([...made].some((name) => Buffer.byteLength(name) > OWN_NAME_BYTES_MAX)) {
      const text = `the name of a portal in a transaction over several shards has ${OWN_NAME_BYTES_MAX} bytes at most`;
      return new PgDogError('cross_shard', text);
    }
    return this.desk.names.problemOf(made.size);
  }

  /** It has been answered by its shards as it is, the client's transaction goes on. */
  noteOwn({ shards }: CrossShardRequest, depth: number): void {
    for (const frame of this.batch.steps().flatMap((step) => split(step))) {
      const name = portalOf(frame);
      if (name === null) continue;
      if (frame[0] === FRONTEND.Bind) this.desk.names.set(name, { kind: 'shard', shards }, depth);
      else if (frame[0] === FRONTEND.Close) this.desk.names.delete(name);
    }
  }

  start(request: CrossShardRequest, transaction: DistributedTransaction, onDone: Outcome): void {
    this.request = request;
    this.transaction = transaction;
    this.onDone = onDone;
    this.given.clear();
    this.steps = this.batch.steps().flatMap((step) => split(step));
    this.next(null);
  }

  private next(failure: Uint8Array | null): void {
    const [frame] = this.steps;
    if (failure !== null || frame === undefined) {
      this.request = null;
      this.onDone(failure);
      return;
    }
    const name = frame[0] === FRONTEND.Bind ? null : portalOf(frame);
    const place = name === null ? null : this.desk.names.get(name);
    if (name === null || place?.kind !== 'spread') {
      this.forwardRun();
      return;
    }
    this.steps.shift();
    if (frame[0] === FRONTEND.Execute) {
      this.execute(frame, name, place.cursor, place.isCursor);
      return;
    }
    if (frame[0] === FRONTEND.Close) this.desk.names.delete(name);
    const shards = place.cursor.legs.map(({ shard }) => shard);
    this.forward([frame], shards, null, (error) => this.next(error));
  }

  /** What names no portal of several shards, up to what does: such a portal, too, with what describes it. */
  private forwardRun(): void {
    const run: Uint8Array[] = [];
    let made: string | null = null;
    for (let [frame] = this.steps; frame !== undefined; [frame] = this.steps) {
      const name = portalOf(frame);
      const isBind = frame[0] === FRONTEND.Bind;
      if (made !== null ? frame[0] !== FRONTEND.Describe : !isBind && name !== null && this.isSpread(name))
        break;
      run.push(frame);
      this.steps.shift();
      if (isBind) made = name ?? '';
    }
    if (made !== null) this.make(run, made);
    else this.forward(run, this.request?.shards ?? [], null, (error) => this.next(error));
  }

  private make(run: Uint8Array[], name: string): void {
    const { desk, request, transaction } = this;
    if (request === null || transaction === null) return;
    const { plan } = request;
    const isTaken = name !== '' && desk.names.get(name) !== null;
    const problem = isTaken ? desk.problemOf(name) : portalProblem(request, name);
    if (problem !== null || plan === null) {
      this.next(errorFrame(problem ?? notRead(request)));
      return;
    }
    const state = desk.newState(request, plan);
    const isDescribed = run.some((frame) => frame[0] === FRONTEND.Describe && portalOf(frame) === name);
    const asksShape = state.needsShape && !isDescribed;
    if (asksShape) run.push(describePortal(name));
    this.forward(run, request.shards, { state, asksShape }, (error, legs) => {
      if (error === null) {
        const cursor = new CrossCursor(legs, state);
        desk.names.set(name, { kind: 'spread', cursor, isCursor: false, isBinary: false }, transaction.depth);
      }
      this.next(error);
    });
  }

  private execute(frame: Uint8Array, name: string, cursor: CrossCursor, isCursor: boolean): void {
    if (isCursor) {
      const text = 'a cursor over several shards cannot be executed as a portal';
      this.onDone(errorFrame(new PgDogError('cross_shard', text, { hint: 'FETCH from it.' })));
      return;
    }
    const rowsMax = rowsMaxOf(frame);
    const wanted = rowsMax > 0 ? rowsMax : Number.POSITIVE_INFINITY;
    const source = boundPortal(name);
    this.desk.fetchFrom({ cursor, source, wanted, isMove: false, showsShape: false }, (failure, count) => {
      if (failure === null) {
        this.counted.gave(count, true);
        this.session.send(count === wanted ? SUSPENDED : tagFrame(`SELECT ${count}`));
      }
      this.next(failure);
    });
  }

  private forward(
    frames: readonly Uint8Array[],
    shards: readonly number[],
    bound: { state: MergeState; asksShape: boolean } | null,
    then: (failure: Uint8Array | null, legs: readonly Leg[]) => void,
  ): void {
    const { batch, scatter, transaction } = this;
    this.scatter.start({
      shards,
      framesFor: () => Buffer.concat([...frames, SYNC]),
      isInTurn: false,
      keeps: 'read',
      merger:
        bound === null
          ? new FirstMerger(scatter, false)
          : new PlanMerger(scatter, bound.state, { shape: bound.asksShape, parse: false, tag: false }),
      prepare: (leg) => {
        // What an earlier part of the batch has prepared there is not the client's yet.
        if (!this.given.has(leg)) batch.giveStatements(leg);
        this.given.add(leg);
        return transaction?.join(leg) ?? [];
      },
      described: (frame) => batch.described(frame),
      done: (legs, failure) => then(failure, legs),
    });
  }
}

/** A read of several shards. */
function isSpreadRead({ shards, plan, split: rows, isWrite, cursor }: CrossShardRequest): boolean {
  return shards.length > 1 && plan !== null && rows === null && !isWrite && cursor === null;
}

/** What writes, or is on one shard, is no portal of several shards, and goes with none. */
function notRead({ what }: CrossShardRequest): PgDogError {
  const text = 'a portal of several shards is used in the same batch';
  return new PgDogError('cross_shard', what === '' ? text : `${what}, and ${text}`);
}

function portalProblem(request: CrossShardRequest, name: string): PgDogError | null {
  if (!isSpreadRead(request)) return notRead(request);
  if (request.rewritten !== undefined) {
    const text = `${request.what}; across shards what it gives is computed of all rows, and not given in portions`;
    return new PgDogError('cross_shard', text, { hint: AS_A_WHOLE });
  }
  if (request.filled !== null) {
    const text = `${request.what}; the time is filled into its text, and it is read in portions`;
    return new PgDogError('cross_shard', text, { hint: AS_A_WHOLE });
  }
  if (request.edited !== undefined) {
    const text = `${request.what}; LIMIT and OFFSET stand in its text, and it is read in portions`;
    return new PgDogError('cross_shard', text, {
      hint: 'Send them as parameters, or execute it without a row limit and without a name of the portal.',
    });
  }
  if (Buffer.byteLength(name) < NAME_BYTES) return null;
  return new PgDogError('cross_shard', 'the name of a portal over several shards has 63 bytes at most');
}

const AS_A_WHOLE = 'Execute it without a row limit, and without a name of the portal.';
const NAME_BYTES = 64;
/** Of one that is on one shard, where the server takes names of any length; each is kept until the transaction ends. */
const OWN_NAME_BYTES_MAX = 1024;

/** Nobody knows any more whether it is there where the transaction began. */
function unknownUnnamed(adoptedShard: number | null): PgDogError {
  return adoptedShard === null
    ? new PgDogError('unknown_portal', 'portal "" does not exist')
    : new PgDogError(
        'cross_shard',
        'the unnamed portal was bound before the transaction was over several shards',
      );
}

/** Frames, one by one. */
function split(frames: Uint8Array): Uint8Array[] {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const list: Uint8Array[] = [];
  for (let at = 0; at < frames.length; ) {
    const size = 1 + view.getUint32(at + 1);
    list.push(frames.subarray(at, at + size));
    at += size;
  }
  return list;
}

/** The portal that it names; null: none. */
function portalOf(frame: Uint8Array): string | null {
  switch (frame[0]) {
    case FRONTEND.Bind: {
      const fields = readBind(frame, HEADER_BYTES, frame.length);
      return fields === null ? null : decodeName(frame, fields.portalStart, fields.portalEnd);
    }
    case FRONTEND.Execute: {
      const fields = readExecute(frame, HEADER_BYTES, frame.length);
      return fields === null ? null : decodeName(frame, fields.portalStart, fields.portalEnd);
    }
    case FRONTEND.Describe:
    case FRONTEND.Close: {
      const fields = readTarget(frame, HEADER_BYTES, frame.length);
      if (fields === null || fields.target !== TARGET.Portal) return null;
      return decodeName(frame, fields.nameStart, fields.nameEnd);
    }
    default:
      return null;
  }
}

function rowsMaxOf(frame: Uint8Array): number {
  return readExecute(frame, HEADER_BYTES, frame.length)?.rowsMax ?? 0;
}

function describePortal(name: string): Uint8Array {
  writer.reset().begin(FRONTEND.Describe).byte(TARGET.Portal).cstring(name).end();
  return writer.take();
}
