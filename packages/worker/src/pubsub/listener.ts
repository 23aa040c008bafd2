import { BACKEND, FrameWriter, PgDogError, READY } from '@pgdog-cluster/core';
import { HIGH_MARK } from '../io/connection.js';
import { PIN_LISTEN } from '../session/pin-reasons.js';
import type { Session } from '../session/session.js';
import type { ListenMove } from './listen-move.js';
import type { ListenReturn } from './listen-return.js';

/** A notification as the shared connection heard it. */
export interface Notification {
  channel: string;
  processId: number;
  payload: string;
}

interface Waiting {
  channel: string;
  frame: Uint8Array;
}

const writer = new FrameWriter(256);

/**
 * A session that has LISTENed: who tells it of what, and what waits to be told. Either its server connection tells it of
 * everything, or the shared connection does; a move leads from one to the other.
 */
export class Listener {
  readonly session: Session;
  /** Told of by the shared connection. */
  readonly channels = new Set<string>();
  /** The same from the marker on that is still to come; by the marker's payload. */
  readonly awaited = new Map<string, Set<string>>();
  /** Channel of the markers of the shared connection that tells of `channels`. */
  marker = '';
  move: ListenMove | null = null;
  /** On their way back. */
  returning: ListenReturn | null = null;
  /** Before that no further attempt is made to free its server connection. Epoch ms. */
  retryMs = 0;
  /** Why it must end as soon as nothing of it runs. */
  ending: PgDogError | null = null;
  private queue: Waiting[] = [];
  /** Said by one of the two, and behind what the other is still to say. */
  private held: Waiting[] = [];
  /** Said by the shared connection before the marker of a return, and not told before its transaction had ended. */
  private late: Waiting[] = [];

  constructor(session: Session) {
    this.session = session;
  }

  /** What the shared connection tells it, now or from a marker on. */
  get told(): string[] {
    return [...this.channels, ...[...this.awaited.values()].flatMap((some) => [...some])];
  }

  /** Something would be missed without the shared connection. */
  get dependsOnHub(): boolean {
    return this.channels.size > 0 || this.awaited.size > 0 || this.move?.phase === 'marking';
  }

  /** The server connection says something. Whether it is passed on now. */
  passes(notification: Omit<Notification, 'processId'>, frame: Uint8Array): boolean {
    const { channel, payload } = notification;
    const { move, returning } = this;
    if (channel === move?.marker) {
      if (payload === move.payload && !move.isOutdated) move.isMarkedByServer = true;
      return false;
    }
    if (channel === returning?.marker || channel === this.marker) {
      if (payload === returning?.payload) this.returnedByServer(returning);
      return false;
    }
    if (move?.isMarkedByServer === true && move.taken.has(channel)) return false;
    // Listened to by what nobody saw: the shared connection tells of it already.
    if (returning === null && this.told.includes(channel)) return false;
    if (returning !== null) {
      // Before the marker what the shared connection tells of is that one's to tell.
      if (returning.isMarkedByServer || !this.told.includes(channel)) this.hold(channel, frame);
      return false;
    }
    if (this.queue.length === 0) return true;
    // What waits came before it.
    this.flush();
    if (this.queue.length === 0) return true;
    this.enqueue({ channel, frame: frame.slice() });
    return false;
  }

  private hold(channel: string, frame: Uint8Array): void {
    if (this.hasRoom()) this.held.push({ channel, frame: frame.slice() });
  }

  /** From here on the server connection tells it of everything. */
  private returnedByServer(returning: ListenReturn): void {
    returning.isMarkedByServer = true;
    this.session.pins |= PIN_LISTEN;
    this.keepLate();
  }

  /** What waits to be told may not be told any more. */
  keepLate(): void {
    this.late.push(...this.queue);
    this.queue = [];
  }

  /** DISCARD ALL, which is no part of a transaction: nothing of what waits may be told any more. */
  discard(): void {
    this.channels.clear();
    this.awaited.clear();
    this.queue = [];
    this.held = [];
    this.late = [];
    if (this.returning !== null) this.returning.listening = new Set();
  }

  /** Nothing has changed: the shared connection goes on. */
  dropReturn(): void {
    this.returning = null;
    this.queue.push(...this.late);
    this.late = [];
    if (this.isIdle) this.flush();
  }

