import { type SharedMemory, SUPERVISOR_PRODUCER, type WorkerMessage } from '@pgdog-cluster/core';
import { writeEventFd } from '../listen/libc.js';
import type { Logger } from '../log/logger.js';

/** How long to wait for room before looking again. The worker empties its mailbox every turn. */
const RETRY_MS = 5;
/** 128 MB of admin answers at 32 KB each: a worker that takes none of it for so long is not coming back. */
const WAITING_MESSAGES_MAX = 4096;

/** The supervisor's way into one worker's mailbox. */
export class Outbox {
  readonly #memory: SharedMemory;
  readonly #worker: number;
  readonly #logger: Logger;
  #waiting: WorkerMessage[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(memory: SharedMemory, worker: number, logger: Logger) {
    this.#memory = memory;
    this.#worker = worker;
    this.#logger = logger;
  }

  /** Now or not at all: for what another worker could take as well. False = nothing happened. */
  tryPost(message: WorkerMessage): boolean {
    const { mailboxes } = this.#memory;
    if (!mailboxes.post(SUPERVISOR_PRODUCER, this.#worker, message)) return false;
    if (mailboxes.needsWake(this.#worker)) writeEventFd(mailboxes.eventFd(this.#worker));
    return true;
  }

  /** Now or as soon as there is room, in the order of the calls. Only for messages without a descriptor. False: dropped. */
  post(message: WorkerMessage): boolean {
    if (this.#waiting.length === 0 && this.tryPost(message)) return true;
    if (this.#waiting.length >= WAITING_MESSAGES_MAX) {
      const fields = { worker: this.#worker, type: message.type };
      this.#logger.log('error', 'message_dropped', 'message dropped: the worker takes none', fields);
      return false;
    }
    this.#waiting.push(message);
    this.#timer ??= setTimeout(() => this.#retry(), RETRY_MS);
    return true;
  }

  /** What waits was meant for the thread that has just ended. */
  clear(): void {
    this.#waiting = [];
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #retry(): void {
    this.#timer = null;
    let sent = 0;
    while (sent < this.#waiting.length && this.tryPost(this.#waiting[sent])) sent += 1;
    this.#waiting.splice(0, sent);
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#retry(), RETRY_MS);
  }
}
