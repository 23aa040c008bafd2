import {
  BACKEND,
  decodeName,
  FRONTEND,
  FrameWriter,
  readBind,
  readExecute,
  readParse,
  readTarget,
  SYNC,
  TARGET,
} from '@pgdog-cluster/core';
import { ShownParameters } from '../made/shown-parameters.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import { planFor } from '../session/client-reading.js';
import { currentReading } from '../session/client-statements.js';
import type { Session } from '../session/session.js';
import { CONSUMED, NEED_WHOLE } from '../wire/frame-stream.js';
import type { BatchPieces } from './batch-pieces.js';
import { withCounts } from './bind-parts.js';
import { type CrossShardRequest, NO_COUNTS, type TextEdit } from './cross-shard-request.js';
import type { EditedStatement } from './edited-statement.js';
import type { FilledStatement } from './filled-statement.js';
import type { Leg } from './leg.js';
import type { SplitInsert } from './split-insert.js';

const HEADER_BYTES = 5;
const writer = new FrameWriter(256);
const NO_BYTES = new Uint8Array(0);

/** What shards are asked instead of what the client asks. */
type BatchChanges = Pick<CrossShardRequest, 'counts' | 'edited'>;
const UNCHANGED: BatchChanges = { counts: NO_COUNTS };

/** What a client asks of several shards, as frames: a Query, or a batch while it comes, with the statements that it names. */
export class BatchFrames {
  private readonly session: Session;
  /** On: what comes is a piece of a batch. */
  private readonly pieces: Pick<BatchPieces, 'isOn' | 'framesLeft'>;
  private parts: Uint8Array[] = [];
  private types: number[] = [];
  /** Called at the Sync; null: no batch is open. */
  private onSync: (() => void) | null = null;
  /** Statements it names, and those it makes or closes. */
  private readonly uses = new Set<string>();
  private readonly makes = new Set<string>();
  /** Frames that prepare or close, as they come, with the statement's name; a portal that is closed has none. */
  private changes: { name: string | null; parse: Uint8Array | null }[] = [];
  /** Of those that prepare, and of those that close, so many have been done, as the client was told. */
  private preparedCount = 0;
  private closedCount = 0;
  private counts: ReadonlyMap<number, number | null> = NO_COUNTS;
  /** Rows must be described, by the client or by us. */
  private needsShape = false;
  private isDescribed = false;
  /** The description was asked for by us alone. */
  isOwnDescribe = false;
  /** Before this one of its frames. */
  private ownDescribeAt = 0;
  /** Some Execute asks for a portion of its rows. */
  hasRowLimit = false;
  private frames: Uint8Array = NO_BYTES;
  private edited: EditedStatement | null = null;
  /** Its end was a Flush. */
  endsAtFlush = false;
  /** Of each statement that is described, parameters that the client knows of; -1: all. */
  private shownCounts: number[] = [];

  constructor(session: Session, pieces: Pick<BatchPieces, 'isOn' | 'framesLeft'>) {
    this.session = session;
    this.pieces = pieces;
  }

  get isOpen(): boolean {
    return this.onSync !== null;
  }

  forget(): void {
    this.parts = [];
    this.types = [];
    this.onSync = null;
    this.uses.clear();
    this.makes.clear();
    this.changes = [];
    this.preparedCount = 0;
    this.closedCount = 0;
    this.shownCounts = [];
    this.needsShape = false;
    this.isDescribed = false;
    this.isOwnDescribe = false;
    this.hasRowLimit = false;
    this.endsAtFlush = false;
    this.frames = NO_BYTES;
    this.edited = null;
  }

  /** A Query's whole frame; null: it is not sent as it is. @param executes statement that legs must have for it */
  beginQuery(frame: Uint8Array | null, edits: readonly TextEdit[], executes?: string): void {
    this.forget();
    if (executes !== undefined) this.uses.add(executes);
    if (frame !== null) this.frames = edits.length === 0 ? frame : edited(frame, edits);
  }

  begin(needsShape: boolean, onSync: () => void, { counts, edited }: BatchChanges = UNCHANGED): void {
    this.forget();
    this.counts = counts;
    this.edited = edited ?? null;
    this.needsShape = needsShape;
    this.onSync = onSync;
  }

