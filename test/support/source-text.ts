/**
 * TypeScript read just closely enough for the tidy laws: what is code, comment, string or regular expression, and
 * where functions begin and end. The compiler of this workspace has no stable JavaScript API to ask.
 */

export interface SourceFile {
  /** From the root of the repository, with slashes. */
  path: string;
  text: string;
}

export interface ReadSource extends SourceFile {
  /** Same length as `text`; comments, string contents and regular expressions are blanks. */
  code: string;
  /** Same length as `text`; only comments are blanks. */
  withoutComments: string;
  /** Offsets of regular expression literals. */
  regexOffsets: number[];
}

export interface FunctionSpan {
  name: string;
  /** Offset of the body's opening brace and just behind its closing one. */
  start: number;
  end: number;
  /** From the signature's first line to the closing brace. */
  line: number;
  lineCount: number;
}

/** A slash after one of these begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = new Set('(,=:[!&|?{};+-*%<>~^'.split(''));
const WORDS_BEFORE_REGEX = new Set(
  'return typeof case in of delete void throw new instanceof await yield else do'.split(' '),
);
const CONTROL_WORDS = new Set(
  'if for while switch catch with return await typeof void new in of super import'.split(' '),
);

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

/** One pass over the text that copies code and blanks the rest. */
class Reader {
  readonly code: string[];
  readonly plain: string[];
  readonly regexOffsets: number[] = [];
  #text: string;
  #at = 0;
  /** Depth of braces at which each open `${` closes. */
  #templateDepths: number[] = [];
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.code = text.split('');
    this.plain = text.split('');
  }

  #blank(target: string[], start: number, end: number): void {
    for (let at = start; at < end; at++) if (target[at] !== '\n') target[at] = ' ';
  }

  read(): void {
    while (this.#at < this.#text.length) this.#step();
  }

  #step(): void {
    const here = this.#text[this.#at];
    const pair = here + (this.#text[this.#at + 1] ?? '');
    if (pair === '//' || (this.#at === 0 && pair === '#!')) this.#comment('\n', 0);
    else if (pair === '/*') this.#comment('*/', 2);
    else if (here === "'" || here === '"') this.#string(here);
    else if (here === '`') this.#template(this.#at + 1);
    else if (here === '/' && this.#isRegexHere()) this.#regex();
    else this.#brace(here);
  }

  #brace(here: string): void {
    if (here === '{') this.#depth++;
    if (here === '}') {
      this.#depth--;
      if (this.#templateDepths.at(-1) === this.#depth) {
        this.#templateDepths.pop();
        this.#template(this.#at + 1);
        return;
      }
    }
    this.#at++;
  }

  #comment(closing: string, closingLength: number): void {
    const found = this.#text.indexOf(closing, this.#at + 2);
    const end = found < 0 ? this.#text.length : found + closingLength;
    this.#blank(this.code, this.#at, end);
    this.#blank(this.plain, this.#at, end);
    this.#at = end;
  }

  #string(quote: string): void {
    let end = this.#at + 1;
    while (end < this.#text.length && this.#text[end] !== quote && this.#text[end] !== '\n') {
      end += this.#text[end] === '\\' ? 2 : 1;
    }
    this.#blank(this.code, this.#at + 1, end);
    this.#at = end + 1;
  }

  /** From behind the opening backtick or the brace that closed a substitution, to the next of either. */
  #template(start: number): void {
    let end = start;
    for (; end < this.#text.length && this.#text[end] !== '`'; end++) {
      if (this.#text[end] === '\\') end++;
      else if (this.#text[end] === '$' && this.#text[end + 1] === '{') {
        this.#blank(this.code, start, end);
        this.#templateDepths.push(this.#depth);
        this.#depth++;
        this.#at = end + 2;
        return;
      }
    }
    this.#blank(this.code, start, end);
    this.#at = end + 1;
  }

  #isRegexHere(): boolean {
    let at = this.#at - 1;
    while (at >= 0 && (this.code[at] === ' ' || this.code[at] === '\n')) at--;
    if (at < 0 || BEFORE_REGEX.has(this.code[at])) return true;
    const word = /[\w$]+$/.exec(this.code.slice(Math.max(0, at - 11), at + 1).join(''))?.[0] ?? '';
    return WORDS_BEFORE_REGEX.has(word);
  }

  #regex(): void {
    let end = this.#at + 1;
    let isInClass = false;
    for (; end < this.#text.length && this.#text[end] !== '\n'; end++) {
      const here = this.#text[end];
      if (here === '\\') end++;
      else if (here === '[') isInClass = true;
      else if (here === ']') isInClass = false;
      else if (here === '/' && !isInClass) break;
    }
    this.regexOffsets.push(this.#at);
    this.#blank(this.code, this.#at + 1, end);
    this.#at = end + 1;
  }
}

