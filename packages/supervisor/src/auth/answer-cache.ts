interface Answer {
  askedMs: number;
  freshUntilMs: number;
}

/** Answers that are good for a while; each question is under way once at a time. */
export class AnswerCache<T extends Answer> {
  readonly #answers = new Map<string, T>();
  readonly #asked = new Map<string, Promise<T>>();

  /** Answers under way are not kept when they come. */
  clear(): void {
    this.#answers.clear();
    this.#asked.clear();
  }

  /** One that is fresh and not older than `ageMsMax`, or what `ask` says. At most `sizeMax` are kept, the latest. */
  async find(key: string, ageMsMax: number, sizeMax: number, ask: () => Promise<T>): Promise<T> {
    const nowMs = Date.now();
    const known = this.#answers.get(key);
    if (known !== undefined && nowMs < known.freshUntilMs && nowMs - known.askedMs <= ageMsMax) return known;
    const underWay = this.#asked.get(key);
    if (underWay !== undefined) return underWay;
    const answer = ask();
    this.#asked.set(key, answer);
    const found = await answer;
    if (this.#asked.get(key) === answer) {
      this.#asked.delete(key);
      this.#remember(key, found, sizeMax);
    }
    return found;
  }

  /** The oldest go first. */
  #remember(key: string, found: T, sizeMax: number): void {
    this.#answers.delete(key);
    this.#answers.set(key, found);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= sizeMax) break;
      this.#answers.delete(oldest);
    }
  }
}