  take(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): number {
    if (end - start < frameBytes) return NEED_WHOLE;
    this.note(type, bytes, start + HEADER_BYTES, end);
    if (type === FRONTEND.Execute && (readExecute(bytes, start + HEADER_BYTES, end)?.rowsMax ?? 0) > 0) {
      this.hasRowLimit = true;
    }
    if (type === FRONTEND.Execute && this.needsShape && !this.isDescribed) {
      this.isDescribed = true;
      this.isOwnDescribe = true;
      this.ownDescribeAt = this.parts.length;
    }
    // A batch that only prepares may end with Flush: it ends for the shard, and the client gets no ReadyForQuery.
    this.endsAtFlush = type === FRONTEND.Flush;
    const isEdited = type === FRONTEND.Bind && this.counts.size > 0;
    const frame = isEdited ? withCounts(bytes.slice(start, end), this.counts) : bytes.slice(start, end);
    this.parts.push(this.endsAtFlush ? SYNC : frame);
    this.types.push(type);
    const isLast = type === FRONTEND.Execute || --this.pieces.framesLeft <= 0;
    // A Flush that is the last of its piece is its end already.
    if (this.pieces.isOn && isLast && !this.endsAtFlush) this.endPiece();
    else if (type === FRONTEND.Sync || this.endsAtFlush) this.isThere();
    return CONSUMED;
  }

  /** The shards are told that it ends here. */
  endPiece(): void {
    this.parts.push(SYNC);
    this.types.push(FRONTEND.Sync);
    this.isThere();
  }

  private isThere(): void {
    const { onSync } = this;
    this.frames = this.whole();
    this.onSync = null;
    onSync?.();
  }

  private whole(): Uint8Array {
    const { asked, edited } = this;
    return edited === null ? Buffer.concat(asked) : edited.batchFrames(asked);
  }

  /** With a Describe of ours, if one is needed. */
  private get asked(): readonly Uint8Array[] {
    const { parts, ownDescribeAt: at } = this;
    if (!this.isOwnDescribe) return parts;
    const describe = describePortal(parts[at], HEADER_BYTES, parts[at].length);
    return [...parts.slice(0, at), describe, ...parts.slice(at)];
  }

  /** The whole ParameterDescription that comes next, as the client may see it. */
  described(frame: Uint8Array): Uint8Array {
    const count = this.shownCounts.shift() ?? -1;
    return count < 0 ? frame : new ShownParameters(count).of(frame, 0, frame.length);
  }

  /** Not a batch but a Query. */
  get isQuery(): boolean {
    return this.types.length === 0;
  }

  /** How often it executes something. */
  get executeCount(): number {
    return this.types.filter((type) => type === FRONTEND.Execute).length;
  }

  /** A name that it prepares, and the client has prepared already and not closed ahead of it; null: none. */
  get parsesKnown(): string | null {
    const { statements } = this.session;
    const closed = new Set<string>();
    for (const { name, parse } of this.changes) {
      if (name === null || name === '') continue;
      if (parse === null) closed.add(name);
      else if (!closed.has(name) && statements.get(name) !== undefined) return name;
    }
    return null;
  }

  get hasParse(): boolean {
    return this.types.includes(FRONTEND.Parse);
  }

  /** Of a batch, each by itself; none: it is a Query. */
  get taken(): readonly Uint8Array[] {
    return this.parts;
  }

  framesFor(shard: number, split: SplitInsert | null, filled: FilledStatement | null): Uint8Array {
    if (filled !== null)
      return this.parts.length === 0 ? filled.queryFrame() : filled.batchFrames(this.asked);
    if (split === null) return this.frames;
    return this.parts.length === 0 ? split.queryFrame(shard) : split.batchFrames(shard, this.parts);
  }

  /** The batch without its end: each Execute by itself, and what stands before, between and behind them. */
  steps(): Uint8Array[] {
    const steps: Uint8Array[] = [];
    let run: Uint8Array[] = [];
    const endRun = (): void => {
      if (run.length > 0) steps.push(Buffer.concat(run));
      run = [];
    };
    for (const part of this.parts.slice(0, -1)) {
      if (part[0] !== FRONTEND.Execute) run.push(part);
      else {
        endRun();
        steps.push(part);
      }
    }
    endRun();
    return steps;
  }

  /** Its first Bind; null: there is none. */
  get bound(): Uint8Array | null {
    return this.parts.find(([type]) => type === FRONTEND.Bind) ?? null;
  }

  private note(type: number, bytes: Uint8Array, start: number, end: number): void {
    if (type === FRONTEND.Parse) {
      const fields = readParse(bytes, start, end);
      if (fields === null) return;
      const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
      this.changes.push({ name, parse: bytes.slice(start - HEADER_BYTES, end) });
      if (name !== '') this.makes.add(name);
    } else if (type === FRONTEND.Bind) {
      const fields = readBind(bytes, start, end);
      if (fields !== null) this.uses.add(decodeName(bytes, fields.statementStart, fields.statementEnd));
    } else if (type === FRONTEND.Describe || type === FRONTEND.Close) {
      this.noteTarget(type, bytes, start, end);
    }
  }

