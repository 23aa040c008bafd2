// ● per-frame path
import type { Session } from '../session/session.js';
import type { ShardDesk } from '../shard/shard-desk.js';
import { BatchAhead, END_OPEN } from './batch-ahead.js';

/** Held of a batch whose end is not in sight, at most; less than what stops reading from the client. */
const AHEAD_BYTES_MAX = 48 * 1024;
/** A batch that comes in more pieces is not looked at any more: each look begins at its start. */
const LOOKS_MAX = 16;
/** Of a sharded database, where what is not seen may have to be refused; only when another frame is whole. */
const SHARD_LOOKS_MAX = 256;

/** What was seen by the last look, of whichever session. */
export const ahead = new BatchAhead();
/** Takes all that is there. */
const COUNTS = { read: (_bytes: Uint8Array, _start: number, end: number): number => end, cut(): void {} };

/** Looks at a session's batch before it is decided on, again while more of it comes. */
export class LookAhead {
  private readonly session: Session;
  private readonly shards: ShardDesk | null;
  /** Its end is not in sight: it is decided on when more of it is there. */
  isWaiting = false;
  private looks = 0;
  /** Bytes that must be there for another look to see more. */
  private wantedBytes = 0;

  constructor(session: Session, shards: ShardDesk | null) {
    this.session = session;
    this.shards = shards;
  }

  begin(takesPart: boolean): void {
    this.shards?.asked.begin();
    ahead.begin(this.session, takesPart, this.shards?.cross.pieces.isOn === true);
  }

  /** Frames that are there, as the client has sent them, from the one that is being shown on. @returns their bytes */
  look(bytes: Uint8Array, start: number, end: number): number {
    const { stream, requests } = this.session;
    const sent = requests?.made?.sent ?? null;
    return sent === null
      ? stream.readAhead(ahead, bytes, start, end)
      : stream.readAhead(ahead, sent.bytes, sent.start, sent.end);
  }

  /** Since the last look not even one frame has become whole. */
  isTooSoon(bytes: Uint8Array, start: number, end: number): boolean {
    const { stream, requests } = this.session;
    if (!this.isWaiting || this.shards === null || requests?.made?.sent != null) return false;
    return stream.readAhead(COUNTS, bytes, start, end) < this.wantedBytes;
  }

  /** The batch goes on, and more of it is worth waiting for. Else this was the last look. */
  waits(seenBytes: number): boolean {
    const looksMax = this.shards === null ? LOOKS_MAX : SHARD_LOOKS_MAX;
    this.isWaiting = ahead.end === END_OPEN && seenBytes < AHEAD_BYTES_MAX && this.looks < looksMax;
    this.looks = this.isWaiting ? this.looks + 1 : 0;
    this.wantedBytes = Math.min(ahead.wantedBytes, AHEAD_BYTES_MAX);
    return this.isWaiting;
  }

  /** The batch that was looked at is to be shown again, filled in. */
  mustBeMade(): boolean {
    const isDue = ahead.isMadeDue || this.shards?.makesKeys === true;
    return ahead.isUnmade || (isDue && this.session.requests?.makesValues() === true);
  }

  /** What was to be looked at is being sent, or has been refused. */
  stop(): void {
    this.isWaiting = false;
  }
}
