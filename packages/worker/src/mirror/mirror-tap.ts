import {
  asksRoute,
  decodeName,
  FRONTEND,
  isPlainSql,
  LISTENS,
  PREPARE_LEVEL,
  readBind,
  readParse,
  readTarget,
  type SqlPlan,
  TARGET,
} from '@pgdog-cluster/core';
import type { PlanCache } from '../plan/plan-cache.js';
import { planFor } from '../session/client-reading.js';
import type { ClientStatements } from '../session/client-statements.js';
import type { ParameterSet } from '../session/parameter-set.js';
import type { CaptureBudget } from './capture-budget.js';
import { CapturedUnit, type NeededUnnamed, Piece, UNIT_BYTES_MAX } from './captured-unit.js';
import { PieceQueue } from './piece-queue.js';
import type { SessionTap } from './session-tap.js';

const HEADER_BYTES = 5;
/** Kept of one client: of its unit, and of what it sends ahead of its answers. */
export const AHEAD_BYTES_MAX = 4 * 1024 * 1024;

/** What a tap needs of the session it looks at. */
export interface TappedSession {
  readonly parameters: ParameterSet;
  readonly statements: Pick<ClientStatements, 'get' | 'names'>;
  readonly context: { readonly plans: Pick<PlanCache, 'lookup'> };
  readonly clientReading: number;
  readonly requests: {
    readonly extended: { readonly unnamed: { readonly size: number; copied(): NeededUnnamed | null } };
  } | null;
}

/** Where units go. */
export interface UnitTaker {
  /** It has to be told which units change definitions. */
  readonly readsLevel: boolean;
  /** One has succeeded. */
  offer(unit: CapturedUnit): void;
  /** One has failed or was rolled back. */
  noteFailed(): void;
  /** No more of them. */
  sourceGone(): void;
}

/**
 * Cuts what one client sends into units, and knows how each ended. It keeps copies, and knows before a frame is passed on
 * nothing about what will become of it: so the frames of a unit are together when its ReadyForQuery comes, and with the names
 * they use as these were then. What comes ahead of answers is kept apart, piece by piece.
 */
export class MirrorTap implements SessionTap {
  private readonly session: TappedSession;
  private readonly takers: readonly UnitTaker[];
  private readonly readsLevel: boolean;
  private readonly budget: CaptureBudget;
  /** Of pieces and unit. */
  private keptBytes = 0;
  /** Not answered yet; the last may be open. */
  private readonly pieces = new PieceQueue();
  private unit: CapturedUnit | null = null;
  private lastTag = '';
  /** What streams belongs to this one. */
  private restPiece: Piece | null = null;
  private restBytes = 0;
  private isShowing = false;
  /** ReadyForQuery that was sent while the frame it answers was being shown. */
  private early: { status: number; hasError: boolean } | null = null;
  private hasLocalError = false;
  private isOver = false;

  constructor(session: TappedSession, takers: readonly UnitTaker[], budget: CaptureBudget) {
    this.session = session;
    this.budget = budget;
    this.takers = takers;
    this.readsLevel = takers.some((taker) => taker.readsLevel);
  }

  showing(): void {
    this.isShowing = true;
  }

  shown(
    isTaken: boolean,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): void {
    this.isShowing = false;
    if (this.isOver) return;
    if (isTaken) this.take(type, bytes, start, end, frameBytes);
    const { early } = this;
    this.early = null;
    if (early !== null) this.settle(early.status, early.hasError, 0);
  }

  private take(type: number, bytes: Uint8Array, start: number, end: number, frameBytes: number): void {
    const piece = this.pieceFor(type);
    const isWhole = end - start === frameBytes;
    this.restPiece = isWhole ? null : piece;
    this.restBytes = frameBytes - (end - start);
    if (piece === null) return;
    this.append(piece, bytes, start, end);
    this.read(piece, type, bytes, start, end, isWhole);
    const isLast = type === FRONTEND.Query || type === FRONTEND.Sync || type === FRONTEND.FunctionCall;
    if (isLast) piece.isClosed = true;
  }

