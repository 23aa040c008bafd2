const WORDS = ['now', 'today', 'tomorrow', 'yesterday'];
const QUOTE = "'";
/** Longer ones are no dates. */
const STRING_CHARACTERS_MAX = 64;

/**
 * Whether a string of the text may be read as a time of its own: 'now', 'today', 'tomorrow 10:00'. Postgres makes a constant of it
 * when the text is parsed. What stands between quotes is looked at, be it within a string or between two: a comment may have one.
 */
export function readsClock(text: string): boolean {
  const folded = text.toLowerCase();
  if (!WORDS.some((word) => folded.includes(word))) return false;
  if (folded.includes('$') && folded.split('$').some(isTime)) return true;
  return folded.includes(QUOTE) && folded.split(QUOTE).some(isTime);
}

function isTime(piece: string): boolean {
  if (piece.length > STRING_CHARACTERS_MAX) return false;
  let word = '';
  let isFound = false;
  for (const character of `${piece} `) {
    if (character >= 'a' && character <= 'z') {
      word += character;
      continue;
    }
    isFound ||= WORDS.includes(word);
    word = '';
    // now() is computed when it runs.
    if (!' \t\n0123456789:+-/.,_{}"'.includes(character)) return false;
  }
  return isFound;
}
