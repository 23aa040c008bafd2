/** Kept of units that have not ended, over all clients of a worker. */
export const CAPTURE_BYTES_MAX = 64 * 1024 * 1024;

/** What the taps of one worker keep, together: a client may hold a transaction open as long as it likes. */
export class CaptureBudget {
  private bytes = 0;

  count(change: number): void {
    this.bytes += change;
  }

  get isSpent(): boolean {
    return this.bytes > CAPTURE_BYTES_MAX;
  }
}
