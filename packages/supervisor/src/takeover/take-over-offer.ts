import {
  AF_UNIX,
  accept4,
  bind,
  close,
  listen,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  socket,
} from '../listen/libc.js';
import type { Listener } from '../listen/listener.js';
import { buildUnixSockaddr } from '../listen/socket-address.js';
import { peerUserId } from '../listen/unix-connect.js';
import type { Logger } from '../log/logger.js';
import { DESCRIPTORS_MAX, DescriptorChannel } from './descriptor-channel.js';
import {
  parseTakeOver,
  TAKE_OVER_VERSION,
  type TakeOverMessage,
  takeOverAddress,
} from './take-over-message.js';

const LOOK_PERIOD_MS = 100;
/** As long as a start may take, and some more: one that hangs must not keep others out for ever. */
const TAKER_DEADLINE_MS = 180_000;
/** Who says nothing at all. */
const SILENCE_MS = 5_000;
const GUESTS_MAX = 4;
const BACKLOG = 4;
/** Strangers sent away in one look: enough that those who ask all the time leave room in the queue. */
const ACCEPTS_MAX = 32;

export interface OfferOptions {
  port: number;
  userId: number;
  logger: Logger;
  listeners: () => readonly Listener[];
  /** Draining already, or not up: there is nothing to take over. */
  canBeTaken: () => boolean;
  /** The new process serves: give free what only one can have, then call `tell`, then drain. */
  onTaken: (pid: number, tell: () => void) => void;
}

interface Taker {
  channel: DescriptorChannel;
  sinceMs: number;
  /** 0: it has not said. */
  pid: number;
  /** Sockets as they were sent, with what they were before. */
  sent: { listener: Listener; wasShared: boolean }[];
}

/**
 * The old process's side of an online restart. One taker at a time; until it says that it serves, nothing changes here but
 * that the sockets count as shared: were this process told to end meanwhile, they must live on in the other.
 */
export class TakeOverOffer {
  readonly #options: OfferOptions;
  readonly #timer: NodeJS.Timeout;
  #fd = -1;
  #isToldTaken = false;
  /** They have not said who they are. An answer before that would be lost: what is unread when we close resets the connection. */
  #guests: Taker[] = [];
  #taker: Taker | null = null;
  #isDone = false;

  constructor(options: OfferOptions) {
    this.#options = options;
    this.#open();
    this.#timer = setInterval(() => this.#look(), LOOK_PERIOD_MS).unref();
  }

  /** The name may still be that of the process we took over from: it is tried again with every look. */
  #open(): void {
    const { port, userId, logger } = this.#options;
    const fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const sockaddr = buildUnixSockaddr(takeOverAddress(port, userId));
    if (bind(fd, sockaddr, sockaddr.length) === 0 && listen(fd, BACKLOG) === 0) {
      this.#fd = fd;
      return;
    }
    close(fd);
    if (this.#isToldTaken) return;
    this.#isToldTaken = true;
    logger.log(
      'debug',
      'take_over_name',
      'another process has the name by which this one could be taken over',
    );
  }

