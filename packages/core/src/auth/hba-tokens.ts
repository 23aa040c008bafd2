/**
 * Lines of pg_hba.conf and pg_ident.conf as fields (Postgres documentation, "The pg_hba.conf File"): fields are
 * set apart by white space, values in a field by commas; `"…"` takes a keyword its meaning and may hold both;
 * `#` begins a comment; a backslash at the end joins the next line.
 */

export interface HbaToken {
  text: string;
  /** In quotes: a name, whatever it spells. */
  isQuoted: boolean;
}

export interface HbaLine {
  /** Of the first one, when lines are joined. From 1. */
  line: number;
  fields: HbaToken[][];
  /** Why the line cannot be read; empty when it can. */
  problem: string;
}

/** Longer lines have no honest use. */
const LINE_CHARS_MAX = 64 * 1024;

/** All lines that say something. */
export function readHbaLines(text: string): HbaLine[] {
  const lines: HbaLine[] = [];
  let joined = '';
  let first = 0;
  for (const [index, physical] of text.split('\n').entries()) {
    const line = physical.endsWith('\r') ? physical.slice(0, -1) : physical;
    if (first === 0) first = index + 1;
    if (line.endsWith('\\') && joined.length < LINE_CHARS_MAX) {
      joined += line.slice(0, -1);
      continue;
    }
    const read = readFields(joined + line, first);
    if (read.fields.length > 0 || read.problem !== '') lines.push(read);
    joined = '';
    first = 0;
  }
  if (first !== 0) lines.push(readFields(joined, first));
  return lines.filter(({ fields, problem }) => fields.length > 0 || problem !== '');
}

function readFields(text: string, line: number): HbaLine {
  const read: HbaLine = { line, fields: [], problem: '' };
  if (text.length > LINE_CHARS_MAX) {
    read.problem = `line of more than ${LINE_CHARS_MAX} characters`;
    return read;
  }
  let at = 0;
  let continuesField = false;
  for (;;) {
    while (isBlank(text[at]) || text[at] === ',') at += 1;
    if (at >= text.length || text[at] === '#') return read;
    const token = readToken(text, at);
    if (token === null) {
      read.problem = 'a quote is not closed';
      return read;
    }
    if (continuesField) read.fields[read.fields.length - 1].push(token);
    else read.fields.push([token]);
    // The comma may only follow at once, as in Postgres: "a ,b" are two fields.
    continuesField = text[token.end] === ',';
    at = token.end;
  }
}

function readToken(text: string, start: number): (HbaToken & { end: number }) | null {
  let value = '';
  let isQuoted = false;
  let isOpen = false;
  let at = start;
  for (; at < text.length; at += 1) {
    const char = text[at];
    if (!isOpen && (isBlank(char) || char === ',' || char === '#')) break;
    if (char !== '"') value += char;
    else if (isOpen && text[at + 1] === '"') {
      value += '"';
      at += 1;
    } else {
      isOpen = !isOpen;
      if (at === start) isQuoted = true;
    }
  }
  return isOpen ? null : { text: value, isQuoted, end: at };
}

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\t' || char === '\r' || char === '\f' || char === '\v';
}
