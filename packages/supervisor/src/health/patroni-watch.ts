import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps, type RequestOptions } from 'node:https';
import { type PatroniView, readPatroni } from './patroni-view.js';

export interface PatroniWatchOptions {
  /** Of the REST API of any members; asked in turn, from the one that answered last. */
  urls: readonly string[];
  intervalMs: number;
  timeoutMs: number;
  /** Whom to trust for https; null = as the system. */
  ca: string | null;
  nowMs: () => number;
  /** A new answer, or none from anybody for a while. */
  onChange: () => void;
  onState: (isAnswering: boolean, why: string) => void;
}

/** Its API asks its store with each question: no more often than this. */
const INTERVAL_MS_MIN = 1_000;
/** While there is no primary. */
const URGENT_MS = 250;
/** An answer is believed for so many intervals. */
const BELIEVED_TIMES = 3;
/** A cluster of a hundred members has 30 KB. */
const BODY_BYTES_MAX = 1024 * 1024;

/** Asks Patroni for the leader, again and again. */
export class PatroniWatch {
  readonly #options: PatroniWatchOptions;
  readonly #intervalMs: number;
  #current = 0;
  #view: PatroniView | null = null;
  #answeredMs = Number.NEGATIVE_INFINITY;
  /** Undefined: nobody has answered or failed yet. */
  #isAnswering: boolean | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  isUrgent = false;

  constructor(options: PatroniWatchOptions) {
    this.#options = options;
    this.#intervalMs = Math.max(INTERVAL_MS_MIN, options.intervalMs);
    void this.#ask();
  }

  /** Null when nobody has answered lately: then the hosts are asked themselves. */
  get view(): PatroniView | null {
    const ageMs = this.#options.nowMs() - this.#answeredMs;
    return ageMs <= BELIEVED_TIMES * this.#intervalMs ? this.#view : null;
  }

  /** Somebody has answered, or nobody does. */
  get isTried(): boolean {
    return this.#isAnswering !== undefined;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    const { urls } = this.#options;
    let why = '';
    for (let tried = 0; tried < urls.length; tried++) {
      const url = urls[this.#current % urls.length];
      try {
        const view = readPatroni(await this.#fetch(new URL('cluster', url.endsWith('/') ? url : `${url}/`)));
        if (view === null) throw new Error('not an answer of Patroni');
        this.#take(view);
        why = '';
        break;
      } catch (error) {
        why = `${url}: ${error instanceof Error ? error.message : String(error)}`;
        this.#current++;
      }
    }
    if (this.#isClosed) return;
    if (why !== '') this.#failed(why);
    const pauseMs = this.isUrgent ? URGENT_MS : this.#intervalMs;
    this.#timer = setTimeout(() => void this.#ask(), pauseMs).unref();
  }

  #take(view: PatroniView): void {
    if (this.#isClosed) return;
    this.#view = view;
    this.#answeredMs = this.#options.nowMs();
    if (this.#isAnswering !== true) this.#options.onState(true, '');
    this.#isAnswering = true;
    this.#options.onChange();
  }

  #failed(why: string): void {
    // As long as its last answer counts, nothing has changed.
    if (this.view !== null || this.#isAnswering === false) return;
    this.#isAnswering = false;
    this.#options.onState(false, why);
    this.#options.onChange();
  }

  async #fetch(url: URL): Promise<unknown> {
    const { timeoutMs, ca } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    const options: RequestOptions = { signal, agent: false, ...(ca === null ? {} : { ca }) };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const get = url.protocol === 'https:' ? getHttps : getHttp;
      get(url, options, resolve).once('error', reject);
    });
    if (response.statusCode !== 200) {
      response.resume();
      throw new Error(`HTTP status ${response.statusCode}`);
    }
    let text = '';
    response.setEncoding('utf8');
    for await (const chunk of response) {
      text += chunk;
      if (text.length > BODY_BYTES_MAX) throw new Error(`more than ${BODY_BYTES_MAX} bytes`);
    }
    return JSON.parse(text);
  }
}
