export interface ProbationOptions {
  /** A server has let somebody in to the database of that name. */
  isProven: (name: string) => boolean;
  nowMs?: () => number;
}

/** Names at one time that no server has confirmed yet. */
const UNPROVEN_MAX = 64;
/** Logins that wait for a place among them. */
const WAITING_MAX = 1_000;
/** A server that takes longer to answer holds others up no more. */
const UNPROVEN_MS_MAX = 5_000;
const LOOK_MS = 10;

/**
 * How many names may be new at one time. Whoever tries names that no server has, one after the other, gets no further than
 * the servers answer; databases that exist pass within the time of a login.
 */
export class Probation {
  readonly #options: Required<ProbationOptions>;
  /** Since when. */
  readonly #unproven = new Map<string, number>();
  readonly #waiting: { name: string; admit: (isAdmitted: boolean) => void }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor({ isProven, nowMs = Date.now }: ProbationOptions) {
    this.#options = { isProven, nowMs };
  }

  names(): string[] {
    return [...this.#unproven.keys()];
  }

  /** Resolves when there is a place for it, with false when there is no hope for one. */
  enter(name: string): Promise<boolean> {
    if (this.#waiting.length === 0 && this.#unproven.size < UNPROVEN_MAX) {
      this.#add(name);
      return Promise.resolve(true);
    }
    if (this.#waiting.length >= WAITING_MAX) return Promise.resolve(false);
    return new Promise((admit) => this.#waiting.push({ name, admit }));
  }

  leave(name: string): void {
    this.#unproven.delete(name);
    this.#admit();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { admit } of this.#waiting.splice(0)) admit(false);
  }

  #add(name: string): void {
    this.#unproven.set(name, this.#options.nowMs());
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  #look(): void {
    const { isProven, nowMs } = this.#options;
    for (const [name, sinceMs] of this.#unproven) {
      if (isProven(name) || nowMs() - sinceMs > UNPROVEN_MS_MAX) this.#unproven.delete(name);
    }
    this.#admit();
    if (this.#unproven.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #admit(): void {
    while (this.#unproven.size < UNPROVEN_MAX) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#add(next.name);
      next.admit(true);
    }
  }
}
