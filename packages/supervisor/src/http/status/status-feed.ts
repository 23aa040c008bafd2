import type { ServerResponse } from 'node:http';
import type { HistoryPoint, StatusFrame, StatusHistory } from '@pgdog-cluster/core/status';
import { COMMON_HEADERS, onceClosed } from '../page.js';
import { type CounterSample, sampleCounters } from './counter-sample.js';
import { readStatus, type StatusContext } from './read-status.js';
import { ShapeWatch } from './shape-watch.js';

const PERIOD_MS = 1000;
/** Five minutes of it. */
const HISTORY_MAX = 300;
/** Everybody gets the same bytes, so that more lookers cost next to nothing; the bound is for strangers. */
export const LISTENERS_MAX = 32;
/** What one that does not read may make us keep: some twenty frames. */
const UNREAD_BYTES_MAX = 1_000_000;

type Waiter = (frame: StatusFrame) => void;

/**
 * One producer of frames for all who look, once a second, and nothing at all while nobody does. Who reads too slowly is
 * disconnected: the next frame is worth more to it than the ones it has missed.
 */
export class StatusFeed {
  readonly #context: StatusContext;
  readonly #periodMs: number;
  readonly #shapes: ShapeWatch;
  readonly #listeners = new Set<ServerResponse>();
  readonly #waiters = new Set<Waiter>();
  readonly #history: HistoryPoint[] = [];
  #last: CounterSample | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(context: StatusContext, periodMs = PERIOD_MS) {
    this.#context = context;
    this.#periodMs = periodMs;
    this.#shapes = new ShapeWatch((filter) => context.reportQueries(filter));
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** Is it at work? */
  get isRunning(): boolean {
    return this.#timer !== null;
  }

  /** Answers with an event stream that goes on until one of the two sides ends it. False: there are too many already. */
  listen(response: ServerResponse): boolean {
    if (this.#listeners.size >= LISTENERS_MAX) return false;
    response.writeHead(200, {
      ...COMMON_HEADERS,
      'content-type': 'text/event-stream; charset=utf-8',
      // Proxies on the way must not collect it.
      'x-accel-buffering': 'no',
    });
    const history: StatusHistory = { points: this.#history };
    response.write(eventText('history', history));
    this.#listeners.add(response);
    this.#start();
    onceClosed(response, () => {
      this.#listeners.delete(response);
      this.#rest();
    });
    return true;
  }

  /** The next frame, up to a period from now. */
  next(): Promise<StatusFrame> {
    return new Promise((resolve) => {
      this.#waiters.add(resolve);
      this.#start();
    });
  }

  /** Idempotent. */
  close(): void {
    for (const listener of this.#listeners) listener.destroy();
    this.#listeners.clear();
    this.#waiters.clear();
    this.#rest();
  }

  #start(): void {
    if (this.#timer !== null) return;
    this.#last = this.#sample();
    // Asked for at once: the first frame then has them, nearly always.
    this.#shapes.latest(this.#last.atMs);
    this.#timer = setInterval(() => this.#produce(), this.#periodMs);
  }

  /** Nobody looks any more. */
  #rest(): void {
    if (this.#listeners.size > 0 || this.#waiters.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#last = null;
  }

  #sample(): CounterSample {
    return sampleCounters(this.#context.memory, this.#context.config().pools, performance.now());
  }

  #produce(): void {
    const before = this.#last;
    if (before === null) return;
    const after = this.#sample();
    this.#last = after;
    const shapes = this.#shapes.latest(after.atMs);
    const frame: StatusFrame = { ...readStatus(this.#context, before, after), shapes };
    this.#remember(frame);
    for (const resolve of this.#waiters) resolve(frame);
    this.#waiters.clear();
    if (this.#listeners.size > 0) this.#send(eventText('status', frame));
    this.#rest();
  }

  #send(text: string): void {
    const bytes = Buffer.from(text);
    for (const listener of this.#listeners) {
      if (listener.writableLength > UNREAD_BYTES_MAX) listener.destroy();
      else if (!listener.destroyed) listener.write(bytes);
    }
  }

  #remember({ atMs, totals }: StatusFrame): void {
    const { queriesPerS, errorsPerS, waiting, p50Us, p99Us } = totals;
    this.#history.push({ atMs, queriesPerS, errorsPerS, waiting, p50Us, p99Us });
    while (this.#history.length > HISTORY_MAX || this.#history[0].atMs < atMs - HISTORY_MAX * 1000) {
      this.#history.shift();
    }
  }
}

/** JSON has no line ends of its own, so one `data` line holds it. */
function eventText(event: string, data: StatusFrame | StatusHistory): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
