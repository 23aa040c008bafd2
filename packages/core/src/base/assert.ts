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
