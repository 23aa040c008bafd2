import { quoteIdentifier } from './listen-move.js';

/**
 * Channels on their way back to a server connection: a statement comes that may change or show what is listened to, and
 * that is Postgres's business. The other way round of ListenMove: with the transaction of the statement, or right before
 * it, the server connection LISTENs to all of them and marks the place. The client is told by the shared connection of what
 * lies before the marker, by the server connection of what lies behind it; a ROLLBACK takes the marker back too.
 *
 * What the shared connection says late, when the transaction has ended already, is told only of channels that are still
 * listened to: after UNLISTEN nothing may come. So the server connection is asked first.
 */
export class ListenReturn {
  readonly marker: string;
  readonly payload: string;
  isMarkedByServer = false;
  isMarkedByHub = false;
  /**
   * The transaction has ended and the server connection said nothing of the marker: rolled back, or followed by UNLISTEN *.
   * A second marker tells: the shared connection hears it behind the first one, or hears it alone.
   */
  isUnsure = false;
  isSequelSent = false;
  /** What the server connection listens to after the transaction; null: it must be asked. */
  listening: ReadonlySet<string> | null = null;
  isAsking = false;
  /** Savepoints there were when it was sent: going back to one of them takes it back. */
  savepoints = 0;
  /** Answers of the client's that come before those of the transaction. */
  repliesAhead = 0;

  constructor(marker: string, payload: string) {
    this.marker = marker;
    this.payload = payload;
  }

  get listenSql(): string {
    return `LISTEN ${quoteIdentifier(this.marker)}`;
  }

  get sequel(): string {
    return `${this.payload} sequel`;
  }

  get sequelSql(): string {
    return `NOTIFY ${quoteIdentifier(this.marker)}, '${this.sequel}'`;
  }

  /** One statement each: inside a batch they go as messages of the extended protocol. */
  statements(channels: Iterable<string>): string[] {
    const marker = quoteIdentifier(this.marker);
    const listens = [...channels, this.marker].map((channel) => `LISTEN ${quoteIdentifier(channel)}`);
    return [...listens, `NOTIFY ${marker}, '${this.payload}'`];
  }
}