  private noteTarget(type: number, bytes: Uint8Array, start: number, end: number): void {
    const fields = readTarget(bytes, start, end);
    if (fields === null) return;
    if (fields.target !== TARGET.Statement) {
      if (type === FRONTEND.Describe) this.isDescribed = true;
      else this.changes.push({ name: null, parse: null });
      return;
    }
    const name = decodeName(bytes, fields.nameStart, fields.nameEnd);
    this.uses.add(name);
    if (type === FRONTEND.Describe)
      this.shownCounts.push(this.session.requests?.made?.shownCountOf(name) ?? -1);
    if (type !== FRONTEND.Close) return;
    this.changes.push({ name, parse: null });
    this.makes.add(name);
  }

  /** The leg has what the client has prepared, as far as the frames name it. */
  giveStatements({ session }: Leg): void {
    const { statements, requests, context } = this.session;
    session.statements.clear();
    for (const name of new Set([...this.uses, ...this.makes])) {
      const known = statements.get(name);
      if (known !== undefined) session.statements.set(name, context.statements.acquire(known), session);
    }
    session.requests?.extended.unnamed.takeOver(requests?.extended.unnamed.copied() ?? null);
  }

  /** The client has been told that something is prepared, or closed. */
  told(type: number): void {
    if (type === BACKEND.ParseComplete) this.preparedCount++;
    else if (type === BACKEND.CloseComplete) this.closedCount++;
  }

  /**
   * The client has what the batch has prepared, and has no more what it has closed. @param isDone all of it; else what the
   * client was told of before the error, as Postgres keeps it
   */
  keepStatements(isDone: boolean): void {
    const { statements, requests } = this.session;
    for (const { name, parse } of this.changes) {
      const leftCount = parse === null ? this.closedCount-- : this.preparedCount--;
      if (!isDone && leftCount <= 0) return;
      if (name === null) continue;
      if (name === '') {
        if (parse !== null) requests?.extended.unnamed.keepUnsent(parse, 0, parse.length, null);
        continue;
      }
      const made = parse === null ? null : this.statementOf(parse);
      if (made === null) statements.remove(name);
      else statements.set(name, made, this.session);
    }
  }

  private statementOf(frame: Uint8Array): PreparedStatement | null {
    const { context } = this.session;
    const fields = readParse(frame, HEADER_BYTES, frame.length);
    if (fields === null) return null;
    const { textStart, textEnd } = fields;
    const plan = planFor(this.session, frame, textStart, textEnd, Number.POSITIVE_INFINITY);
    return context.statements.acquireParsed(
      frame,
      textStart,
      frame.length,
      plan,
      currentReading(this.session),
    );
  }

  /** What a server would answer to the frames up to their end, made by us: of a statement that returns no rows. */
  answers(tag: Uint8Array): Uint8Array {
    if (this.types.length === 0) return tag;
    const parts: Uint8Array[] = [];
    for (const [index, type] of this.types.entries()) {
      const isOfStatement = this.parts[index][HEADER_BYTES] === TARGET.Statement;
      if (type === FRONTEND.Describe && isOfStatement) parts.push(NO_PARAMETERS);
      if (type === FRONTEND.Execute) parts.push(tag);
      else if (MADE[type] !== undefined) parts.push(MADE[type]);
    }
    return Buffer.concat(parts);
  }
}

const NO_PARAMETERS = new FrameWriter(16).begin(BACKEND.ParameterDescription).int16(0).end().take();
const bare = (type: number): Uint8Array => Uint8Array.of(type, 0, 0, 0, 4);
const MADE: Record<number, Uint8Array | undefined> = {
  [FRONTEND.Parse]: bare(BACKEND.ParseComplete),
  [FRONTEND.Bind]: bare(BACKEND.BindComplete),
  [FRONTEND.Close]: bare(BACKEND.CloseComplete),
  [FRONTEND.Describe]: bare(BACKEND.NoData),
};

/** A Query frame with another text. */
function edited(frame: Uint8Array, edits: readonly TextEdit[]): Uint8Array {
  writer.reset().begin(FRONTEND.Query);
  let at = HEADER_BYTES;
  for (const { start, end, text } of [...edits].sort((a, b) => a.start - b.start)) {
    writer.bytes(frame, at, HEADER_BYTES + start).bytes(Buffer.from(text));
    at = HEADER_BYTES + end;
  }
  writer.bytes(frame, at, frame.length).end();
  return writer.take();
}

/** Of the portal that an Execute names; bytes[start, end) is its body. */
function describePortal(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const fields = readExecute(bytes, start, end);
  writer.reset().begin(FRONTEND.Describe).byte(TARGET.Portal);
  if (fields !== null) writer.bytes(bytes, fields.portalStart, fields.portalEnd);
  writer.byte(0).end();
  return writer.take();
}
