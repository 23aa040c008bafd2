import { PgDogError } from '@pgdog-cluster/core';
import type { ServerConnection } from '../backend/server-connection.js';
import { PIN_LISTEN } from '../session/pin-reasons.js';
import type { Session } from '../session/session.js';
import { rowTexts } from '../wire/row-texts.js';
import { askAhead } from './ask-ahead.js';
import { LISTENING_SQL } from './listen-move.js';
import { ListenReturn } from './listen-return.js';
import type { Listener } from './listener.js';
import type { PubSub } from './pub-sub.js';

/** Brings what sessions listen to back to their server connections, when a statement comes that is about it. */
export class ListenReturns {
  private readonly pubSub: PubSub;

  constructor(pubSub: PubSub) {
    this.pubSub = pubSub;
  }

  /**
   * A statement comes that may change, or show, what the session listens to: from its transaction on the server connection
   * tells it of everything, and what Postgres makes of the statement holds. `isCertain`: it is LISTEN or UNLISTEN.
   */
  start(session: Session, server: ServerConnection, isCertain: boolean): void {
    const listener = this.pubSub.of(session);
    if (listener === null) return;
    const { told } = listener;
    if (told.length === 0) return;
    const { returning } = listener;
    if (server.reported.get('in_hot_standby') === 'on') {
      // Nothing can be LISTENed to there, and UNLISTEN does nothing.
      const text = 'UNLISTEN on a replica: it is not known any more what this session listens to';
      if (isCertain) listener.ending ??= new PgDogError('listen_lost', text);
    } else if (returning?.isUnsure === true) {
      const text =
        'what this session listens to changed again before it was known what became of the last change';
      // At the end of this exchange: it has begun already.
      listener.ending ??= new PgDogError('listen_lost', text);
    } else if (returning !== null) returning.listening = null;
    else this.send(listener, server, told);
  }

  private send(listener: Listener, server: ServerConnection, told: readonly string[]): void {
    const returning = new ListenReturn(listener.marker, this.pubSub.markers.newPayload());
    listener.returning = returning;
    returning.savepoints = listener.session.transaction.savepointCount;
    returning.repliesAhead = server.pending.foreignReadyCount;
    this.pubSub.markers.set(returning.payload, listener);
    askAhead(server, returning.statements(told));
  }

  /** UNLISTEN * has been sent: it stops the server connection from hearing the marker too. */
  listenAgain(session: Session, server: ServerConnection): void {
    const returning = this.pubSub.of(session)?.returning;
    if (returning !== undefined && returning !== null) askAhead(server, [returning.listenSql]);
  }

  /** The savepoint at that place, and those behind it, are part of what was before it: RELEASE. */
  released(session: Session, place: number): void {
    const returning = this.pubSub.of(session)?.returning;
    if (returning === undefined || returning === null) return;
    returning.savepoints = Math.min(returning.savepoints, place);
  }

  /** The transaction was rolled back to the savepoint at that place, -1 = as a whole: the marker too, if it came later. */
  rolledBack(session: Session, place: number): void {
    const listener = this.pubSub.of(session);
    const returning = listener?.returning;
    if (listener === null || returning === undefined || returning === null) return;
    if (returning.isMarkedByServer || returning.isUnsure || returning.repliesAhead > 0) return;
    if (returning.savepoints <= place) return;
    this.pubSub.markers.delete(returning.payload);
    listener.dropReturn();
  }

  /** ReadyForQuery for the client; also when its server connection is gone. A marker that should have come did not. */
  exchangeEnded(session: Session, isIdle: boolean): void {
    const listener = this.pubSub.of(session);
    const returning = listener?.returning;
    if (listener === null || returning === undefined || returning === null) return;
    if (returning.isUnsure) return;
    if (returning.repliesAhead > 0) returning.repliesAhead--;
    else if (isIdle && !returning.isMarkedByServer) {
      returning.isUnsure = true;
      listener.keepLate();
      if (returning.isMarkedByHub) this.committedUnheard(listener, returning);
    }
  }

  /** UNLISTEN * in one text with COMMIT: the server connection did not hear the marker, because it listens to nothing. */
  private committedUnheard(listener: Listener, returning: ListenReturn): void {
    returning.isMarkedByServer = true;
    if ((listener.session.pins & PIN_LISTEN) === 0) returning.listening = new Set();
    if (this.tryEnd(listener)) this.pubSub.goOn(listener);
  }

  /** What the transaction left to listen to. */
  ask(listener: Listener, returning: ListenReturn, server: ServerConnection): boolean {
    if (!returning.isMarkedByServer || returning.isAsking || returning.listening !== null) return false;
    returning.isAsking = true;
    const found = new Set<string>();
    server.hasEffectPending = true;
    server.ask({
      sql: LISTENING_SQL,
      onRow: (bytes, start, end) => found.add(rowTexts(bytes, start, end)[0]),
      onError() {},
      onDone: () => {
        returning.isAsking = false;
        found.delete(returning.marker);
        returning.listening = found;
        this.tryEnd(listener);
      },
    });
    return true;
  }

  private tryEnd(listener: Listener): boolean {
    const { told } = listener;
    const payloads = [...listener.awaited.keys()];
    if (!listener.tryEndReturn()) return false;
    for (const channel of told) this.pubSub.subscriptions.remove(listener, channel);
    for (const payload of payloads) this.pubSub.markers.delete(payload);
    return true;
  }

  /** The shared connection has come to the marker, or to the one that was sent after it. */
  marked(listener: Listener, returning: ListenReturn, payload: string): void {
    if (returning.payload === payload) {
      returning.isMarkedByHub = true;
      if (returning.isUnsure) this.committedUnheard(listener, returning);
      else if (this.tryEnd(listener)) this.pubSub.goOn(listener);
    } else if (returning.sequel === payload && !returning.isMarkedByHub) {
      // Of a transaction that was committed: a savepoint within one batch took the marker back, and who knows what else.
      this.pubSub.markers.delete(returning.payload);
      listener.endWith(
        new PgDogError('listen_lost', 'it is not known any more what this session listens to'),
      );
    }
  }

  /** Nothing of the session runs. True = something of ours does now. */
  quiet(listener: Listener, returning: ListenReturn, server: ServerConnection): boolean {
    if (returning.isUnsure && !returning.isSequelSent) {
      returning.isSequelSent = true;
      this.pubSub.markers.set(returning.sequel, listener);
      server.ask({
        sql: returning.sequelSql,
        onError() {
          returning.isSequelSent = false;
        },
        onDone() {},
      });
      return true;
    }
    if (returning.isMarkedByServer && (listener.session.pins & PIN_LISTEN) === 0) {
      returning.listening = new Set();
      this.tryEnd(listener);
    }
    return false;
  }

  forget(returning: ListenReturn): void {
    this.pubSub.markers.delete(returning.payload);
    this.pubSub.markers.delete(returning.sequel);
  }
}
