import { READY, type SqlPlan } from '@pgdog-cluster/core';
import { copyBytes } from '../io/copy-bytes.js';
import type { PreparedStatement } from '../plan/prepared-statements.js';
import type { ParameterSet } from '../session/parameter-set.js';

/** Largest unit that is mirrored: what a client sends in one transaction is kept until its end. */
export const UNIT_BYTES_MAX = 1024 * 1024;

const NO_BYTES = new Uint8Array(0);
const FIRST_BYTES = 128;

/** The unnamed statement from before the unit: its Parse frame. */
export interface NeededUnnamed {
  readonly frame: Uint8Array;
  readonly plan: SqlPlan | null;
  /** What told of client_encoding when it came; null: that may have been another since. */
  readonly reported: ReadonlyMap<string, string> | null;
}

/**
 * What a client sent up to and with a Query, a FunctionCall or a Sync, and the copy data behind it. As far as its frames tell
 * it is answered by one ReadyForQuery; in a COPY a Sync is not, then two pieces are answered together.
 */
export class Piece {
  /** In force when it began: of one that was sent ahead, when what came before it had ended. */
  parameters: ParameterSet;
  /** All that came, whether it was kept or not. */
  size = 0;
  isClosed = false;
  /** More than a Sync or a Flush. */
  hasRequest = false;
  /** Too much was sent: nothing of it is kept. */
  isLost = false;
  /** Something that is not for mirrors: LISTEN, or a question to ourselves. */
  isLeftOut = false;
  /** Changes definitions. */
  defines = false;
  /** Names it gives by Parse. */
  made: Set<string> | null = null;
  /** Prepared statements from before it, by the client's own names. */
  needs: Map<string, PreparedStatement> | null = null;
  /** Its text works with names, so that all of them are among `needs`. */
  hasAllNames = false;
  makesUnnamed = false;
  unnamed: NeededUnnamed | null = null;
  private bytes = NO_BYTES;
  private length = 0;

  constructor(parameters: ParameterSet) {
    this.parameters = parameters;
  }

  /** With the copy of an unnamed statement. */
  get keptBytes(): number {
    return this.length + (this.unnamed?.frame.length ?? 0);
  }

  get kept(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  append(source: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.size += count;
    if (this.isLost || this.size > UNIT_BYTES_MAX) {
      this.lose();
      return;
    }
    if (this.length + count > this.bytes.length) this.grow(this.length + count);
    copyBytes(this.bytes, this.length, source, start, end);
    this.length += count;
  }

  /** Takes up to `count` bytes off its end; returns how many were left to take. */
  cut(count: number): number {
    const taken = Math.min(count, this.size);
    this.size -= taken;
    this.length = Math.max(0, this.length - taken);
    if (this.size === 0) this.unnamed = null;
    this.isClosed = false;
    return count - taken;
  }

  lose(): void {
    this.isLost = true;
    this.bytes = NO_BYTES;
    this.length = 0;
    this.unnamed = null;
    this.needs = null;
  }

  private grow(size: number): void {
    const grown = new Uint8Array(Math.max(FIRST_BYTES, size, this.bytes.length * 2));
    grown.set(this.kept);
    this.bytes = grown;
  }
}

/** What one ReadyForQuery has answered. */
export interface Exchange {
  readonly frames: readonly Uint8Array[];
  readonly status: number;
  readonly hasError: boolean;
}

/** What a client sent from outside of any transaction to its end, and what was there before that it uses. */
export class CapturedUnit {
  readonly exchanges: Exchange[] = [];
  readonly parameters: ParameterSet;
  readonly needs = new Map<string, PreparedStatement>();
  unnamed: NeededUnnamed | null = null;
  size = 0;
  /** Of `exchanges` and `unnamed`. */
  keptBytes = 0;
  /** Frames of `needs`. */
  neededBytes = 0;
  hasRequest = false;
  isLost = false;
  isLeftOut = false;
  defines = false;
  private readonly made = new Set<string>();
  private hasAllNames = false;
  private isUnnamedSettled = false;

  constructor(parameters: ParameterSet) {
    this.parameters = parameters;
  }

  /** The pieces that one ReadyForQuery has answered. True: the unit ends with them. */
  add(pieces: readonly Piece[], status: number, hasError: boolean): boolean {
    for (const piece of pieces) this.take(piece);
    if (this.keptBytes > UNIT_BYTES_MAX || this.size > UNIT_BYTES_MAX) this.isLost = true;
    // Of what is not to be mirrored nothing is kept until the end.
    if (this.isLost) {
      this.exchanges.length = 0;
      this.keptBytes = 0;
      this.unnamed = null;
      this.needs.clear();
    } else this.exchanges.push({ frames: pieces.map((piece) => piece.kept), status, hasError });
    return status === READY.Idle;
  }

  private take(piece: Piece): void {
    this.size += piece.size;
    this.keptBytes += piece.kept.length;
    this.hasRequest ||= piece.hasRequest;
    this.isLost ||= piece.isLost;
    this.isLeftOut ||= piece.isLeftOut;
    this.defines ||= piece.defines;
    // Names that appear behind a text that works with names may be its own: the destination makes them itself.
    if (piece.needs !== null && !this.hasAllNames) {
      for (const [name, statement] of piece.needs) {
        if (this.made.has(name) || this.needs.has(name)) continue;
        this.needs.set(name, statement);
        this.neededBytes += statement.frame.length;
      }
    }
    if (piece.made !== null) for (const name of piece.made) this.made.add(name);
    this.hasAllNames ||= piece.hasAllNames;
    if (!this.isUnnamedSettled && piece.unnamed !== null) {
      this.unnamed = piece.unnamed;
      this.keptBytes += piece.unnamed.frame.length;
    }
    this.isUnnamedSettled ||= piece.unnamed !== null || piece.makesUnnamed;
  }
}
