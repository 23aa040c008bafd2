/**
 * Where each key of a TOML document stands. The parser tells lines of syntax errors only; for a value of the
 * wrong kind we need the line ourselves. Reads documents that a real parser has accepted; on anything else it
 * still ends, with fewer keys found.
 */

export type KeyPath = readonly (string | number)[];

/** Nesting of arrays and inline tables that is followed; deeper keys get the line of their ancestor. */
const DEPTH_MAX = 32;

const BARE_ENDS = new Set(['.', '=', ']', ' ', '\t', '\n', '\r', '#', ',', '}', '']);

function pathKey(path: KeyPath): string {
  return JSON.stringify(path);
}

export class TomlPositions {
  readonly #lines = new Map<string, number>();
  /** Header paths that are arrays of tables, with the number of entries so far. */
  readonly #tableCounts = new Map<string, number>();
  readonly #text: string;
  /** Index of the next character. Only moves forward: each loop below either advances or returns. */
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
    this.#scanDocument();
  }

  /** Line of the key, else of its nearest ancestor that has one, else 0. */
  lineOf(path: KeyPath): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(pathKey(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 0;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #advance(): void {
    if (this.#text.charCodeAt(this.#at) === 10) this.#line++;
    this.#at++;
  }

  #skipSpaces(): void {
    while (this.#peek() === ' ' || this.#peek() === '\t') this.#at++;
  }

  #skipToLineEnd(): void {
    while (this.#at < this.#text.length && this.#peek() !== '\n') this.#at++;
  }

  /** Spaces, comments and line ends. */
  #skipBlank(): void {
    for (;;) {
      const char = this.#peek();
      if (char === '#') this.#skipToLineEnd();
      else if (char === ' ' || char === '\t' || char === '\n' || char === '\r') this.#advance();
      else return;
    }
  }

  #record(path: KeyPath): void {
    const key = pathKey(path);
    if (!this.#lines.has(key)) this.#lines.set(key, this.#line);
  }

  #scanDocument(): void {
    let table: (string | number)[] = [];
    for (;;) {
      this.#skipBlank();
      if (this.#at >= this.#text.length) return;
      if (this.#peek() === '[') table = this.#scanHeader();
      else this.#scanPair(table, 0);
      this.#skipToLineEnd();
    }
  }

  /** `[a.b]` or `[[a.b]]`; the path of what follows, with the index of each array entry on the way. */
  #scanHeader(): (string | number)[] {
    this.#at++;
    const isArray = this.#peek() === '[';
    if (isArray) this.#at++;
    const segments = this.#scanKey();
    const path: (string | number)[] = [];
    for (let index = 0; index < segments.length; index++) {
      path.push(segments[index]);
      const key = pathKey(path);
      const count = this.#tableCounts.get(key) ?? 0;
      const isLast = index === segments.length - 1;
      if (isLast && isArray) {
        this.#tableCounts.set(key, count + 1);
        this.#record(path);
        path.push(count);
      } else if (count > 0) {
        path.push(count - 1);
      }
    }
    this.#record(path);
    return path;
  }

  /** `key = value`; false when nothing was consumed, so that callers cannot loop in place. */
  #scanPair(table: KeyPath, depth: number): boolean {
    const start = this.#at;
    const segments = this.#scanKey();
    const path = [...table, ...segments];
    for (let length = table.length + 1; length <= path.length; length++) this.#record(path.slice(0, length));
    if (this.#peek() === '=') {
      this.#at++;
      this.#scanValue(path, depth);
    }
    return this.#at > start;
  }

  /** `a."b c".d` as its pieces. */
  #scanKey(): string[] {
    const segments: string[] = [];
    for (;;) {
      this.#skipSpaces();
      const quote = this.#peek();
      segments.push(quote === '"' || quote === "'" ? this.#scanQuoted(quote) : this.#scanBare());
      this.#skipSpaces();
      if (this.#peek() !== '.') return segments;
      this.#at++;
    }
  }

  #scanBare(): string {
    const start = this.#at;
    while (!BARE_ENDS.has(this.#peek())) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  /** A quoted string of one line; escapes matter only for finding its end and for keys. */
  #scanQuoted(quote: string): string {
    const start = this.#at++;
    while (this.#at < this.#text.length && this.#peek() !== quote && this.#peek() !== '\n') {
      this.#at += quote === '"' && this.#peek() === '\\' ? 2 : 1;
    }
    const inner = this.#text.slice(start + 1, this.#at);
    if (this.#peek() === quote) this.#at++;
    if (quote === "'" || !inner.includes('\\')) return inner;
    try {
      return String(JSON.parse(`"${inner}"`));
    } catch {
      // An escape that JSON lacks (\e, \U…): the key then has no line of its own, its table has.
      return inner;
    }
  }

  #scanMultiline(fence: string): void {
    this.#at += 3;
    while (this.#at < this.#text.length && !this.#text.startsWith(fence, this.#at)) {
      if (fence === '"""' && this.#peek() === '\\') this.#advance();
      this.#advance();
    }
    this.#at += 3;
    // Up to two quotes may touch the closing fence from inside.
    while (this.#peek() === fence[0]) this.#at++;
  }

  #scanValue(path: KeyPath, depth: number): void {
    this.#skipSpaces();
    const char = this.#peek();
    if (this.#text.startsWith('"""', this.#at)) this.#scanMultiline('"""');
    else if (this.#text.startsWith("'''", this.#at)) this.#scanMultiline("'''");
    else if (char === '"' || char === "'") this.#scanQuoted(char);
    else if (char === '[' && depth < DEPTH_MAX) this.#scanArray(path, depth + 1);
    else if (char === '{' && depth < DEPTH_MAX) this.#scanInlineTable(path, depth + 1);
    else while (!',]}#\n'.includes(this.#peek()) && this.#at < this.#text.length) this.#at++;
  }

  #scanArray(path: KeyPath, depth: number): void {
    this.#at++;
    for (let index = 0; this.#at < this.#text.length; index++) {
      this.#skipBlank();
      if (this.#peek() === ']') break;
      this.#record([...path, index]);
      const start = this.#at;
      this.#scanValue([...path, index], depth);
      this.#skipBlank();
      if (this.#peek() === ',') this.#at++;
      if (this.#at === start) return;
    }
    this.#at++;
  }

  #scanInlineTable(path: KeyPath, depth: number): void {
    this.#at++;
    while (this.#at < this.#text.length) {
      this.#skipBlank();
      if (this.#peek() === '}') break;
      if (!this.#scanPair(path, depth)) return;
      this.#skipBlank();
      if (this.#peek() === ',') this.#at++;
    }
    this.#at++;
  }
}
