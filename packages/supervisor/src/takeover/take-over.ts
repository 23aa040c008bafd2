import { setTimeout as sleep } from 'node:timers/promises';
import { PgDogError } from '@pgdog-cluster/core';
import {
  AF_UNIX,
  close,
  connect,
  ECONNREFUSED,
  errno,
  listen,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  socket,
} from '../listen/libc.js';
import { Listener } from '../listen/listener.js';
import type { AdoptedListeners } from '../listen/open-listeners.js';
import { buildUnixSockaddr } from '../listen/socket-address.js';
import { peerUserId } from '../listen/unix-connect.js';
import { adoptUnixListener } from '../listen/unix-listener.js';
import { DescriptorChannel } from './descriptor-channel.js';
import {
  type PassedListener,
  parseTakeOver,
  TAKE_OVER_VERSION,
  type TakeOverMessage,
  takeOverAddress,
} from './take-over-message.js';

const LOOK_PERIOD_MS = 20;
/** The old process looks ten times a second; a machine under load takes longer. */
const ANSWER_DEADLINE_MS = 15_000;

interface Adoptable {
  passed: PassedListener;
  fd: number;
  lockFd: number | null;
  listener: Listener | null;
}

function refusal(reason: string, hint: string): PgDogError {
  return new PgDogError('configuration', `cannot take over: ${reason}`, { hint });
}

/**
 * The new process's side of an online restart: has the sockets of the old one from begin() on, and is alone with them after
 * serving(). Until then they count as shared, so that a start that fails leaves the old process as it was.
 */
export class TakeOver implements AdoptedListeners {
  readonly pid: number;
  readonly #channel: DescriptorChannel;
  readonly #adoptable: Adoptable[];

  readonly #address: string;

  private constructor(channel: DescriptorChannel, pid: number, adoptable: Adoptable[], address: string) {
    this.#address = address;
    this.#channel = channel;
    this.pid = pid;
    this.#adoptable = adoptable;
  }

  /**
   * Null: there is no process that could be asked.
   * @throws PgDogError `configuration` when it refuses, or somebody else has its name
   */
  static async begin(port: number, userId: number): Promise<TakeOver | null> {
    const fd = connectTo(takeOverAddress(port, userId));
    if (fd === null) return null;
    const channel = new DescriptorChannel(fd);
    try {
      const owner = peerUserId(fd);
      if (owner !== userId) {
        throw refusal(`a process of user ${owner} has the name`, 'Run as the user of the running process.');
      }
      send(channel, { type: 'wanted', version: TAKE_OVER_VERSION, pid: process.pid });
      const { message, descriptors } = await answer(channel);
      if (message?.type === 'refused') throw refusal(message.reason, 'Wait for it to end, or stop it.');
      if (message?.type !== 'sockets') throw refusal('the running process does not answer', 'Restart it.');
      const adoptable = pair(message.sockets, descriptors);
      return new TakeOver(channel, message.pid, adoptable, takeOverAddress(port, userId));
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  take(kind: 'tcp' | 'unix', host: string, port: number, backlog: number): Listener | null {
    const found = this.#adoptable.find(
      ({ passed, listener }) =>
        listener === null && passed.kind === kind && passed.host === host && passed.port === port,
    );
    if (found === undefined) return null;
    const { fd, lockFd } = found;
    found.listener =
      kind === 'tcp' ? new Listener(fd) : adoptUnixListener(fd, lockFd, { directory: host, port });
    found.listener.isShared = true;
    // On a socket that listens already it sets the length of the queue.
    listen(fd, backlog);
    return found.listener;
  }

  /** Sockets of the old process that nobody here asked for. */
  get leftover(): PassedListener[] {
    return this.#adoptable.filter(({ listener }) => listener === null).map(({ passed }) => passed);
  }

  /**
   * Every worker serves: the old process takes nobody any more and drains. Resolves when what only one of us can have is
   * free; false: it did not say so in time, or was gone already.
   * @throws PgDogError `configuration` when it has given this process up, or shares no address with it: it goes on itself
   */
  async serving(): Promise<boolean> {
    if (this.#channel.receive() === 'gone') this.#refuseTheLiving();
    else if (this.leftover.length === this.#adoptable.length) this.#refuseTheUnrelated();
    const taken: number[] = [];
    for (const [index, { listener, passed, fd, lockFd }] of this.#adoptable.entries()) {
      if (listener === null) {
        close(fd);
        if (lockFd !== null) close(lockFd);
        continue;
      }
      taken.push(index);
      listener.isShared = passed.isPassed;
      listener.lock?.sign(listener.host, listener.port);
    }
    send(this.#channel, { type: 'serving', taken });
    const { message } = await answer(this.#channel);
    this.#channel.close();
    return message?.type === 'released';
  }

  /** Nobody waits for us at the other end: is that because nobody is left? Two owners would end each other's sockets. */
  #refuseTheLiving(): void {
    const fd = connectTo(this.#address);
    if (fd === null) return;
    close(fd);
    throw refusal(`process ${this.pid} has given it up`, 'The start took too long; try again.');
  }

  /** It may be another instance, whose clients nobody else serves. */
  #refuseTheUnrelated(): never {
    send(this.#channel, { type: 'unrelated' });
    const theirs = this.leftover.map(({ kind, host, port }) => (kind === 'tcp' ? `${host}:${port}` : host));
    throw refusal(
      `process ${this.pid} listens on ${theirs.join(', ')}, and on nothing that this one is to listen on`,
      'Keep one of its addresses, or start without --take-over and stop it by hand.',
    );
  }

  /** The start has failed: the old process goes on. */
  abandon(): void {
    this.#channel.close();
  }
}

/** Null: nobody is there. Throws for any other failure. */
function connectTo(address: string): number | null {
  const fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const sockaddr = buildUnixSockaddr(address);
  if (fd !== -1 && connect(fd, sockaddr, sockaddr.length) === 0) return fd;
  const number = errno();
  if (fd !== -1) close(fd);
  if (number === ECONNREFUSED) return null;
  throw refusal(`system error ${number}`, 'Try again.');
}

/** Which descriptor is whose. Throws when the numbers do not add up. */
function pair(sockets: readonly PassedListener[], descriptors: readonly number[]): Adoptable[] {
  const rest = [...descriptors];
  const next = (): number => {
    const fd = rest.shift();
    if (fd === undefined) throw refusal('descriptors are missing', 'See ulimit -n.');
    return fd;
  };
  return sockets.map((passed) => ({
    passed,
    fd: next(),
    lockFd: passed.hasLock ? next() : null,
    listener: null,
  }));
}

async function answer(
  channel: DescriptorChannel,
): Promise<{ message: TakeOverMessage | null; descriptors: number[] }> {
  const deadlineMs = performance.now() + ANSWER_DEADLINE_MS;
  while (performance.now() < deadlineMs) {
    const received = channel.receive();
    if (received === 'gone') break;
    if (received !== 'wait') {
      return { message: parseTakeOver(received.text), descriptors: received.descriptors };
    }
    await sleep(LOOK_PERIOD_MS);
  }
  return { message: null, descriptors: [] };
}

function send(channel: DescriptorChannel, message: TakeOverMessage): void {
  channel.send(JSON.stringify(message));
}
