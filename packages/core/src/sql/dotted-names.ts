const NAMES_MAX = 200;
const BYTE_DOT = 0x2e;

function continuesName(code: number): boolean {
  const lower = code | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x5f || code === 0x24;
}

/**
 * All that could be the name of a custom setting (app.user) in a text that is not read further, DO's for one: words
 * joined by dots, folded, each once. Table names are among them, and do no harm.
 */
export function dottedNames(text: string): string[] {
  const names = new Set<string>();
  let at = 0;
  while (at < text.length && names.size < NAMES_MAX) {
    const start = at;
    let dots = 0;
    while (at < text.length && (continuesName(text.charCodeAt(at)) || text.charCodeAt(at) === BYTE_DOT)) {
      if (text.charCodeAt(at) === BYTE_DOT) dots++;
      at++;
    }
    if (dots > 0 && isName(text, start, at)) names.add(text.slice(start, at).toLowerCase());
    at++;
  }
  return [...names];
}

/** Neither a number nor with a dot at either end. */
function isName(text: string, start: number, end: number): boolean {
  const first = text.charCodeAt(start);
  const isDigit = first >= 0x30 && first <= 0x39;
  return !isDigit && first !== BYTE_DOT && text.charCodeAt(end - 1) !== BYTE_DOT;
}