  #look(): void {
    if (this.#isDone) return;
    if (this.#fd === -1) this.#open();
    if (this.#fd !== -1) this.#accept();
    for (const guest of this.#guests) this.#greet(guest);
    if (this.#taker !== null) this.#hear(this.#taker);
  }

  /** Any user of this machine gets as far as here; nothing is read of a stranger, for reading takes up descriptors. */
  #accept(): void {
    const { userId, logger } = this.#options;
    for (let accepts = 0; accepts < ACCEPTS_MAX && this.#guests.length < GUESTS_MAX; accepts++) {
      const fd = accept4(this.#fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd === -1) return;
      const peer = peerUserId(fd);
      if (peer === userId) {
        const channel = new DescriptorChannel(fd);
        this.#guests.push({ channel, sinceMs: performance.now(), pid: 0, sent: [] });
        continue;
      }
      close(fd);
      const text = `online restart refused: user ${peer} may not take over from user ${userId}`;
      logger.log('warn', 'take_over_refused', text);
    }
  }

  #greet(guest: Taker): void {
    const message = guest.channel.receive();
    if (message === 'wait' && performance.now() - guest.sinceMs < SILENCE_MS) return;
    this.#guests = this.#guests.filter((other) => other !== guest);
    if (message === 'wait' || message === 'gone') {
      guest.channel.close();
      return;
    }
    for (const fd of message.descriptors) close(fd);
    const { canBeTaken } = this.#options;
    const wanted = parseTakeOver(message.text);
    if (wanted?.type !== 'wanted') this.#refuse(guest, 'it did not say what it wants');
    else if (wanted.version !== TAKE_OVER_VERSION) {
      const versions = `version ${wanted.version} of the protocol, the running one ${TAKE_OVER_VERSION}`;
      this.#refuse(guest, `it speaks ${versions}`);
    } else if (!canBeTaken()) this.#refuse(guest, 'the running process is on its way out');
    else if (this.#taker !== null) {
      this.#refuse(guest, `process ${this.#taker.pid} is taking over already`);
    } else this.#sendSockets(guest, wanted.pid);
  }

  #refuse({ channel }: Taker, reason: string): void {
    send(channel, { type: 'refused', reason });
    channel.close();
    this.#options.logger.log('warn', 'take_over_refused', `online restart refused: ${reason}`);
  }

  #hear(taker: Taker): void {
    const message = taker.channel.receive();
    if (message === 'wait') {
      const ageMs = performance.now() - taker.sinceMs;
      if (ageMs > (taker.pid === 0 ? SILENCE_MS : TAKER_DEADLINE_MS))
        this.#giveUp(taker, 'it does not go on');
      return;
    }
    if (message === 'gone') {
      this.#giveUp(taker, 'the new process is gone', true);
      return;
    }
    for (const fd of message.descriptors) close(fd);
    const parsed = parseTakeOver(message.text);
    if (parsed?.type === 'serving' && parsed.taken.some((index) => index in taker.sent)) {
      this.#release(taker, parsed.taken);
    } else if (parsed?.type === 'serving' || parsed?.type === 'unrelated') {
      this.#giveUp(taker, 'the new process uses none of these sockets');
    } else this.#giveUp(taker, 'it sent something else than was awaited');
  }

  #sendSockets(taker: Taker, pid: number): void {
    const listeners = this.#options.listeners();
    const descriptors = listeners.flatMap(({ fd, lock }) => (lock === null ? [fd] : [fd, lock.fd]));
    if (descriptors.length > DESCRIPTORS_MAX) {
      this.#refuse(taker, `${descriptors.length} sockets are more than can be passed`);
      return;
    }
    taker.pid = pid;
    this.#taker = taker;
    taker.sent = listeners.map((listener) => ({ listener, wasShared: listener.isShared }));
    const sockets = listeners.map(({ kind, host, port, lock, isShared }) => ({
      kind,
      host,
      port,
      hasLock: lock !== null,
      isPassed: isShared,
    }));
    for (const listener of listeners) listener.isShared = true;
    const isSent = send(taker.channel, { type: 'sockets', pid: process.pid, sockets }, descriptors);
    const { logger } = this.#options;
    if (!isSent) this.#giveUp(taker, 'the sockets could not be passed');
    else logger.log('info', 'take_over_begun', `process ${pid} is about to take over`, { pid });
  }

  /** Everything is as it was before. */
  #giveUp(taker: Taker, reason: string, isGone = false): void {
    this.#taker = null;
    taker.channel.close();
    // On its way out this process leaves the sockets alone while the other one may be alive.
    if (isGone || this.#options.canBeTaken()) {
      for (const { listener, wasShared } of taker.sent) listener.isShared = wasShared;
    }
    const text = `online restart given up: ${reason}; this process goes on`;
    this.#options.logger.log('warn', 'take_over_failed', text, { pid: taker.pid });
  }

  #release(taker: Taker, taken: readonly number[]): void {
    const { logger, onTaken } = this.#options;
    this.#taker = null;
    this.#end();
    for (const [index, { listener, wasShared }] of taker.sent.entries()) {
      if (taken.includes(index)) listener.lock?.leave();
      // Nobody listens there any more: those who wait are let go of when it is shut down.
      else listener.isShared = wasShared;
    }
    logger.log('info', 'taken_over', `process ${taker.pid} has taken over`, { pid: taker.pid });
    onTaken(taker.pid, () => {
      send(taker.channel, { type: 'released' });
      taker.channel.close();
    });
  }

  #end(): void {
    this.#isDone = true;
    clearInterval(this.#timer);
    if (this.#fd !== -1) close(this.#fd);
    this.#fd = -1;
  }

  /** Nobody can take over any more. Who is about to goes on by himself. Idempotent. */
  close(): void {
    if (!this.#isDone) this.#end();
    for (const { channel } of this.#guests) channel.close();
    this.#guests = [];
    this.#taker?.channel.close();
    this.#taker = null;
  }
}

function send(
  channel: DescriptorChannel,
  message: TakeOverMessage,
  descriptors: readonly number[] = [],
): boolean {
  return channel.send(JSON.stringify(message), descriptors);
}
