import { randomBytes } from 'node:crypto';
import type { Listener } from './listener.js';

/** Payloads of markers that are on their way, and who waits for each. */
export class Markers {
  private readonly waiting = new Map<string, Listener>();
  private readonly worker: number;
  /** Distinguishes this worker from the one before it, whose markers may still come. */
  private readonly own = randomBytes(8).toString('hex');
  private next = 1;

  constructor(worker: number) {
    this.worker = worker;
  }

  /** Begins with the worker's number: the supervisor tells that one, and nobody else. */
  newPayload(): string {
    return `${this.worker} ${this.own} ${this.next++}`;
  }

  set(payload: string, listener: Listener): void {
    this.waiting.set(payload, listener);
  }

  delete(payload: string): void {
    this.waiting.delete(payload);
  }

  /** It has come. */
  take(payload: string): Listener | null {
    const listener = this.waiting.get(payload) ?? null;
    this.waiting.delete(payload);
    return listener;
  }
}