  /** Null: nobody needs the frame. */
  private pieceFor(type: number): Piece | null {
    const { last } = this.pieces;
    switch (type) {
      case FRONTEND.CopyData:
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
        // Without a piece that it may belong to, the COPY has failed already.
        return last;
      case FRONTEND.Flush:
        return last?.isClosed === false ? last : null;
      default:
        if (last?.isClosed === false) return last;
        return this.pieces.push(new Piece(this.session.parameters));
    }
  }

  private append(piece: Piece, bytes: Uint8Array, start: number, end: number): void {
    const before = piece.keptBytes;
    piece.append(bytes, start, end);
    this.count(piece.keptBytes - before);
    if (this.keptBytes > AHEAD_BYTES_MAX || this.budget.isSpent) this.lose(piece);
  }

  private lose(piece: Piece): void {
    this.count(-piece.keptBytes);
    piece.lose();
  }

  private count(change: number): void {
    this.keptBytes += change;
    this.budget.count(change);
  }

  rest(bytes: Uint8Array, start: number, end: number): void {
    const { restPiece } = this;
    if (restPiece === null) return;
    this.append(restPiece, bytes, start, end);
    this.restBytes -= end - start;
    if (this.restBytes <= 0) this.restPiece = null;
  }

  again(count: number): void {
    for (let left = count; left > 0; ) {
      const { last } = this.pieces;
      if (last === null) return;
      const before = last.keptBytes;
      left = last.cut(left);
      this.count(last.keptBytes - before);
      if (last.size > 0) return;
      this.pieces.dropLast();
    }
  }

  copyBegan(): void {}

  completed(tag: string): void {
    this.lastTag = tag;
  }

  localError(): void {
    this.hasLocalError = true;
  }

  answered(status: number, hasError: boolean, owed: number): void {
    const failed = hasError || this.hasLocalError;
    this.hasLocalError = false;
    if (this.isShowing) this.early = { status, hasError: failed };
    else if (!this.isOver) this.settle(status, failed, owed);
  }

  private settle(status: number, hasError: boolean, owed: number): void {
    const open = this.pieces.last?.isClosed === false ? 1 : 0;
    const count = this.pieces.length - open - owed;
    if (count <= 0) return;
    const done = this.pieces.take(count);
    this.unit ??= new CapturedUnit(done[0].parameters);
    const { unit, restPiece } = this;
    // An error in the middle of its last frame: what is kept of it would swallow what comes behind.
    if (restPiece !== null && done.includes(restPiece)) {
      this.lose(restPiece);
      this.restPiece = null;
    }
    for (const { keptBytes } of done) this.count(-keptBytes);
    this.count(-unit.keptBytes);
    const isEnd = unit.add(done, status, hasError);
    if (!isEnd) {
      this.count(unit.keptBytes);
      return;
    }
    const { head } = this.pieces;
    if (head !== null) head.parameters = this.session.parameters;
    // COMMIT of a failed transaction answers ROLLBACK too; ROLLBACK TO is not the last of its transaction.
    const isFailed = hasError || this.lastTag === 'ROLLBACK';
    this.unit = null;
    this.lastTag = '';
    if (!unit.hasRequest) return;
    for (const taker of this.takers) {
      if (isFailed) taker.noteFailed();
      else taker.offer(unit);
    }
  }

  gone(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.count(-this.keptBytes);
    const isCutShort = this.unit !== null || this.pieces.some(({ hasRequest }) => hasRequest);
    this.pieces.clear();
    this.unit = null;
    this.restPiece = null;
    for (const taker of this.takers) {
      if (isCutShort) taker.noteFailed();
      taker.sourceGone();
    }
  }

  // What a frame uses and does.

