/** Thrown when this program is wrong, never because a peer sent something odd. Ends the session, or the worker. */
export class AssertionFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AssertionFailure';
  }
}

/**
 * States what must hold here. Bad bytes of a peer, refused connects and time-outs are values with a path of
 * their own; they never come through here.
 * @throws AssertionFailure
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

/**
 * States that a loop over somebody's bytes has come further: `after` lies behind `before`. A reader that stays where
 * it is would turn a few bytes of a stranger into a thread that never comes back; so the loop ends here instead.
 * Returns `after`, for use in the assignment.
 * @throws AssertionFailure
 */
export function progress(before: number, after: number): number {
  if (!(after > before)) throw new AssertionFailure(`no progress: ${before} to ${after}`);
  return after;
}
