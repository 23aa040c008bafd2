import {
  inRanges,
  LEFT_TO_RIGHT,
  MAPPED_TO_NOTHING,
  NON_ASCII_SPACES,
  PROHIBITED,
  RIGHT_TO_LEFT,
  UNASSIGNED,
} from './saslprep-tables.js';

/**
 * A password as SCRAM sees it: SASLprep (RFC 4013), and where that refuses, the password as it is. So does
 * Postgres; being stricter here would lock out passwords that work there.
 */
export function saslprep(password: string): string {
  if (isAscii(password)) return password;
  const mapped = mapCharacters(password).normalize('NFKC');
  return isAllowed(mapped) ? mapped : password;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

/** RFC 4013 2.1. ZERO WIDTH SPACE is in both tables; Postgres makes it a space. */
function mapCharacters(text: string): string {
  let mapped = '';
  for (const character of text) {
    const codePoint = character.codePointAt(0) ?? 0;
    if (inRanges(NON_ASCII_SPACES, codePoint)) mapped += ' ';
    else if (!inRanges(MAPPED_TO_NOTHING, codePoint)) mapped += character;
  }
  return mapped;
}

/** RFC 4013 2.3 to 2.5: nothing prohibited or unassigned, and directions not mixed. */
function isAllowed(text: string): boolean {
  const codePoints = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  if (codePoints.length === 0) return false;
  let hasRightToLeft = false;
  let hasLeftToRight = false;
  for (const codePoint of codePoints) {
    if (inRanges(PROHIBITED, codePoint) || inRanges(UNASSIGNED, codePoint)) return false;
    hasRightToLeft ||= inRanges(RIGHT_TO_LEFT, codePoint);
    hasLeftToRight ||= inRanges(LEFT_TO_RIGHT, codePoint);
  }
  if (!hasRightToLeft) return true;
  const first = codePoints[0];
  const last = codePoints[codePoints.length - 1];
  return !hasLeftToRight && inRanges(RIGHT_TO_LEFT, first) && inRanges(RIGHT_TO_LEFT, last);
}