export function readSource(file: SourceFile): ReadSource {
  const reader = new Reader(file.text);
  reader.read();
  return {
    ...file,
    code: reader.code.join(''),
    withoutComments: reader.plain.join(''),
    regexOffsets: reader.regexOffsets,
  };
}

const CLOSING: Record<string, string> = { '(': ')', '[': ']', '{': '}' };

/** Offset of the bracket that closes the one at `open`; the end of the text when none does. */
export function closingOffset(code: string, open: number): number {
  const opening = code[open];
  const closing = CLOSING[opening];
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if (code[at] === opening) depth++;
    if (code[at] === closing && --depth === 0) return at;
  }
  return code.length;
}

function skipBlanks(code: string, at: number): number {
  while (code[at] === ' ' || code[at] === '\n') at++;
  return at;
}

/**
 * Offset of the body behind a parameter list that closes before `at`, past a return type; -1 when there is no
 * body. A brace that follows `:`, `|`, `&`, `<`, `,` or `=>` belongs to the type.
 */
function bodyOffset(code: string, from: number): number {
  let at = skipBlanks(code, from);
  if (code[at] === '{') return at;
  if (code.startsWith('=>', at)) return bodyOfArrow(code, at);
  if (code[at] !== ':') return -1;
  let last = ':';
  for (at = skipBlanks(code, at + 1); at < code.length; at = skipBlanks(code, at + 1)) {
    if (code.startsWith('=>', at) && last !== ')') return bodyOfArrow(code, at);
    if (code.startsWith('=>', at)) return typeOrArrow(code, at);
    if (code[at] === '{' && !':|&<,('.includes(last)) return at;
    if (';,)=}'.includes(code[at])) return -1;
    if (code[at] in CLOSING) at = closingOffset(code, at);
    else if (code[at] === '<') at = closingAngle(code, at);
    last = code[at] ?? '';
  }
  return -1;
}

function bodyOfArrow(code: string, at: number): number {
  const next = skipBlanks(code, at + 2);
  return code[next] === '{' ? next : -1;
}

/** `(a): (b) => c => {`: rare enough to take the first brace behind the next arrow. */
function typeOrArrow(code: string, at: number): number {
  const direct = bodyOfArrow(code, at);
  if (direct >= 0) return direct;
  const next = code.indexOf('=>', at + 2);
  const end = code.indexOf(';', at);
  return next >= 0 && (end < 0 || next < end) ? bodyOfArrow(code, next) : -1;
}

function closingAngle(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if (code[at] === '<') depth++;
    if (code[at] === '>' && code[at - 1] !== '=' && --depth === 0) return at;
  }
  return code.length;
}

/** Every function, method and arrow with a body in braces, outer ones included. */
export function findFunctions(source: ReadSource): FunctionSpan[] {
  const { code } = source;
  const spans = new Map<number, FunctionSpan>();
  const add = (name: string, from: number, start: number): void => {
    if (start < 0 || spans.has(start)) return;
    const end = closingOffset(code, start) + 1;
    const line = lineAt(code, from);
    spans.set(start, { name, start, end, line, lineCount: lineAt(code, end) - line + 1 });
  };
  for (let at = code.indexOf('('); at >= 0; at = code.indexOf('(', at + 1)) {
    const before = code.slice(Math.max(0, at - 200), at);
    const name = /([#\w$]+)\s*(?:<[^()]*>)?\s*$/.exec(before)?.[1] ?? '';
    if (CONTROL_WORDS.has(name)) continue;
    add(
      name === '' || name === 'function' ? 'anonymous' : name,
      at,
      bodyOffset(code, closingOffset(code, at) + 1),
    );
  }
  for (const match of code.matchAll(/([\w$]+) => \{/g))
    add('anonymous', match.index, match.index + match[0].length - 1);
  return [...spans.values()].sort((a, b) => a.start - b.start);
}

/** Module names of imports and re-exports, dynamic ones, and files named by `new URL(…, import.meta.url)`. */
export function findImports(source: ReadSource): { name: string; isType: boolean; offset: number }[] {
  const found: { name: string; isType: boolean; offset: number }[] = [];
  const patterns = [
    /\b(import|export)\b(\s+type\b)?[^'";()]*?\bfrom\s*'([^']+)'/g,
    /\b(import)()\s*\(?\s*'([^']+)'/g,
    /\b(new URL)()\(\s*'([^']+\.js)'/g,
  ];
  for (const pattern of patterns) {
    for (const match of source.withoutComments.matchAll(pattern)) {
      // The word must be code: a string may talk about imports.
      if (source.code.slice(match.index, match.index + 3).trim() === '') continue;
      found.push({ name: match[3], isType: (match[2] ?? '') !== '', offset: match.index });
    }
  }
  return found;
}