  /** Both markers have come, and it is known what is listened to: what was kept back is told. False: not yet. */
  tryEndReturn(): boolean {
    const { returning } = this;
    if (returning === null || !returning.isMarkedByServer || !returning.isMarkedByHub) return false;
    const { listening } = returning;
    if (listening === null) return false;
    this.returning = null;
    this.channels.clear();
    this.awaited.clear();
    // What either said before an UNLISTEN whose answer has gone out may not come behind it.
    this.queue.push(...[...this.late, ...this.held].filter(({ channel }) => listening.has(channel)));
    this.late = [];
    this.held = [];
    if (this.isIdle) this.flush();
    return true;
  }

  /** By the shared connection. Which channels a move takes along may not be known yet: see settleMove(). */
  notify(notification: Notification): void {
    const { channel } = notification;
    const isTold = this.channels.has(channel);
    const isMoving = !isTold && this.move?.isMarkedByHub === true && this.move.channels.has(channel);
    if (!isTold && !isMoving) return;
    if (this.ending !== null || this.returning?.isMarkedByHub === true) return;
    const frame = this.frameOf(notification);
    const isKept = this.returning?.isMarkedByServer === true || this.returning?.isUnsure === true;
    if (frame === null) this.endWith(new PgDogError('listen_encoding'));
    else if (!isMoving && !isKept) this.enqueue({ channel, frame });
    else if (this.hasRoom()) (isMoving ? this.held : this.late).push({ channel, frame });
  }

  private enqueue(waiting: Waiting): void {
    if (!this.hasRoom()) return;
    this.queue.push(waiting);
    if (this.isIdle) this.flush();
  }

  /** False: too much waits already, and it has been ended. Not at the end of its transaction: until then it is only more. */
  private hasRoom(): boolean {
    if (this.ending !== null) return false;
    const max = this.session.context.config.general.pubSubChannelSize ?? 0;
    if (this.queue.length + this.held.length + this.late.length < max) return true;
    const text = `too many notifications are waiting for this client (pub_sub_channel_size = ${max})`;
    this.ending = new PgDogError('listener_too_slow', text);
    this.queue = [];
    this.held = [];
    this.late = [];
    this.end();
    return false;
  }

  /** It is told and let go, as soon as no transaction of it runs. */
  endWith(error: PgDogError): void {
    this.ending ??= error;
    this.queue = [];
    if (this.isIdle) this.end();
  }

  end(): void {
    if (this.ending === null) return;
    this.session.server?.relay.flushRun();
    this.session.fail(this.ending);
  }

  /** Postgres tells a client between its transactions, and so do we. */
  get isIdle(): boolean {
    const { phase, server } = this.session;
    if (phase !== 'ready') return false;
    return server === null || (server.isQuiet && server.readyStatus === READY.Idle);
  }

  /** At the end of a transaction, or between two. A client that does not read keeps the rest waiting. */
  flush(): void {
    const { session, queue } = this;
    if (queue.length === 0) return;
    // What the server has said so far comes first, and whole.
    session.server?.relay.flushRun();
    let sent = 0;
    while (sent < queue.length && session.connection.queuedBytes < HIGH_MARK) {
      session.send(queue[sent].frame);
      sent++;
    }
    queue.splice(0, sent);
  }

  /** The server connection has told all before its marker: what came behind it is next, of the channels that moved. */
  settleMove(): void {
    this.queue.push(...this.held.filter(({ channel }) => this.channels.has(channel)));
    this.held = [];
  }

  /** Null: it cannot be said in the client's encoding. */
  private frameOf({ channel, processId, payload }: Notification): Uint8Array | null {
    if (!isUtf8Session(this.session) && !(isAscii(channel) && isAscii(payload))) return null;
    writer.reset().begin(BACKEND.NotificationResponse).int32(processId).cstring(channel).cstring(payload);
    return writer.end().take();
  }
}

/** What the shared connection says is UTF-8, whatever the encoding of the database, unless that has none. */
export function isUtf8Session({ reported }: Session): boolean {
  const encoding = reported.get('client_encoding');
  if (encoding === 'UTF8') return true;
  return encoding === 'SQL_ASCII' && reported.get('server_encoding') === 'UTF8';
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) >= 0x80) return false;
  return true;
}
