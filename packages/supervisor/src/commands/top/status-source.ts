import { EventReader, type StatusFrame, type StatusHistory } from '@pgdog-cluster/core/status';

const SILENCE_MS = 6000;
const RETRY_MS = 1000;

/** The other side is there and does not answer as it should: trying again will not help. */
export class StatusError extends Error {}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}

/** Where the figures come from: the HTTP port of a running pgdog-cluster. */
export class StatusSource {
  readonly #url: URL;
  readonly #token: string | null;

  constructor(url: URL, token: string | null) {
    this.#url = url;
    this.#token = token;
  }

  /** @throws StatusError when there is no answer, or one that is none of ours */
  async once(): Promise<StatusFrame> {
    const response = await this.#get('/api/status', AbortSignal.timeout(SILENCE_MS));
    try {
      return (await response.json()) as StatusFrame;
    } catch {
      throw new StatusError(`${this.#url.origin} does not answer as a pgdog-cluster`);
    }
  }

  /** Until `signal`; a connection that is lost is opened again. @throws StatusError when the first one fails, or is refused */
  async stream(
    signal: AbortSignal,
    on: { history(history: StatusHistory): void; status(frame: StatusFrame): void; lost(why: string): void },
  ): Promise<void> {
    let wasThere = false;
    while (!signal.aborted) {
      try {
        for await (const { event, data } of this.#events(signal)) {
          wasThere = true;
          if (event === 'history') on.history(JSON.parse(data) as StatusHistory);
          else if (event === 'status') on.status(JSON.parse(data) as StatusFrame);
        }
        on.lost('the connection has ended');
      } catch (error) {
        if (signal.aborted) return;
        if (!wasThere) throw error;
        on.lost(describe(error));
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** By no AbortSignal.any(): Node may forget what hangs on one, and the program would not end. */
  async *#events(signal: AbortSignal) {
    const abort = new AbortController();
    const quit = (): void => abort.abort(signal.reason);
    signal.addEventListener('abort', quit);
    const aborted = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason as Error));
    });
    aborted.catch(() => {});
    const quiet = () => setTimeout(() => abort.abort(new Error('no figures come')), SILENCE_MS);
    let silence = quiet();
    let reader: ReadableStreamDefaultReader<string> | null = null;
    try {
      const { body } = await Promise.race([this.#get('/api/events', abort.signal), aborted]);
      if (body === null) return;
      reader = body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventReader();
      for (;;) {
        const { done, value } = await Promise.race([reader.read(), aborted]);
        if (done) return;
        clearTimeout(silence);
        silence = quiet();
        yield* events.push(value);
      }
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', quit);
      reader?.cancel().catch(() => {});
    }
  }

  async #get(path: string, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> =
      this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#url), { headers, signal, redirect: 'error' });
    } catch (error) {
      throw new StatusError(`${this.#url.origin}: ${describe(error)}`);
    }
    if (response.ok) return response;
    await response.body?.cancel();
    if (response.status !== 401)
      throw new StatusError(`${this.#url.origin} answers ${response.status} ${response.statusText}`);
    const remedy = 'set PGDOG_OPENMETRICS_TOKEN to its openmetrics_token';
    const what = this.#token === null ? 'asks for a token' : 'takes another token';
    throw new StatusError(`${this.#url.origin} ${what}: ${remedy}`);
  }
}
