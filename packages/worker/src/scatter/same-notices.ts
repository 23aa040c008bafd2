import type { Leg } from './leg.js';

/** Different ones that are remembered; those beyond pass as often as they are said. */
const KINDS_MAX = 100;

/** Notices of shards that all do the same: each is told once for all who say it, and none is lost that one says alone. */
export class SameNotices {
  /** By its bytes: how often each leg has said it. Told is as much as the one that has said it most often. */
  private readonly said = new Map<string, Map<Leg, number>>();

  /** bytes[start, end) is a NoticeResponse of `leg`. @returns whether the client gets it */
  isNews(leg: Leg, bytes: Uint8Array, start: number, end: number): boolean {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
    const counts = this.said.get(text);
    if (counts === undefined) {
      if (this.said.size < KINDS_MAX) this.said.set(text, new Map([[leg, 1]]));
      return true;
    }
    const told = Math.max(...counts.values());
    const count = (counts.get(leg) ?? 0) + 1;
    counts.set(leg, count);
    return count > told;
  }
}
