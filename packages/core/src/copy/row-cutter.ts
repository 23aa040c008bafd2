// ● per-frame path
import { type CopyFrames, EVERY_LEG, KEPT_BYTES_MAX } from './copy-frames.js';
import type { CopyProblem } from './copy-layout.js';

/** Where the row belongs is not known yet. */
export const UNPLACED = -1;
const NO_RUN = -3;

/**
 * Cuts what comes into rows and puts each to its leg. Rows of one leg that stand beside each other move together.
 *
 *   input: | run: whole rows of `runLeg` | the row that is being read |
 *          runStart                      rowStart          at         inputEnd
 *
 * A row that is too odd to be placed is given to some leg all the same, and is the last: `problem` says why the COPY
 * must fail, if that shard does not fail it in Postgres's own words.
 */
export abstract class RowCutter {
  problem: CopyProblem | null = null;
  /** What comes now is read past. */
  isEnded = false;
  protected readonly frames: CopyFrames;
  /** Legs that have got rows. */
  private readonly hasRow: Uint8Array;
  /** 0 <= runStart <= rowStart <= at <= frames.inputEnd */
  private runStart = 0;
  private runLeg = NO_RUN;
  protected rowStart = 0;
  protected at = 0;
  /** Of the row that is being read. */
  protected leg = UNPLACED;
  /** Of the row that is being read, from 1. */
  protected line = 1;

  constructor(frames: CopyFrames) {
    this.frames = frames;
    this.hasRow = new Uint8Array(frames.legCount);
  }

  /** Reads what is there, up to frames.inputEnd. */
  protected abstract readOn(): void;
  /** What is there is all. */
  protected abstract finish(): void;
  /** Places in the input are `by` less now. */
  protected abstract shifted(by: number): void;

  feed(source: Uint8Array, start: number, end: number): void {
    let from = start;
    while (from < end && !this.isEnded) {
      from = this.frames.accept(source, from, end);
      this.readOn();
      this.passOn();
    }
  }

  end(): void {
    if (!this.isEnded) {
      this.finish();
      this.passOn();
    }
    this.frames.flushAll();
  }

  /** Of a leg, or of any. */
  hasRows(leg: number): boolean {
    return this.hasRow[leg] === 1;
  }

  /** The row ends before `end`. */
  protected endRow(end: number): void {
    if (this.leg !== this.runLeg) {
      this.putRun();
      this.runStart = this.rowStart;
      this.runLeg = this.leg;
    }
    this.rowStart = end;
    this.leg = UNPLACED;
  }

  private putRun(): void {
    if (this.runLeg !== NO_RUN) this.put(this.runLeg, this.runStart, this.rowStart);
    this.runLeg = NO_RUN;
  }

  private put(leg: number, start: number, end: number): void {
    if (leg >= 0 && start < end) this.hasRow[leg] = 1;
    this.frames.put(leg, start, end);
  }

  /** Nothing of what is placed stays in the input. */
  private passOn(): void {
    this.putRun();
    if (this.leg !== UNPLACED) {
      this.put(this.leg, this.rowStart, this.at);
      this.rowStart = this.at;
    }
    const from = this.isEnded ? this.frames.inputEnd : this.rowStart;
    if (this.frames.inputEnd - from > KEPT_BYTES_MAX) {
      this.fail({
        kind: 'tooLong',
        text: `the first ${KEPT_BYTES_MAX} bytes of a row do not tell where it belongs`,
        line: this.line,
      });
    }
    this.frames.keepFrom(from);
    this.rowStart -= from;
    this.at -= from;
    this.shifted(from);
  }

  /** Everything is over at once. */
  protected fail(problem: CopyProblem): void {
    this.problem = problem;
    this.isEnded = true;
  }

  /** What is wrong with the row that is being read, which is the last. The first such thing counts. */
  protected suspect(text: string): void {
    this.problem ??= { kind: 'unplaced', text, line: this.line };
  }
}

/** Every leg gets all, as it comes. */
export class AlikeCutter extends RowCutter {
  protected readOn(): void {
    this.leg = EVERY_LEG;
    this.at = this.frames.inputEnd;
  }

  protected finish(): void {}

  protected shifted(): void {}
}
