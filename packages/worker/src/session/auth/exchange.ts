import type { PgDogError, ProvenKeys } from '@pgdog-cluster/core';

/** What a client has shown that a server may ask for as well. */
export interface Proof {
  keys: ProvenKeys | null;
  /** The password itself, when it was sent in clear. */
  password: string | null;
}

export const NO_PROOF: Proof = { keys: null, password: null };

/** How a message of the client was taken. `waiting`: the verdict comes later. */
export type Verdict =
  | { kind: 'waiting' }
  /** One more message of the client's is to come. */
  | { kind: 'continue' }
  | { kind: 'accepted'; proof: Proof }
  /** Wrong password or no such user: nobody outside is told which. */
  | { kind: 'wrong' }
  /** Whoever knows could not be asked. */
  | { kind: 'unreachable' }
  | { kind: 'failed'; error: PgDogError };

export const CONTINUE: Verdict = { kind: 'continue' };
export const WAITING: Verdict = { kind: 'waiting' };
export const WRONG: Verdict = { kind: 'wrong' };

/** A method that asks the client something. */
export interface Exchange {
  /** Largest frame it takes, type byte and length included. */
  readonly frameBytesMax: number;
  /** Sends the demand. */
  begin(): void;
  /** The body of a password message: bytes[start, end), only valid during the call. */
  handle(bytes: Uint8Array, start: number, end: number): Verdict;
}
