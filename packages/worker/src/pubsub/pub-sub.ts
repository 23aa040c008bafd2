import {
  type ListenReadyMessage,
  type NotificationMessage,
  PgDogError,
  type PubSubNews,
  READY,
} from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { PIN_LISTEN } from '../session/pin-reasons.js';
import type { Session } from '../session/session.js';
import { rowTexts } from '../wire/row-texts.js';
import type { WorkerContext } from '../worker-context.js';
import { LISTENING_SQL, ListenMove } from './listen-move.js';
import { ListenReturns } from './listen-returns.js';
import { isUtf8Session, Listener } from './listener.js';
import { Markers } from './markers.js';
import { Subscriptions } from './subscriptions.js';

/** Pause after an attempt to free a server connection that came to nothing. */
const RETRY_MS = 1000;

/**
 * LISTEN without a server connection of one's own (pub_sub_channel_size > 0).
 *
 * LISTEN runs on the session's server connection and pins it, which is Postgres itself in every respect. Once no
 * transaction runs, the channels move to the connection by which the supervisor listens for all (listen-move.ts), and the
 * server connection is free. Where that is not to be had the pin stays: nothing is lost but the connection's use by others.
 */
export class PubSub {
  private readonly context: WorkerContext;
  private readonly listeners = new Map<Session, Listener>();
  readonly subscriptions: Subscriptions;
  readonly markers: Markers;
  readonly returns: ListenReturns;
  /** Sessions whose channels the supervisor is about to listen to, by the question asked. */
  private readonly questions = new Map<number, Listener>();
  private nextQuestion = 1;

  constructor(context: WorkerContext) {
    this.context = context;
    this.subscriptions = new Subscriptions(context);
    this.markers = new Markers(context.worker);
    this.returns = new ListenReturns(this);
  }

  /** Some session has LISTENed: all that others look at. */
  get isUsed(): boolean {
    return this.listeners.size > 0;
  }

  of(session: Session): Listener | null {
    return this.listeners.get(session) ?? null;
  }

  /** The session is gone. */
  forget(session: Session): void {
    const listener = this.listeners.get(session);
    if (listener === undefined) return;
    this.listeners.delete(session);
    this.abandonMove(listener);
    for (const payload of listener.awaited.keys()) this.markers.delete(payload);
    if (listener.returning !== null) this.returns.forget(listener.returning);
    for (const channel of listener.told) this.subscriptions.remove(listener, channel);
  }

  /** DISCARD ALL has succeeded. */
  discarded(session: Session): void {
    const listener = this.listeners.get(session);
    if (listener === undefined) return;
    for (const channel of listener.told) this.subscriptions.remove(listener, channel);
    for (const payload of listener.awaited.keys()) this.markers.delete(payload);
    listener.discard();
  }

  /**
   * The session holds its server connection because it LISTENs there, and nothing runs on it. True = something of ours
   * does now.
   */
  advance(session: Session, server: ServerConnection): boolean {
    if ((this.context.config.general.pubSubChannelSize ?? 0) === 0 || session.slot < 0) return false;
    const listener = this.listeners.get(session) ?? new Listener(session);
    this.listeners.set(session, listener);
    const { move } = listener;
    if (listener.returning !== null) return this.returns.ask(listener, listener.returning, server);
    if (move?.phase === 'ready') this.mark(listener, move, server);
    else if (move !== null || this.context.nowMs < listener.retryMs) return false;
    else if (!isUtf8Session(session) || session.reported.get('server_encoding') === 'SQL_ASCII') return false;
    else this.ask(listener, server);
    return true;
  }

  private ask(listener: Listener, server: ServerConnection): void {
    const move = new ListenMove();
    listener.move = move;
    const found: string[] = [];
    server.ask({
      sql: LISTENING_SQL,
      onRow: (bytes, start, end) => found.push(rowTexts(bytes, start, end)[0]),
      onError() {},
      onDone: () => {
        if (listener.move !== move) return;
        for (const channel of found) {
          if (channel === listener.marker) move.marker = channel;
          else move.channels.add(channel);
        }
        if (move.channels.size > 0) this.subscribe(listener, move);
        else if (move.marker !== '') this.leave(listener, move, server);
        // None, though it was thought to listen: the pin ends by the probe.
        else {
          listener.move = null;
          listener.session.needsProbe = true;
        }
      },
    });
  }

  private subscribe(listener: Listener, move: ListenMove): void {
    const { context } = this;
    move.phase = 'subscribing';
    for (const channel of move.channels) this.subscriptions.add(listener, channel);
    const question = this.nextQuestion++;
    this.questions.set(question, listener);
    context.tell({
      type: 'listenQuestion',
      worker: context.worker,
      question,
      database: listener.session.database,
    });
  }

  /** From the connection that listens for all, in the order it heard. */
  receive(message: PubSubNews): void {
    if (message.type === 'notification') this.notified(message);
    else if (message.type === 'listenMarker') this.marked(message.payload);
    else if (message.type === 'listenReady') this.answered(message);
    else this.lost(message.database, message.reason);
  }

  /** The supervisor listens now, or cannot. */
  private answered({ question, marker }: ListenReadyMessage): void {
    const listener = this.questions.get(question);
    this.questions.delete(question);
    const move = listener?.move;
    if (listener === undefined || move?.phase !== 'subscribing') return;
    if (marker === '') {
      this.abandonMove(listener);
      listener.retryMs = this.context.nowMs + RETRY_MS;
      return;
    }
    move.phase = 'ready';
    move.marker = marker;
    listener.marker = marker;
    this.goOn(listener);
  }

