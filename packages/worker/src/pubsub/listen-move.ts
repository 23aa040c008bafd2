/** A name as SQL: whatever is in it, it stays a name. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

const LISTENING_SQL = 'SELECT pg_catalog.pg_listening_channels()';

export { LISTENING_SQL };

/**
 * asking: the server says what is listened to on it. subscribing: the supervisor is asked to listen too, the client goes
 * on meanwhile. ready: it does. marking: the marker is on its way through both. leaving: UNLISTEN on the server connection.
 */
export type MovePhase = 'asking' | 'subscribing' | 'ready' | 'marking' | 'leaving';

/**
 * Channels on their way from the server connection where they were LISTENed to, to the connection that listens for all.
 *
 * Postgres keeps the notifications of a database in one queue, in the order of commits, and every listening connection
 * reads it in that order. A NOTIFY of our own, with a channel and a payload that nobody else has, marks a place in it: the
 * client is told by its server connection of everything before the marker, and by the shared connection of everything
 * behind it. So none is lost, none comes twice, whatever the speed of the two.
 */
export class ListenMove {
  phase: MovePhase = 'asking';
  /** What the supervisor was asked to listen to. */
  readonly channels = new Set<string>();
  /** Of `channels`, those that the server connection still listened to when it marked. */
  readonly taken = new Set<string>();
  /** More is listened to than the supervisor was asked for: all or nothing, or the order between channels would be lost. */
  isOutdated = false;
  /** Channel of the marker. */
  marker = '';
  payload = '';
  /** The marker has come by the server connection. */
  isMarkedByServer = false;
  /** The marker has come by the shared connection. */
  isMarkedByHub = false;

  /** Everything is done in one transaction: what is listened to is listened to at the marker. */
  markSql(): string {
    const marker = quoteIdentifier(this.marker);
    return `${LISTENING_SQL};LISTEN ${marker};NOTIFY ${marker}, '${this.payload}'`;
  }

  leaveSql(): string {
    const leaving = [...this.taken];
    if (this.marker !== '') leaving.push(this.marker);
    return leaving.map((channel) => `UNLISTEN ${quoteIdentifier(channel)}`).join(';');
  }
}
