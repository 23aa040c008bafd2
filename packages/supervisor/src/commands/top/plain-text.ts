const LAST_ASCII = 0x7e;
const FIRST_LATIN = 0xa1;
const LAST_LATIN = 0x24f;

/**
 * What a terminal shows as it is, in one column each: ASCII and accented letters. Names and statements are a stranger's:
 * an escape sequence in one of them must not reach the terminal, and a sign of two columns would shift the rest.
 */
export function plainText(text: string): string {
  let plain = '';
  for (const sign of text) {
    const code = sign.codePointAt(0) ?? 0;
    const isPlain = (code >= 0x20 && code <= LAST_ASCII) || (code >= FIRST_LATIN && code <= LAST_LATIN);
    plain += isPlain ? sign : code === 0x0a || code === 0x09 ? ' ' : '?';
  }
  return plain;
}

/** Exactly `width` columns: cut with a mark, or filled up. @param text plain, or of ours */
export function fit(text: string, width: number, isRight = false): string {
  if (text.length > width) return width <= 1 ? text.slice(0, width) : `${text.slice(0, width - 1)}…`;
  return isRight ? text.padStart(width) : text.padEnd(width);
}
