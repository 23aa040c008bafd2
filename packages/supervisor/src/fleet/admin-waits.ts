import type { AdminQueryMessage } from '@pgdog-cluster/core';
import type { GivenUp } from '../orders/operator-desk.js';

/** Who waits for the answer to an admin command, so that the command learns when nobody does any more. */
export class AdminWaits {
  /** By worker and session; a session waits for one answer at a time. */
  readonly #waiting = new Map<string, AbortController>();

  /** `answer` gets a signal that is raised when nobody waits for it any more; its reason is a GivenUp. */
  async during<T>(
    { worker, generation }: AdminQueryMessage,
    answer: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const key = `${worker} ${generation}`;
    const controller = new AbortController();
    this.#waiting.set(key, controller);
    try {
      return await answer(controller.signal);
    } finally {
      if (this.#waiting.get(key) === controller) this.#waiting.delete(key);
    }
  }

  giveUp(worker: number, generation: number, reason: GivenUp): void {
    this.#waiting.get(`${worker} ${generation}`)?.abort(reason);
  }

  /** Its sessions are gone with it. */
  onWorkerGone(worker: number): void {
    for (const [key, controller] of this.#waiting) {
      if (key.startsWith(`${worker} `)) controller.abort('gone' satisfies GivenUp);
    }
  }
}