  /** Nothing may happen on the server connection by itself: it is looked after as at the end of an exchange. */
  goOn({ session }: Listener): void {
    const { server } = session;
    if (session.phase !== 'ready' || server === null) return;
    if (server.isQuiet && server.readyStatus === READY.Idle) server.pool.serverQuiet(server);
  }

  private mark(listener: Listener, move: ListenMove, server: ServerConnection): void {
    const { context } = this;
    move.phase = 'marking';
    move.payload = this.markers.newPayload();
    this.markers.set(move.payload, listener);
    // A request that came behind it would run before UNLISTEN does.
    server.hasEffectPending = true;
    let isRefused = false;
    server.ask({
      sql: move.markSql(),
      onRow: (bytes, start, end) => {
        const [channel] = rowTexts(bytes, start, end);
        if (move.channels.has(channel)) move.taken.add(channel);
        else if (channel !== move.marker) move.isOutdated = true;
      },
      onError() {
        isRefused = true;
      },
      onDone: () => {
        if (listener.move !== move) return;
        if (!isRefused && move.isMarkedByServer) this.take(listener, move);
        else {
          move.taken.clear();
          listener.settleMove();
          this.abandonMove(listener);
          if (!move.isOutdated) listener.retryMs = context.nowMs + RETRY_MS;
        }
        this.leave(listener, move, server);
      },
    });
  }

  /** The marker is in the queue, and all before it has been told by the server connection. */
  private take(listener: Listener, move: ListenMove): void {
    for (const channel of move.channels) {
      if (!move.taken.has(channel)) this.subscriptions.remove(listener, channel);
    }
    if (move.isMarkedByHub) for (const channel of move.taken) listener.channels.add(channel);
    else listener.awaited.set(move.payload, new Set(move.taken));
    listener.settleMove();
  }

  private leave(listener: Listener, move: ListenMove, server: ServerConnection): void {
    move.phase = 'leaving';
    listener.move = move;
    server.hasEffectPending = true;
    const sql = move.leaveSql();
    server.ask({
      sql: sql === '' ? 'SELECT 1' : sql,
      onError() {},
      onDone() {
        if (listener.move !== move) return;
        listener.move = null;
        listener.session.needsProbe = true;
      },
    });
  }

  /** Gives up what has not come to its marker. */
  private abandonMove(listener: Listener): void {
    const { move } = listener;
    listener.move = null;
    if (move === null || move.phase === 'leaving') return;
    for (const [question, asker] of this.questions) if (asker === listener) this.questions.delete(question);
    this.markers.delete(move.payload);
    if (move.phase === 'asking') return;
    for (const channel of move.channels) this.subscriptions.remove(listener, channel);
  }

  private notified(notification: NotificationMessage): void {
    for (const listener of this.subscriptions.of(notification.database, notification.channel)) {
      listener.notify(notification);
      if (listener.ending?.code === 'listener_too_slow') this.subscriptions.countDropped(listener);
    }
  }

  /** What comes by the shared connection from now on is behind the marker. */
  private marked(payload: string): void {
    const listener = this.markers.take(payload);
    if (listener === null) return;
    const awaited = listener.awaited.get(payload);
    const { move, returning } = listener;
    if (awaited !== undefined) {
      listener.awaited.delete(payload);
      for (const channel of awaited) listener.channels.add(channel);
    } else if (move?.payload === payload) move.isMarkedByHub = true;
    else if (returning !== null) this.returns.marked(listener, returning, payload);
  }

  /** Nobody knows what was missed: those who rely on it are told so, the others stay as they are. */
  private lost(database: string, reason: string): void {
    for (const listener of [...this.listeners.values()]) {
      if (listener.session.database !== database) continue;
      if (listener.dependsOnHub) {
        const text = `the connection that listens for this client was lost: notifications may have been missed (${reason})`;
        listener.endWith(new PgDogError('listen_lost', text));
      } else if (listener.move?.phase === 'subscribing' || listener.move?.phase === 'ready') {
        this.abandonMove(listener);
        listener.retryMs = this.context.nowMs + RETRY_MS;
      }
    }
  }

  /** The last answer of a transaction is about to go out: what waited comes before it, as from Postgres. */
  beforeReady(session: Session): void {
    this.listeners.get(session)?.flush();
  }

  /** Nothing of the session runs. True = it has been ended, or something of ours runs now. */
  quiet(session: Session, server: ServerConnection): boolean {
    const listener = this.listeners.get(session);
    if (listener === undefined) return false;
    if (listener.ending !== null) {
      listener.end();
      return true;
    }
    const { returning } = listener;
    if (returning !== null && this.returns.quiet(listener, returning, server)) return true;
    listener.flush();
    return false;
  }

  /** The client reads again. */
  drained(session: Session): void {
    const listener = this.listeners.get(session);
    if (listener?.isIdle === true) listener.flush();
  }

  /** Pins that stayed because the supervisor could not listen are tried again. */
  check(): void {
    for (const listener of this.listeners.values()) {
      if (!listener.isIdle) continue;
      listener.flush();
      if (listener.move === null && (listener.session.pins & PIN_LISTEN) !== 0) this.goOn(listener);
    }
  }
}
