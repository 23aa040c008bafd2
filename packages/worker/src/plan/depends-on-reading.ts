const QUOTE = 0x27;
const DOLLAR = 0x24;

/**
 * Whether Postgres may make something else of the text by other settings, when it is parsed: of its strings, all of which become
 * values of their types then, and of what is compared with NULL. Functions, casts of what is no constant, and parameters are
 * computed when it runs. @param text of an encoding in which ASCII is ASCII; what stands around it in a frame does no harm
 */
export function dependsOnReading(text: Uint8Array): boolean {
  if (text.includes(QUOTE)) return true;
  // $1 begins no string.
  for (let at = text.indexOf(DOLLAR); at >= 0; at = text.indexOf(DOLLAR, at + 1)) {
    const next = text[at + 1] ?? 0;
    if (next < 0x30 || next > 0x39) return true;
  }
  return Buffer.from(text.buffer, text.byteOffset, text.length)
    .toString('latin1')
    .toLowerCase()
    .includes('null');
}