  private read(
    piece: Piece,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    isWhole: boolean,
  ): void {
    const body = start + HEADER_BYTES;
    switch (type) {
      case FRONTEND.Query:
        piece.hasRequest = true;
        if (isWhole) this.readText(piece, bytes, body, end - 1);
        return;
      case FRONTEND.Parse:
        piece.hasRequest = true;
        if (isWhole) this.readParse(piece, bytes, body, end);
        return;
      case FRONTEND.Bind: {
        piece.hasRequest = true;
        const fields = readBind(bytes, body, end);
        if (fields !== null) this.need(piece, bytes, fields.statementStart, fields.statementEnd);
        return;
      }
      case FRONTEND.Describe: {
        piece.hasRequest = true;
        const fields = readTarget(bytes, body, end);
        if (fields?.target === TARGET.Statement) this.need(piece, bytes, fields.nameStart, fields.nameEnd);
        return;
      }
      case FRONTEND.Execute:
      case FRONTEND.Close:
      case FRONTEND.FunctionCall:
        piece.hasRequest = true;
    }
  }

  private readParse(piece: Piece, bytes: Uint8Array, start: number, end: number): void {
    const fields = readParse(bytes, start, end);
    if (fields === null) return;
    const { nameStart, nameEnd, textStart, textEnd } = fields;
    this.readText(piece, bytes, textStart, textEnd);
    if (nameStart === nameEnd) {
      piece.makesUnnamed = true;
      return;
    }
    piece.made ??= new Set();
    piece.made.add(decodeName(bytes, nameStart, nameEnd));
  }

  private readText(piece: Piece, bytes: Uint8Array, start: number, end: number): void {
    if (asksRoute(bytes, start, end)) piece.isLeftOut = true;
    if (isPlainSql(bytes, start, end)) return;
    const plan = planFor(this.session, bytes, start, end);
    this.note(piece, plan);
    if ((plan.flags & PREPARE_LEVEL) === 0 || piece.hasAllNames) return;
    for (const name of this.session.statements.names()) this.needNamed(piece, name);
    piece.hasAllNames = true;
  }

  private note(piece: Piece, plan: SqlPlan): void {
    if ((plan.flags & LISTENS) !== 0) piece.isLeftOut = true;
    for (const { effect, defines } of plan.statements) {
      if (effect?.type === 'showPgdog') piece.isLeftOut = true;
      if (defines === true) piece.defines = true;
    }
  }

  private need(piece: Piece, bytes: Uint8Array, start: number, end: number): void {
    if (start < end) {
      this.needNamed(piece, decodeName(bytes, start, end));
      return;
    }
    if (piece.makesUnnamed || piece.unnamed !== null) return;
    const unnamed = this.session.requests?.extended.unnamed;
    if (unnamed === undefined || piece.isLost) return;
    if (unnamed.size > UNIT_BYTES_MAX) {
      this.lose(piece);
      return;
    }
    piece.unnamed = unnamed.copied();
    this.count(piece.unnamed?.frame.length ?? 0);
    if (this.readsLevel && piece.unnamed !== null) this.noteFrame(piece, piece.unnamed.frame);
  }

  private needNamed(piece: Piece, name: string): void {
    if (piece.made?.has(name) === true) return;
    if (piece.needs?.has(name) === true) return;
    const statement = this.session.statements.get(name);
    if (statement === undefined) {
      // One of ours (EXPLAIN (PGDOG)), or none at all.
      piece.isLeftOut = true;
      return;
    }
    piece.needs ??= new Map();
    piece.needs.set(name, statement);
    if (this.readsLevel && !statement.isSqlLevel) this.noteFrame(piece, statement.frame);
  }

  /** A Parse of an earlier unit is executed in this one. */
  private noteFrame(piece: Piece, frame: Uint8Array): void {
    const fields = readParse(frame, HEADER_BYTES, frame.length);
    if (fields === null || isPlainSql(frame, fields.textStart, fields.textEnd)) return;
    this.note(piece, planFor(this.session, frame, fields.textStart, fields.textEnd));
  }
}
