// ● per-frame path
import type { ShardFunction } from '../shard/shard-function.js';
import { BinaryCutter } from './binary-cutter.js';
import { CopyFrames, type TakeFrame } from './copy-frames.js';
import { CopyKey } from './copy-key.js';
import type { CopyLayout, CopyProblem } from './copy-layout.js';
import { FieldReader } from './field-reader.js';
import { LineCutter } from './line-cutter.js';
import { AlikeCutter, type RowCutter } from './row-cutter.js';

/** Divides the data of one COPY FROM STDIN among legs: the bytes of CopyData go in, as they come, and frames come out. */
export class CopySplitter {
  private readonly cutter: RowCutter;
  readonly isAlike: boolean;

  /**
   * @param layout null: every leg gets all, and nothing is looked at
   * @param rule of the layout's key
   * @param isForeign texts are not in the server's encoding
   */
  constructor(
    legCount: number,
    layout: CopyLayout | null,
    rule: ShardFunction | null,
    isForeign: boolean,
    take: TakeFrame,
  ) {
    const frames = new CopyFrames(legCount, take);
    this.isAlike = layout === null || layout.key === null;
    this.cutter = cutterOf(frames, layout, rule, isForeign);
  }

  /** bytes[start, end) of the data. */
  feed(bytes: Uint8Array, start: number, end: number): void {
    this.cutter.feed(bytes, start, end);
  }

  /** There is no more. */
  end(): void {
    this.cutter.end();
  }

  /** What comes now does not count. */
  get isEnded(): boolean {
    return this.cutter.isEnded;
  }

  get problem(): CopyProblem | null {
    return this.cutter.problem;
  }

  hasRows(leg: number): boolean {
    return this.isAlike || this.cutter.hasRows(leg);
  }
}

function cutterOf(
  frames: CopyFrames,
  layout: CopyLayout | null,
  rule: ShardFunction | null,
  isForeign: boolean,
): RowCutter {
  if (layout === null) return new AlikeCutter(frames);
  const { format, key, times, columnCount } = layout;
  const reader = new FieldReader(layout);
  const copyKey = key === null || rule === null ? null : new CopyKey(rule, key, layout, isForeign, reader);
  if (format !== 'binary') {
    return copyKey === null && times.length === 0
      ? new AlikeCutter(frames)
      : new LineCutter(frames, layout, copyKey, reader);
  }
  return copyKey === null ? new AlikeCutter(frames) : new BinaryCutter(frames, columnCount, copyKey);
}
