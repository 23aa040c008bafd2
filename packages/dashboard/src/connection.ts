import { EventReader, type StatusFrame, type StatusHistory } from '@pgdog-cluster/core/status';

export type LinkState = 'connecting' | 'live' | 'lost' | 'refused';

export interface ConnectionListener {
  onHistory(history: StatusHistory): void;
  onStatus(frame: StatusFrame): void;
  onState(state: LinkState): void;
}

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 10_000;
/** A frame comes every second: after so long without one the other side is gone, whatever TCP says. */
const SILENCE_MS = 6000;

/** The event stream, again and again. By fetch() and not EventSource, which cannot send a token. */
export class Connection {
  readonly #listener: ConnectionListener;
  #token: string | null;
  #retryMs = RETRY_MS_MIN;
  #again: (() => void) | null = null;

  constructor(listener: ConnectionListener, token: string | null) {
    this.#listener = listener;
    this.#token = token;
  }

  /** With this one from now on. */
  setToken(token: string): void {
    this.#token = token;
    this.#again?.();
  }

  /** Never ends. */
  async run(): Promise<void> {
    for (;;) {
      const isRefused = await this.#stream().catch(() => false);
      this.#listener.onState(isRefused ? 'refused' : 'lost');
      await this.#pause(isRefused);
      this.#listener.onState('connecting');
    }
  }

  #pause(isRefused: boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#again = resolve;
      if (isRefused) return;
      setTimeout(resolve, this.#retryMs);
      this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
    });
  }

  /** Until it ends. True: another token is needed. */
  async #stream(): Promise<boolean> {
    const headers: Record<string, string> =
      this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
    const abort = new AbortController();
    let silence = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const response = await fetch('/api/events', { headers, signal: abort.signal, cache: 'no-store' });
      if (response.status === 401) return true;
      if (!response.ok || response.body === null) return false;
      const events = new EventReader();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE_MS);
        for (const { event, data } of events.push(part.value)) this.#deliver(event, data);
      }
      return false;
    } finally {
      clearTimeout(silence);
    }
  }

  #deliver(event: string, data: string): void {
    this.#retryMs = RETRY_MS_MIN;
    this.#listener.onState('live');
    if (event === 'history') this.#listener.onHistory(JSON.parse(data) as StatusHistory);
    else if (event === 'status') this.#listener.onStatus(JSON.parse(data) as StatusFrame);
  }
}
