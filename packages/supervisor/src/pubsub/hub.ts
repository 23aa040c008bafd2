import { randomBytes } from 'node:crypto';
import type { ListenersMessage, LogCode, WorkerMessage } from '@pgdog-cluster/core';
import type { Logger } from '../log/logger.js';
import type { ListenTarget } from './listen-target.js';
import { ListeningConnection } from './listening-connection.js';

/** After an attempt that failed workers are told at once that it cannot be had. */
const RETRY_MS = 1000;
/** A connection that nobody needs is closed after this long. */
const IDLE_MS = 60_000;
/** How often it is checked: what a host that vanished without a word can keep hidden. */
const CHECK_MS = 10_000;

export interface HubOptions {
  database: string;
  /** Ways to the primary, best first; empty: there is none now. */
  targets: () => ListenTarget[];
  /** False: the worker's mailbox is full, and it does not get the message. */
  post: (worker: number, message: WorkerMessage) => boolean;
  logger: Logger;
}

interface Channel {
  /** Sessions by worker and user. */
  readonly counts: Map<string, { worker: number; user: string; count: number; dropped: number }>;
  received: number;
}

/** One row of SHOW LISTENERS. */
export interface ListenerRow {
  database: string;
  user: string;
  channel: string;
  listeners: number;
  received: number;
  dropped: number;
}

/** One database's listening connection, and who is told what it hears. */
export class Hub {
  readonly #options: HubOptions;
  readonly #channels = new Map<string, Channel>();
  #connection: ListeningConnection | null = null;
  #target: ListenTarget | null = null;
  /** Channels it listens to, the marker apart. */
  #inForce = new Set<string>();
  #marker = '';
  #questions: { worker: number; question: number }[] = [];
  #isWorking = false;
  #failedMs = 0;
  #attempt = 0;
  #idleSinceMs = 0;
  #checkedMs = 0;
  /** Workers that did not take a notification: they will be told that they missed some. */
  readonly #behind = new Set<number>();

  constructor(options: HubOptions) {
    this.#options = options;
  }

  onListeners({ worker, user, channel: name, count, dropped }: ListenersMessage): void {
    const channel = this.#channels.get(name) ?? { counts: new Map(), received: 0 };
    this.#channels.set(name, channel);
    const key = `${worker} ${user}`;
    const entry = channel.counts.get(key) ?? { worker, user, count: 0, dropped: 0 };
    channel.counts.set(key, entry);
    entry.count = count;
    entry.dropped += dropped;
    if (count === 0) this.#work();
  }

  /** Answered when all that was asked for before is in force. */
  onQuestion(worker: number, question: number): void {
    this.#questions.push({ worker, question });
    this.#work();
  }

  /** Its sessions are gone with it. */
  onWorkerGone(worker: number): void {
    for (const { counts } of this.#channels.values()) {
      for (const entry of counts.values()) if (entry.worker === worker) entry.count = 0;
    }
    this.#questions = this.#questions.filter((asked) => asked.worker !== worker);
    this.#behind.delete(worker);
    this.#work();
  }

