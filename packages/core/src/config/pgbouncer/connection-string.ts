/**
 * The right side of a line in [databases], [users] and [peers]: `key=value` pairs apart by blanks, a value in single
 * quotes where it has some itself, a quote in it doubled.
 * Returns what is wrong as a text, which quotes nothing of the line: it may hold a password.
 */
export function parseConnectionString(text: string): Map<string, string> | string {
  const pairs = new Map<string, string>();
  let at = 0;
  const skipBlanks = (): void => {
    while (at < text.length && isBlank(text[at])) at++;
  };
  for (;;) {
    skipBlanks();
    if (at >= text.length) return pairs;
    const start = at;
    while (at < text.length && !isBlank(text[at]) && text[at] !== '=') at++;
    const key = text.slice(start, at);
    skipBlanks();
    if (key === '' || text[at] !== '=') return `expected key=value pairs: pair ${pairs.size + 1} is none`;
    at++;
    skipBlanks();
    const value = text[at] === "'" ? quotedAt(text, at) : bareAt(text, at);
    if (value === null) return `the quote of ${key} is not closed`;
    if (pairs.has(key)) return `${key} is given twice`;
    pairs.set(key, value.text);
    at = value.end;
  }
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\t';
}

function bareAt(text: string, start: number): { text: string; end: number } {
  let end = start;
  while (end < text.length && !isBlank(text[end])) end++;
  return { text: text.slice(start, end), end };
}

/** Null: not closed. */
function quotedAt(text: string, start: number): { text: string; end: number } | null {
  let value = '';
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] !== "'") value += text[at];
    else if (text[at + 1] === "'") value += text[at++];
    else return { text: value, end: at + 1 };
  }
  return null;
}
