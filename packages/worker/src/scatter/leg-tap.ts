import type { PgDogError } from '@pgdog-cluster/core';
import type { SessionTap } from '../mirror/session-tap.js';

/** What a leg is told of its session. */
export interface LegEvents {
  /** ReadyForQuery has come, be it read or held. */
  onAnswered(hasError: boolean): void;
  /** Its answers are held, and its server connection is not read any more. */
  onFull(): void;
  /** Its server waits for data of COPY, which may be known before it is read. */
  onCopyIn(): void;
  /** Its server connection has taken what was queued. */
  onDrained(): void;
  /** It has waited for a server connection, and waits no more. */
  onServed(waitedUs: number): void;
  /** Its server connection was lost, and what it was asked is asked of another one, or waits for it. */
  onRetried(): void;
  /** It has waited in vain for a server connection on which nothing was to be asked yet. */
  onRefused(error: PgDogError): void;
  /** Its server connection was lost, on which nothing had been asked. */
  onTakenLost(): void;
  /** Nobody waits for what it says. */
  isIdle(): boolean;
  onGone(): void;
}

/** Hears what a leg's session is answered. */
export class LegTap implements SessionTap {
  private readonly events: LegEvents;

  constructor(events: LegEvents) {
    this.events = events;
  }

  showing(): void {}
  shown(): void {}
  rest(): void {}
  again(): void {}
  completed(): void {}
  copyBegan(): void {
    this.events.onCopyIn();
  }
  localError(): void {}
  answered(_status: number, hasError: boolean): void {
    this.events.onAnswered(hasError);
  }
  gone(): void {
    this.events.onGone();
  }
}