  /** Now and then: does it still hear, is it still the primary, is it needed? */
  async check(nowMs: number): Promise<void> {
    this.#tellBehind();
    const connection = this.#connection;
    if (connection === null || this.#isWorking) return;
    const isWanted = this.#wanted().length > 0;
    if (isWanted) this.#idleSinceMs = 0;
    else if (this.#idleSinceMs === 0) this.#idleSinceMs = nowMs;
    else if (nowMs - this.#idleSinceMs > IDLE_MS) {
      this.close();
      return;
    }
    const place = placeOf(this.#target);
    if (!this.#options.targets().some((target) => placeOf(target) === place)) {
      this.#lost('the primary has moved, or is reached otherwise now');
      return;
    }
    if (nowMs - this.#checkedMs < CHECK_MS) return;
    this.#checkedMs = nowMs;
    await connection.check().catch((error: Error) => {
      if (this.#connection === connection) this.#lost(error.message);
    });
  }

  /** Without a word to anybody: nobody listens, or everything ends. */
  close(): void {
    this.#connection?.close();
    this.#connection = null;
    this.#inForce.clear();
    this.#idleSinceMs = 0;
  }

  rows(): ListenerRow[] {
    const rows: ListenerRow[] = [];
    for (const [channel, { counts, received }] of this.#channels) {
      const byUser = new Map<string, ListenerRow>();
      for (const { user, count, dropped } of counts.values()) {
        const row = byUser.get(user) ?? {
          database: this.#options.database,
          user,
          channel,
          listeners: 0,
          received,
          dropped: 0,
        };
        row.listeners += count;
        row.dropped += dropped;
        byUser.set(user, row);
      }
      rows.push(...[...byUser.values()].filter(({ listeners, dropped }) => listeners > 0 || dropped > 0));
    }
    return rows;
  }

  #wanted(): string[] {
    const wanted: string[] = [];
    for (const [name, { counts }] of this.#channels) {
      for (const { count } of counts.values()) {
        if (count === 0) continue;
        wanted.push(name);
        break;
      }
    }
    return wanted;
  }

  /** One at a time; whatever comes meanwhile is looked at when it is done. */
  #work(): void {
    if (this.#isWorking) return;
    if (this.#connection === null && this.#questions.length === 0) return;
    this.#isWorking = true;
    void this.#workNow().finally(() => {
      this.#isWorking = false;
      if (this.#questions.length > 0 || this.#isOutOfDate()) this.#work();
    });
  }

  #isOutOfDate(): boolean {
    if (this.#connection === null) return false;
    const wanted = this.#wanted();
    return wanted.length !== this.#inForce.size || wanted.some((name) => !this.#inForce.has(name));
  }

  async #workNow(): Promise<void> {
    const asked = this.#questions.splice(0);
    let marker = '';
    try {
      if (Date.now() - this.#failedMs >= RETRY_MS) {
        const connection = this.#connection ?? (await this.#connect());
        await this.#follow(connection);
        marker = this.#connection === connection ? this.#marker : '';
      }
    } catch (error) {
      this.#failedMs = Date.now();
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#connection !== null) this.#lost(reason);
      else
        this.#log('warn', 'listen_failed', `cannot listen: ${reason}; clients keep their server connections`);
    }
    const { database } = this.#options;
    for (const { worker, question } of asked) {
      this.#options.post(worker, { type: 'listenReady', question, database, marker });
    }
  }

  /** Brings what is listened to in line with what is wanted. */
  async #follow(connection: ListeningConnection): Promise<void> {
    const wanted = new Set(this.#wanted());
    const missing = [...wanted].filter((name) => !this.#inForce.has(name));
    const surplus = [...this.#inForce].filter((name) => !wanted.has(name));
    await connection.listen(missing);
    for (const name of missing) this.#inForce.add(name);
    for (const name of surplus) this.#inForce.delete(name);
    await connection.unlisten(surplus);
    this.#forget();
  }

  /** Counters of channels that nobody listens to any more, when there are many: names are the clients' choice. */
  #forget(): void {
    for (const [name, { counts }] of this.#channels) {
      if (this.#channels.size <= CHANNELS_REMEMBERED_MAX) return;
      if ([...counts.values()].every(({ count }) => count === 0)) this.#channels.delete(name);
    }
  }

  async #connect(): Promise<ListeningConnection> {
    const targets = this.#options.targets();
    if (targets.length === 0) throw new Error('no primary is known');
    const target = targets[this.#attempt++ % targets.length];
    const marker = `pgdog_cluster_${randomBytes(8).toString('hex')}`;
    const connection = await ListeningConnection.open(target, {
      onNotification: (notification) => {
        if (notification.channel === marker) this.#marked(notification.payload);
        else this.#notified(notification);
      },
      onLost: (reason) => {
        if (this.#connection === connection) this.#lost(reason);
      },
    });
    this.#attempt = 0;
    this.#target = target;
    this.#marker = marker;
    this.#inForce.clear();
    this.#connection = connection;
    this.#checkedMs = Date.now();
    await connection.listen([marker]);
    this.#log('info', 'listening_connection', `listening for clients at ${target.host}:${target.port}`);
    return connection;
  }

  /** A marker's payload begins with the number of its worker. */
  #marked(payload: string): void {
    const worker = Number.parseInt(payload, 10);
    if (Number.isInteger(worker) && worker >= 0) this.#tell(worker, { type: 'listenMarker', payload });
  }

  #notified(notification: { channel: string; processId: number; payload: string }): void {
    const channel = this.#channels.get(notification.channel);
    if (channel === undefined) return;
    channel.received++;
    const workers = new Set<number>();
    for (const { worker, count } of channel.counts.values()) if (count > 0) workers.add(worker);
    const { database } = this.#options;
    for (const worker of workers) this.#tell(worker, { type: 'notification', database, ...notification });
  }

  #tell(worker: number, message: WorkerMessage): void {
    // Behind what it missed nothing more is of use: its listeners are told that they missed something.
    if (this.#behind.has(worker)) return;
    if (!this.#options.post(worker, message)) this.#behind.add(worker);
  }

  #tellBehind(): void {
    const { database } = this.#options;
    const reason = 'this worker was too busy to take them';
    for (const worker of [...this.#behind]) {
      if (this.#options.post(worker, { type: 'listenLost', database, reason })) this.#behind.delete(worker);
    }
  }

  #lost(reason: string): void {
    this.close();
    this.#failedMs = 0;
    const { database } = this.#options;
    this.#log('error', 'listen_lost', `the listening connection was lost: ${reason}`);
    const workers = new Set<number>();
    for (const { counts } of this.#channels.values())
      for (const { worker } of counts.values()) workers.add(worker);
    for (const worker of workers) {
      if (!this.#options.post(worker, { type: 'listenLost', database, reason })) this.#behind.add(worker);
    }
  }

  #log(level: 'info' | 'warn' | 'error', code: LogCode, text: string): void {
    const { database, logger } = this.#options;
    logger.log(level, code, `${text} (database "${database}")`, { database });
  }
}

/** What a connection is to; a password that has changed, or a certificate that is read again, is for new ones. */
function placeOf(target: ListenTarget | null): string {
  if (target === null) return '';
  const { host, port, database, user, requirePeer, tls } = target;
  return JSON.stringify([host, port, database, user, requirePeer?.uid, tls.ssl !== false, tls.isOptional]);
}

const CHANNELS_REMEMBERED_MAX = 10_000;
