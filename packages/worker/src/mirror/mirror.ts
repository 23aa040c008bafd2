import type { MirrorReport, MirrorSnapshot } from '@pgdog-cluster/core';
import { LogAllowance } from '../log-allowance.js';
import type { WorkerContext } from '../worker-context.js';
import type { CapturedUnit } from './captured-unit.js';

/** Bytes of what waits for one mirror or runs there: as many units as `queue_length` allows could take 128 MB otherwise. */
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
const LINES_PER_SECOND = 1;

export type MirrorFigures = Omit<MirrorReport, 'source' | 'destination' | 'user'>;

/** One [[mirroring]] in this worker: what may wait for it, and what became of the units. */
export class Mirror {
  readonly snapshot: MirrorSnapshot;
  private readonly context: WorkerContext;
  private readonly random: () => number;
  private readonly byUser = new Map<string, MirrorFigures>();
  private readonly lines = new LogAllowance(LINES_PER_SECOND);
  private queued = 0;
  private queuedBytes = 0;

  constructor(context: WorkerContext, snapshot: MirrorSnapshot, random: () => number = Math.random) {
    this.context = context;
    this.snapshot = snapshot;
    this.random = random;
  }

  figuresOf(user: string): MirrorFigures {
    let figures = this.byUser.get(user);
    if (figures === undefined) {
      figures = { total: 0, mirrored: 0, skipped: 0, failed: 0, dropped: 0, errors: 0, queued: 0 };
      this.byUser.set(user, figures);
    }
    return figures;
  }

  /** Drawn anew for each unit. */
  wants(unit: CapturedUnit): boolean {
    const { exposure, level } = this.snapshot;
    if (unit.isLeftOut) return false;
    if (level !== 'all' && unit.defines !== (level === 'ddl')) return false;
    return exposure >= 1 || this.random() < exposure;
  }

  /** A place in the queue; false: there is none. */
  tryQueue(unit: CapturedUnit): boolean {
    if (this.queued >= this.snapshot.queueLengthMax) return false;
    const bytes = heldBy(unit);
    if (this.queuedBytes + bytes > QUEUE_BYTES_MAX) return false;
    this.queued++;
    this.queuedBytes += bytes;
    return true;
  }

  /** It waits no more. */
  begun(): void {
    this.queued--;
  }

  /** Nobody needs its bytes any more. */
  ended(unit: CapturedUnit): void {
    this.queuedBytes -= heldBy(unit);
  }

  /** `reason` is an SQLSTATE or a code of ours: what servers say may hold values of the client's. */
  logError(user: string, reason: string): void {
    const unlogged = this.lines.take(this.context.nowMs);
    if (unlogged < 0) return;
    const { source, destination } = this.snapshot;
    const more = unlogged === 0 ? '' : ` (and ${unlogged} more)`;
    const text = `what was mirrored from "${source}" to "${destination}" met an error there: ${reason}${more}`;
    this.context.log('warn', 'mirror_error', text, { source, destination, user });
  }

  report(): MirrorReport[] {
    const { source, destination } = this.snapshot;
    return [...this.byUser].map(([user, figures]) => ({ source, destination, user, ...figures }));
  }
}

/** A statement may be let go of by its client, and lives as long as the unit that needs it. */
function heldBy({ keptBytes, neededBytes }: CapturedUnit): number {
  return keptBytes + neededBytes;
}
