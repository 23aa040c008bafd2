const HIDDEN = '[secret]';

/**
 * A password as it came from the configuration. The text sits in a private field: printing, serialising or
 * comparing the object by accident yields a placeholder, so a secret needs a visible `reveal()` to get out.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  /** What util.inspect and console.log show; the registered symbol needs no import of node:util. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return HIDDEN;
  }
}
